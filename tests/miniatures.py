"""Miniatures of the corpora, in the folders, names and columns of the organisers' downloads; the recordings are made.

Bona fide is coloured noise, spoof a tone in noise. Counts: `COUNTS`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from protocols.corpora.mlaad import COLUMNS as MLAAD_COLUMNS

SAMPLE_RATE = 16_000
# Bona fide and spoofed trials that are scored: of phase eval, where there are others.
COUNTS = {"2019la": (4, 6), "2021la": (4, 6), "2021df": (4, 6), "in-the-wild": (4, 6), "asvspoof5": (4, 6)}
N_OTHER_PHASES = 4  # trials of progress and hidden in each track of 2021, scored and not evaluated
CODECS_LA, CODECS_DF = ("none", "alaw"), ("nocodec", "low_mp3")


def make_corpora(folder: Path) -> Path:
    """All of them below `folder`, as `recipes/data/download.sh` unpacks them."""
    rng = np.random.default_rng(5)
    make_2019la(folder / "LA", rng)
    make_2021(folder, "LA", rng)
    make_2021(folder, "DF", rng)
    make_in_the_wild(folder / "release_in_the_wild", rng)
    make_asvspoof5(folder, rng)
    make_mlaad(folder / "MLAADv8", rng)
    make_librispeech(folder / "LibriSpeech", rng)
    return folder


def make_2019la(folder: Path, rng: np.random.Generator) -> None:
    """`LA/`: three splits, their protocols, and the ASV scores of eval."""
    letters = {"train": "T", "dev": "D", "eval": "E"}
    for split, n_bonafide, n_spoof in (("train", 8, 12), ("dev", 4, 6), ("eval", *COUNTS["2019la"])):
        attack = "A07" if split == "eval" else "A01"
        audio = folder / f"ASVspoof2019_LA_{split}" / "flac"
        trials = [(f"LA_{letters[split]}_{number:07}", label) for number, label in enumerate(labels(n_bonafide, n_spoof))]
        lines = [f"LA_0079 {name} - {'-' if label == 'bonafide' else attack} {label}" for name, label in trials]
        suffix = "trn" if split == "train" else "trl"
        write_lines(folder / "ASVspoof2019_LA_cm_protocols" / f"ASVspoof2019.LA.cm.{split}.{suffix}.txt", lines)
        record(((audio / f"{name}.flac", label) for name, label in trials), rng)
    asv = [f"{attack} {kind} {score}" for attack, kind, score in asv_trials("A07")]
    write_lines(folder / "ASVspoof2019_LA_asv_scores" / "ASVspoof2019.LA.asv.eval.gi.trl.scores.txt", asv)


def make_2021(folder: Path, track: str, rng: np.random.Generator) -> None:
    """`ASVspoof2021_{LA,DF}_eval/` with its list of trials, and the key package `keys/{LA,DF}`."""
    of_eval = labels(*COUNTS[f"2021{track.lower()}"])
    phases = ["eval"] * len(of_eval) + ["progress", "progress", "hidden", "hidden"]
    kinds = [*of_eval, *labels(2, N_OTHER_PHASES - 2)]
    codecs = CODECS_LA if track == "LA" else CODECS_DF
    names = [f"{track}_E_{1_000_000 + number}" for number in range(len(kinds))]
    keys = []
    for number, (name, label, phase) in enumerate(zip(names, kinds, phases, strict=True)):
        attack, codec = "bonafide" if label == "bonafide" else "A07", codecs[number // 2 % 2]
        if track == "LA":
            keys.append(f"LA_0009 {name} {codec} {'-' if codec == 'none' else 'ita_tx'} {attack} {label} notrim {phase}")
        else:
            vocoder = "bonafide" if label == "bonafide" else "neural_vocoder_autoregressive"
            keys.append(f"LA_0023 {name} {codec} asvspoof {attack} {label} notrim {phase} {vocoder} - - - -")
    audio = folder / f"ASVspoof2021_{track}_eval"
    write_lines(audio / f"ASVspoof2021.{track}.cm.eval.trl.txt", names)
    write_lines(folder / "keys" / track / "CM" / "trial_metadata.txt", keys)
    record(((audio / "flac" / f"{name}.flac", label) for name, label in zip(names, kinds, strict=True)), rng)
    if track == "LA":
        asv = [(f"LA_0009 LA_E_{number:07}", *trial) for number, trial in enumerate(asv_trials("A07") * 2)]
        codecs = CODECS_LA * len(asv)
        metadata = [f"{trial[0]} {codec} - {trial[1]} {trial[2]} notrim eval" for codec, trial in zip(codecs, asv, strict=False)]
        write_lines(folder / "keys" / "LA" / "ASV" / "trial_metadata.txt", metadata)
        write_lines(folder / "keys/LA/ASV/ASVTorch_Kaldi/score.txt", [f"{trial} {score}" for trial, _, _, score in asv])


def make_in_the_wild(folder: Path, rng: np.random.Generator) -> None:
    """`release_in_the_wild/`: numbered WAV files and `meta.csv`."""
    kinds = labels(*COUNTS["in-the-wild"])
    spelled = {"bonafide": "bona-fide", "spoof": "spoof"}
    lines = [f"{number}.wav,Ada Lovelace,{spelled[label]}" for number, label in enumerate(kinds)]
    write_lines(folder / "meta.csv", ["file,speaker,label", *lines])
    record(((folder / f"{number}.wav", label) for number, label in enumerate(kinds)), rng)


def make_asvspoof5(folder: Path, rng: np.random.Generator) -> None:
    """`flac_E_eval/` and the protocol of track 1."""
    trials = [(f"E_{number:010}", label) for number, label in enumerate(labels(*COUNTS["asvspoof5"]))]
    attacks = {"bonafide": "- bonafide", "spoof": "AC1 A17"}
    lines = [f"E_0001 {name} F C01 1 E_0000000009 {attacks[label]} {label} -" for name, label in trials]
    write_lines(folder / "ASVspoof5_protocols" / "ASVspoof5.eval.track_1.tsv", lines)
    record(((folder / "flac_E_eval" / f"{name}.flac", label) for name, label in trials), rng)


def make_mlaad(folder: Path, rng: np.random.Generator) -> None:
    """`fake/LANGUAGE/MODEL/`: WAV files and `meta.csv`, two languages of two models with six clips each."""
    header = ["path", "original_file", "language", "is_original_language", "duration", "training_data", "model_name",
              "architecture", "transcript"]  # fmt: skip
    assert MLAAD_COLUMNS.keys() <= set(header)
    for language in ("de", "en"):
        for model in ("griffin_lim", "parler_tts"):
            place = f"fake/{language}/{model}"
            names = [f"{model}_{number}.wav" for number in range(6)]
            lines = [f"./{place}/{name}|x.wav|{language}|True|0.5|LJ|{model}|{model}|words" for name in names]
            write_lines(folder / place / "meta.csv", ["|".join(header), *lines])
            record(((folder / place / name, "spoof") for name in names), rng)


def make_librispeech(folder: Path, rng: np.random.Generator) -> None:
    """`{train-clean-100,dev-clean,test-clean}/SPEAKER/CHAPTER/`, two speakers with six clips each."""
    for subset, first_speaker in (("train-clean-100", 19), ("dev-clean", 84), ("test-clean", 61)):
        for speaker in (first_speaker, first_speaker + 1):
            clips = [folder / subset / str(speaker) / "198" / f"{speaker}-198-{number:04}.flac" for number in range(6)]
            record(((clip, "bonafide") for clip in clips), rng)


def labels(n_bonafide: int, n_spoof: int) -> list[str]:
    return ["bonafide"] * n_bonafide + ["spoof"] * n_spoof


def asv_trials(attack: str) -> list[tuple[str, str, float]]:
    """Attack, kind and score of a few trials of a speaker verification system that errs at times."""
    scores = {"target": (4.0, 2.0, 0.5), "nontarget": (-4.0, -2.0, 1.0), "spoof": (3.0, 1.5, -1.0)}
    attacks = {"target": "bonafide", "nontarget": "bonafide", "spoof": attack}
    return [(attacks[kind], kind, score) for kind, of_kind in scores.items() for score in of_kind]


def record(clips: Iterable[tuple[Path, str]], rng: np.random.Generator) -> None:
    """Half a second for each path and label."""
    for path, label in clips:
        samples = rng.normal(scale=0.05, size=SAMPLE_RATE // 2)
        if label == "spoof":
            samples = 0.2 * samples + 0.1 * np.sin(np.arange(len(samples)) * rng.uniform(0.1, 0.5))
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, SAMPLE_RATE)


def write_lines(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
