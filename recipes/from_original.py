"""Print what a command of the original authors becomes here.

python recipes/from_original.py "python main.py --track=DF --lr=0.000001 --batch_size=5 --loss=WCE --num_epochs=50"

The facts are those of the authors' parsers; recipes/FROM_ORIGINAL.md lists every flag and what differs in the run itself.
"""

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
PAGE = "recipes/FROM_ORIGINAL.md"
WIDTH = 120
AUDIO, PROTOCOL, CORPUS = "`sls prepare --audio`", "`sls prepare --protocol`", "CORPUS of `sls prepare`"
FOLDERS = "names `--save-dir` and `--tensorboard-logdir`"


class UsageError(Exception):
    """A command that the original would refuse, or that has no counterpart here."""


class FileError(Exception):
    """A configuration file that cannot be read."""


# The flags of the originals


def count(text: str) -> int:
    """A whole number of at least 1; the originals fail at less or train nothing, fairseq takes 0 as `without end`."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return number


def rawboost_algorithm(text: str) -> int:
    """In the originals every number but 1 to 8 leaves the waveform alone."""
    number = int(text)
    return number if 1 <= number <= 8 else 0


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag of an original: its default there, what it becomes here in training and in scoring, or why it becomes nothing.

    An option of `fairseq-train` or `sls score`, known by its two hyphens, takes the flag's value as it is.
    """

    default: Any
    training: str = ""
    scoring: str = ""
    nothing: str = ""
    kind: Callable[[str], Any] | None = None
    choices: tuple = ()

    @property
    def here(self) -> str:
        """What the flag becomes, as the page tells it."""
        parts = [f"`{self.training}`" if self.training.startswith("--") else self.training]
        parts += [f"`sls score {self.scoring}`" if self.scoring.startswith("--") else self.scoring]
        return "; ".join(dict.fromkeys(filter(None, parts))) or f"nothing: {self.nothing}"

    def add_to(self, parser: argparse.ArgumentParser, name: str) -> None:
        if isinstance(self.default, bool):
            parser.add_argument(name, action="store_const", const=not self.default)
        elif isinstance(self.default, list):
            parser.add_argument(name, type=float, nargs=len(self.default))
        else:
            kind = self.kind or (str if self.default is None else type(self.default))
            parser.add_argument(name, type=kind, choices=self.choices or None)


# All that the originals share; the numbers of RawBoost have the same defaults here.
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
    "--is_eval": Flag(False, nothing="`--eval` alone decides, there too"),
    "--eval_part": Flag(0, nothing="no original reads it"),
    "--cudnn-deterministic-toggle": Flag(True, nothing="fairseq leaves cuDNN's own settings"),
    "--cudnn-benchmark-toggle": Flag(False, nothing="fairseq leaves cuDNN's own settings"),
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
    "--sample_rate": Flag(16_000, nothing="always 16 kHz; another rate is refused", choices=(16_000,)),
    "--xlsr_model": Flag("xlsr2_300m.pt", "--w2v-path", nothing="a checkpoint is scored without the pre-trained file"),
    "--num_workers": Flag(8, "--num-workers"),
    "--config": Flag(None, "its keys are read", "its keys are read"),
}
SSL_LA_FLAGS = SLS_FLAGS | {
    "--database_path": Flag("/your/path/to/data/ASVspoof_database/LA/", AUDIO, AUDIO),
    "--protocols_path": Flag("database/", PROTOCOL, PROTOCOL),
    "--track": Flag("LA", FOLDERS, CORPUS, choices=SSL_TRACKS),  # and the files: see SSL_LA
    "--algo": Flag(5, "--rawboost-algorithm", kind=rawboost_algorithm),
}
SSL_DF_FLAGS = SSL_LA_FLAGS | {
    "--database_path": Flag("/your/path/to/data/ASVspoof_database/DF/", AUDIO, AUDIO),
    "--track": Flag("DF", FOLDERS, CORPUS, choices=SSL_TRACKS),
    "--algo": SLS_FLAGS["--algo"],
}


# The originals


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
OF_TRACK = Files("ASVspoof_{track}_cm_protocols/ASVspoof2021.{track}.cm.eval.trl.txt", "ASVspoof2021_{track}_eval")


@dataclass(frozen=True, slots=True)
class Original:
    """A training script of the originals: its flags, the files it reads, and what its flags do not tell."""

    arch: str
    flags: dict[str, Flag]
    train: Files
    dev: Files
    evaluation: Files
    selection: tuple[str, ...]  # how it validates, stops and chooses
    scoring_batch: int


SLS = Original(
    "sls_xlsr_300m", SLS_FLAGS, Files(f"ASVspoof_DF_cm_protocols/{LA_TRAIN}", "ASVspoof2019_LA_train"), LA_DEV, AS_GIVEN,
    ("--best-checkpoint-metric", "train_loss", "--patience", "1"), scoring_batch=8,
)  # fmt: skip
REPRODUCTION = Original(
    "sls_xlsr_300m", REPRODUCTION_FLAGS, SLS.train, LA_DEV, AS_GIVEN,
    ("--augment-validation", "--best-checkpoint-metric", "loss"), scoring_batch=4,
)  # fmt: skip
SSL_LA = Original(
    "xlsr_aasist_300m", SSL_LA_FLAGS,
    Files("ASVspoof_{track}_cm_protocols/ASVspoof2019.{track}.cm.train.trn.txt", "ASVspoof2019_{track}_train"),
    Files("ASVspoof_{track}_cm_protocols/ASVspoof2019.{track}.cm.dev.trl.txt", "ASVspoof2019_{track}_dev"),
    OF_TRACK, ("--augment-validation", "--best-checkpoint-metric", "loss"), scoring_batch=10,
)  # fmt: skip
SSL_DF = Original(
    "xlsr_aasist_300m", SSL_DF_FLAGS, Files(f"ASVspoof_LA_cm_protocols/{LA_TRAIN}", "ASVspoof2019_LA_train"), LA_DEV, OF_TRACK,
    SSL_LA.selection, scoring_batch=14,
)  # fmt: skip
ORIGINALS = {
    "main.py": SLS,
    "sls_asvspoof.train": REPRODUCTION,
    "sls_asvspoof": REPRODUCTION,
    "main_SSL_LA.py": SSL_LA,
    "main_SSL_DF.py": SSL_DF,
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


# From the words of a command to the values of its flags


class OriginalParser(argparse.ArgumentParser):
    """Tells what is wrong in one line, takes abbreviations as the originals do, and keeps only what is given."""

    def __init__(self, name: str) -> None:
        super().__init__(prog=name, add_help=False, argument_default=argparse.SUPPRESS)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}")

    def given(self, words: Sequence[str]) -> dict[str, Any]:
        """The flags among the words with their values; UsageError on any other word."""
        namespace, unknown = self.parse_known_args(words)
        if unknown:
            names = [word.split("=")[0] for word in unknown if word.startswith("-")] or unknown
            others = [name for name, original in ORIGINALS.items() if original.flags.keys() & names]
            remedy = f"{others[0]} has it" if others else f"{PAGE} lists the flags"
            self.error(f"there is no {', '.join(names)}: {remedy}")
        return vars(namespace)


def destination(flag: str) -> str:
    """The name of a flag's value."""
    return flag.lstrip("-").replace("-", "_")


def given_flags(name: str, flags: Mapping[str, Flag], words: Sequence[str]) -> dict[str, Any]:
    """The values of the flags that the words give; `name` tells whose words they are when one is wrong."""
    parser = OriginalParser(name)
    for flag, entry in flags.items():
        entry.add_to(parser, flag)
    return parser.given(words)


def read_flags(name: str, words: Sequence[str]) -> tuple[dict[str, Any], set[str], list[str]]:
    """The values of all flags of an original, the names of those that were given, and remarks on how they were found."""
    flags = ORIGINALS[name].flags
    defaults = {destination(flag): entry.default for flag, entry in flags.items()}
    given = given_flags(name, flags, words)
    values = defaults | given
    remarks = []
    configured = read_config(values["config"], flags) if values.get("config") else {}
    for key, value in configured.items():
        if values[key] != defaults[key]:
            continue  # only a flag that differs from its default overrides the file
        if key in given and value != given[key]:
            what = f"--{key} {_text(given[key])} is the default there and gives way"
            remarks.append(f"{what} to {values['config']}, {_text(value)}, as in the original")
        values[key] = value
    return values, given.keys() | configured.keys(), remarks


def read_config(path: str, flags: Mapping[str, Flag]) -> dict[str, Any]:
    """The keys of the reproduction's YAML file, checked as the flags they stand for."""
    import yaml  # fairseq brings it; only these files need it

    try:
        config = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}: name the configuration file from this folder") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise FileError(f"{path}: not a YAML file: name the configuration file of the reproduction") from None
    if not isinstance(config, dict):
        raise FileError(f"{path}: no `key: value` lines: name the configuration file of the reproduction")
    names = {destination(flag): flag for flag in flags}
    if unknown := [str(key) for key in config if key not in names]:
        raise UsageError(f"{path}: there is no {', '.join(unknown)}: the original passes over it: remove it or correct it")
    words = [word for key, value in config.items() for word in _words(names[key], flags[names[key]], value)]
    return given_flags(path, flags, words)


def _words(flag: str, entry: Flag, value: Any) -> list[str]:
    """A YAML value as it would stand on the command line."""
    if isinstance(value, list):
        return [flag, *map(str, value)]
    if isinstance(value, bool):
        return [flag] if value != entry.default else []
    return [] if value is None else [f"{flag}={value}"]


# From the values to commands of ours


def training(original: Original, values: Mapping[str, Any], given: set[str]) -> list[list[str]]:
    """Manifests, then `fairseq-train`."""
    tag = "model_{track}_{loss}_{num_epochs}_{batch_size}_{lr}".format(**values)
    if values["comment"]:
        tag += f"_{values['comment']}"
    options = {
        "--user-dir": "sls_plugin" if Path.cwd() == ROOT else str(ROOT / "sls_plugin"),
        "--task": "asvspoof",
        "--arch": original.arch,
        "--w2v-path": "xlsr2_300m.pt",
        "--criterion": "weighted_cross_entropy",
        "--class-weights": "0.1,0.9",
        "--optimizer": "l2_adam",
    }
    for flag, entry in original.flags.items():
        name = destination(flag)
        if entry.training.startswith("--") and values[name] is not None and (name in given or flag not in RAWBOOST):
            options[entry.training] = _text(values[name])
    options.setdefault("--num-workers", "8")
    train = ["fairseq-train", "DATA", *(word for option in options.items() for word in option)]
    train += ["--valid-subset", "dev", *original.selection, "--distributed-world-size", "1"]
    train += ["--save-dir", f"models/{tag}", "--tensorboard-logdir", f"logs/{tag}"]
    manifests = [
        files.preparation("asvspoof2019", values, "--dest", "DATA", "--split", split)
        for split, files in (("train", original.train), ("dev", original.dev))
    ]
    return [*manifests, train]


def scoring(original: Original, values: Mapping[str, Any]) -> list[list[str]]:
    """A manifest, then `sls score`."""
    for name, want in (("model_path", "the network would be untrained"), ("eval_output", "there is no file for the scores")):
        if not values[name]:
            raise UsageError(f"--{name} is missing: without it {want}")
    corpus, folder = SCORED[values["track"]]
    batch = values.get("eval_batch_size", original.scoring_batch)
    score = ["sls", "score", values["model_path"], f"{folder}/eval.tsv", "--output", values["eval_output"]]
    return [original.evaluation.preparation(corpus, values, "--dest", folder), [*score, "--batch-size", str(batch)]]


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def remarks_on(original: Original, values: Mapping[str, Any], given: set[str], scores: bool) -> Iterator[str]:
    """The given flags that become nothing, and what a user should know before the run."""
    mode, other = ("scoring", "training") if scores else ("training", "scoring")
    for flag, entry in original.flags.items():
        name = destination(flag)
        if name in given and not getattr(entry, mode):
            yield f"{flag} becomes nothing: {entry.nothing or f'only {other} heeds it, there too'}"
        if name not in given and isinstance(entry.default, str) and entry.default.startswith("/"):
            yield f"{flag} is not given: put your folder in place of {entry.default}"
    if scores:
        yield "the file of --eval_output must not exist yet: the original would add its lines to it"
    else:
        yield "given again, the command goes on where it was; every epoch is kept, with the optimiser's state"
    yield f"what differs in the run itself: {PAGE}"


def evaluation(name: str, words: Sequence[str]) -> list[str]:
    """`sls evaluate` of a score file."""
    parser = OriginalParser(name)
    if name not in EVALUATIONS:
        parser.add_argument("--track", choices=EVALUATED, required=True)
    parser.add_argument("score_file")
    parser.add_argument("truth_dir")
    parser.add_argument("phase", choices=PHASES)
    values = {"track": EVALUATIONS.get(name)} | parser.given(words)
    command = ["sls", "evaluate", EVALUATED[values["track"]], values["score_file"], "--keys", values["truth_dir"]]
    return command if values["track"] == "Wild" else [*command, "--phase", PHASES[values["phase"]]]  # In-the-Wild has no phases


def translation(command: str) -> str:
    """The lines to paste: our commands, then remarks on them."""
    environment, name, words = split(command)
    if name in ORIGINALS:
        original = ORIGINALS[name]
        values, given, remarks = read_flags(name, words)
        scores = values["eval"] or values["track"] == "In-the-Wild"  # that track never trains
        commands = scoring(original, values) if scores else training(original, values, given)
        remarks += remarks_on(original, values, given, scores)
    else:
        commands, remarks = [evaluation(name, words)], []
    lines = [shell(command) for command in commands]
    lines[-1] = "".join(f"{variable} " for variable in environment) + lines[-1]
    return "\n".join([*lines, *(f"# {' '.join(remark.splitlines())}" for remark in remarks)]) + "\n"


# The shell's words


def split(command: str) -> tuple[list[str], str, list[str]]:
    """The variables set before a command, the name of the original's program, and the words after it."""
    try:
        words = [os.path.expanduser(word) for word in shlex.split(command.replace("\\\n", " "))]
    except ValueError as error:
        raise UsageError(f"{str(error).lower()}: give the original's command in one pair of quotes") from None
    environment = list(takewhile(re.compile(r"[A-Za-z_]\w*=").match, words))
    words = words[len(environment) :]
    if words and re.fullmatch(r"python[\d.]*", Path(words[0]).name):
        words = list(dropwhile({"-u", "-m"}.__contains__, words[1:]))
    name = Path(words[0]).name if words else "nothing"
    known = [*ORIGINALS, *EVALUATIONS, "sls_asvspoof.evaluate"]
    if name not in known:
        raise UsageError(f"{name} is no program of the originals: those are {', '.join(known)}")
    variables = [f"{key}={quoted(value)}" for key, value in (word.split("=", 1) for word in environment)]
    return variables, name, words[1:]


def shell(command: Sequence[str]) -> str:
    """A command with its words quoted, wrapped between options."""
    options: list[str] = []
    for word in command:
        if word.startswith("--") or not options:
            options.append(quoted(word))
        else:
            options[-1] += f" {quoted(word)}"
    lines = options[:1]
    for option in options[1:]:
        if len(lines[-1]) + 1 + len(option) <= WIDTH:
            lines[-1] += f" {option}"
        else:
            lines.append(option)
    return " \\\n    ".join(lines)


def quoted(word: str) -> str:
    """The word for a shell; variables such as $MODEL stay for it to fill in."""
    variables = "$" in word and re.fullmatch(r"(\$\w+|\$\{\w+\}|[\w@%+=:,./ -])*", word)
    return f'"{word}"' if variables else shlex.quote(word)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the translation: 0 on success, 1 when a configuration file cannot be read, 2 on what cannot be translated."""
    parser = argparse.ArgumentParser(
        description="Print what a command of SLS (main.py), of its reproduction (python -m sls_asvspoof.train, .evaluate) or of "
        "SSL_Anti-spoofing (main_SSL_LA.py, main_SSL_DF.py) becomes here, the evaluation scripts evaluate_*.py included. "
        f"A flag that is left out counts with the original's default. {PAGE} lists every flag.",
    )
    parser.add_argument("command", metavar="COMMAND", help="the original's command, in one pair of quotes")
    try:
        print(translation(parser.parse_args(arguments).command), end="")
    except (UsageError, FileError) as error:
        print(f"from_original.py: error: {error}", file=sys.stderr)
        return 1 if isinstance(error, FileError) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
