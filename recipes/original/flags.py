"""The facts of the originals: the flags of their scripts with what these become here, and the files that they read."""

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

AUDIO, PROTOCOL, CORPUS = "`sls prepare --audio`", "`sls prepare --protocol`", "CORPUS of `sls prepare`"
FOLDERS = "names `--save-dir` and `--tensorboard-logdir`"


class UsageError(Exception):
    """A command that the original refuses, or that has no counterpart here: exit status 2."""


def count(text: str) -> int:
    """A whole number >= 1; below, the originals fail or train nothing, and fairseq takes 0 as no limit."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number >= 1")
    return number


def rawboost_algorithm(text: str) -> int:
    """In the originals every number except 1 to 8 leaves the waveform unchanged."""
    number = int(text)
    return number if 1 <= number <= 8 else 0


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag of an original: its default there, what it becomes here in training and in scoring, or why it is dropped.

    An option of `fairseq-train` or `sls score`, which starts with two hyphens, takes the value of the flag unchanged.
    """

    default: Any
    training: str = ""
    scoring: str = ""
    dropped: str = ""
    kind: Callable[[str], Any] | None = None
    choices: tuple = ()

    @property
    def here(self) -> str:
        """What the flag becomes, as in the tables of README.md."""
        parts = [f"`{self.training}`" if self.training.startswith("--") else self.training]
        parts += [f"`sls score {self.scoring}`" if self.scoring.startswith("--") else self.scoring]
        return "; ".join(dict.fromkeys(filter(None, parts))) or f"nothing: {self.dropped}"

    def add_to(self, parser: argparse.ArgumentParser, name: str) -> None:
        if isinstance(self.default, bool) and not self.kind:
            parser.add_argument(name, action="store_const", const=not self.default)
        elif isinstance(self.default, list):
            parser.add_argument(name, type=float, nargs=len(self.default))
        else:
            kind = self.kind or (str if self.default is None else type(self.default))
            parser.add_argument(name, type=kind, choices=self.choices or None)


# Flags that all originals share; the parameters of RawBoost have the same defaults here.
RAWBOOST = {
    "--nBands": Flag(5, "--rawboost-n-bands"),
    "--minF": Flag(20, "--rawboost-min-frequency"),
    "--maxF": Flag(8000, "--rawboost-max-frequency"),
    "--minBW": Flag(100, "--rawboost-min-bandwidth"),
    "--maxBW": Flag(1000, "--rawboost-max-bandwidth"),
    "--minCoeff": Flag(10, "--rawboost-min-coefficients"),
    "--maxCoeff": Flag(100, "--rawboost-max-coefficients"),
    "--minG": Flag(0, "--rawboost-min-gain"),
    "--maxG": Flag(0, "--rawboost-max-gain"),
    "--minBiasLinNonLin": Flag(5, "--rawboost-min-bias"),
    "--maxBiasLinNonLin": Flag(20, "--rawboost-max-bias"),
    "--N_f": Flag(5, "--rawboost-n-orders"),
    "--P": Flag(10, "--rawboost-max-impulses"),
    "--g_sd": Flag(2, "--rawboost-impulse-gain"),
    "--SNRmin": Flag(10, "--rawboost-min-snr"),
    "--SNRmax": Flag(40, "--rawboost-max-snr"),
}
SLS_TRACKS, SSL_TRACKS = ("LA", "In-the-Wild", "DF"), ("LA", "PA", "DF")
SLS_FLAGS = {
    "--database_path": Flag("/path/to/your/database/", AUDIO, AUDIO),
    "--protocols_path": Flag("/path/to/your/database/", PROTOCOL, PROTOCOL),
    "--batch_size": Flag(14, "--batch-size", kind=count),
    "--num_epochs": Flag(100, "--max-epoch", kind=count),
    "--lr": Flag(1e-6, "--lr"),
    "--weight_decay": Flag(1e-4, "--weight-decay"),
    "--loss": Flag("weighted_CCE", FOLDERS),
    "--seed": Flag(1234, "--seed"),
    "--model_path": Flag(None, "--finetune-from-model", "CKPT of `sls score`"),
    "--comment": Flag(None, FOLDERS),
    "--track": Flag("DF", FOLDERS, CORPUS, choices=SLS_TRACKS),
    "--eval_output": Flag(None, scoring="--output"),
    "--eval": Flag(False, scoring="`sls score` instead of `fairseq-train`"),
    "--is_eval": Flag(False, dropped="`--eval` alone decides, there too"),
    "--eval_part": Flag(0, dropped="no original reads it"),
    "--cudnn-deterministic-toggle": Flag(True, dropped="fairseq leaves cuDNN's own settings"),
    "--cudnn-benchmark-toggle": Flag(False, dropped="fairseq leaves cuDNN's own settings"),
    "--algo": Flag(3, "--rawboost-algorithm", kind=rawboost_algorithm),
    **RAWBOOST,
}
REPRODUCTION_FLAGS = SLS_FLAGS | {
    "--database_path": Flag("./data/", AUDIO, AUDIO),
    "--protocols_path": Flag("./database/", PROTOCOL, PROTOCOL),
    "--loss_weights": Flag([0.1, 0.9], "--class-weights"),
    "--patience": Flag(10, "--patience", kind=count),
    "--eval_batch_size": Flag(4, scoring="--batch-size", kind=count),
    "--audio_max_len": Flag(64_600, "--max-samples", kind=count),
    "--sample_rate": Flag(16_000, dropped="always 16 kHz; another rate is refused", choices=(16_000,)),
    "--xlsr_model": Flag("xlsr2_300m.pt", "--w2v-path", dropped="a checkpoint is scored without the pre-trained file"),
    "--num_workers": Flag(8, "--num-workers"),
    "--config": Flag(None, "its keys are read", "its keys are read"),
}
SSL_LA_FLAGS = SLS_FLAGS | {
    "--database_path": Flag("/your/path/to/data/ASVspoof_database/LA/", AUDIO, AUDIO),
    "--protocols_path": Flag("database/", PROTOCOL, PROTOCOL),
    "--track": Flag("LA", FOLDERS, CORPUS, choices=SSL_TRACKS),  # also selects the files: see SSL_LA
    "--algo": Flag(5, "--rawboost-algorithm", kind=rawboost_algorithm),
}
SSL_DF_FLAGS = SSL_LA_FLAGS | {
    "--database_path": Flag("/your/path/to/data/ASVspoof_database/DF/", AUDIO, AUDIO),
    "--track": Flag("DF", FOLDERS, CORPUS, choices=SSL_TRACKS),
    "--algo": SLS_FLAGS["--algo"],
}


@dataclass(frozen=True, slots=True)
class Files:
    """A protocol below --protocols_path and the folder of its recordings below --database_path."""

    protocol: str
    audio: str

    def preparation(self, corpus: str, values: Mapping[str, Any], *place: str) -> list[str]:
        """The `sls prepare` of these files."""
        audio = _below(values["database_path"], self.audio.format(**values))
        protocol = _below(values["protocols_path"], self.protocol.format(**values))
        return ["sls", "prepare", corpus, "--audio", audio, "--protocol", protocol, *place]


def _below(folder: str, name: str) -> str:
    return os.path.join(folder, name) if name else folder


LA_TRAIN = "ASVspoof2019.LA.cm.train.trn.txt"
LA_DEV = Files("ASVspoof_LA_cm_protocols/ASVspoof2019.LA.cm.dev.trl.txt", "ASVspoof2019_LA_dev")
AS_GIVEN = Files("", "")
TRACK_EVAL = Files("ASVspoof_{track}_cm_protocols/ASVspoof2021.{track}.cm.eval.trl.txt", "ASVspoof2021_{track}_eval")


@dataclass(frozen=True, slots=True)
class Original:
    """A training script of the originals: its flags, the files that it reads, and what is fixed in its code."""

    arch: str
    flags: dict[str, Flag]
    train: Files
    dev: Files
    evaluation: Files
    selection: tuple[str, ...]  # how it validates, stops and selects the best epoch
    scoring_batch: int


SLS = Original(
    "sls_xlsr_300m", SLS_FLAGS, Files(f"ASVspoof_DF_cm_protocols/{LA_TRAIN}", "ASVspoof2019_LA_train"), LA_DEV, AS_GIVEN,
    ("--best-checkpoint-metric", "train_loss_batch_mean", "--patience", "1"), scoring_batch=8,
)  # fmt: skip
REPRODUCTION = Original(
    "sls_xlsr_300m", REPRODUCTION_FLAGS, SLS.train, LA_DEV, AS_GIVEN,
    ("--augment-validation", "--best-checkpoint-metric", "loss_batch_mean"), scoring_batch=4,
)  # fmt: skip
SSL_LA = Original(
    "xlsr_aasist_300m", SSL_LA_FLAGS,
    Files("ASVspoof_{track}_cm_protocols/ASVspoof2019.{track}.cm.train.trn.txt", "ASVspoof2019_{track}_train"),
    Files("ASVspoof_{track}_cm_protocols/ASVspoof2019.{track}.cm.dev.trl.txt", "ASVspoof2019_{track}_dev"),
    TRACK_EVAL, ("--augment-validation", "--best-checkpoint-metric", "loss"), scoring_batch=10,
)  # fmt: skip
SSL_DF = Original(
    "xlsr_aasist_300m", SSL_DF_FLAGS, Files(f"ASVspoof_LA_cm_protocols/{LA_TRAIN}", "ASVspoof2019_LA_train"), LA_DEV, TRACK_EVAL,
    SSL_LA.selection, scoring_batch=14,
)  # fmt: skip
ORIGINALS = {
    "main.py": SLS,
    "sls_asvspoof.train": REPRODUCTION,
    "sls_asvspoof": REPRODUCTION,
    "main_SSL_LA.py": SSL_LA,
    "main_SSL_DF.py": SSL_DF,
}
OWNERS = {  # whose programs they are, for --of
    "sls": ("main.py",),
    "reproduction": ("main.py", "sls_asvspoof", "sls_asvspoof.train", "sls_asvspoof.evaluate"),
    "ssl": ("main_SSL_LA.py", "main_SSL_DF.py"),
    "mamba": ("main.py",),
    "aasist": ("main.py",),
}
SCORED = {  # CORPUS of `sls prepare` and folder of the manifest; 2021 PA is a plain list
    "LA": ("asvspoof2021-la", "LA21"),
    "DF": ("asvspoof2021-df", "DF21"),
    "PA": ("list", "PA21"),
    "In-the-Wild": ("in-the-wild", "ITW"),
}
EVALUATIONS = {"evaluate_2021_LA.py": "LA", "evaluate_2021_DF.py": "DF", "evaluate_in_the_wild.py": "Wild"}
EVALUATED = {"LA": "2021la", "DF": "2021df", "Wild": "in-the-wild"}
PHASES = {"eval": "eval", "progress": "progress", "hidden_track": "hidden"}
