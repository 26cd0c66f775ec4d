"""Keys: the labels that scores are evaluated against, from the official files of a corpus or from a list."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import asvspoof2019
from .errors import DataError
from .manifest import read_manifest
from .text import read_lines
from .trial import LABEL_SPELLINGS, Trial

PHASES = ("eval", "progress", "hidden", "all")


@dataclass(frozen=True, slots=True)
class Keys:
    """The labelled trials of one phase of a corpus, the ids of its other phases, and the file that tells them.

    Facts of a trial, where the corpus knows them: attack, and phase (train, dev, progress, eval or hidden). Trials of
    protocols and lists have no audio.
    """

    corpus: str
    path: Path
    phase: str
    trials: Sequence[Trial]
    other_phases: frozenset[str]


@dataclass(frozen=True, slots=True)
class KeyLayout:
    """Where the keys of a corpus lie below a folder, the likeliest place first, and how they are read."""

    places: Sequence[str]
    read: Callable[[Path], Iterable[Trial]]


def read_keys(corpus: str, path: str | Path, phase: str | None = None) -> Keys:
    """The keys of a corpus, one of `LAYOUTS`, from its key file or a folder that holds it, for one of `PHASES`.

    The default phase is eval where the keys tell phases and have that one, otherwise all.
    Raises DataError on what is not a key file, repeated ids, missing labels, and a phase without trials.
    """
    path = _key_file(corpus, Path(path))
    trials = {}
    for trial in LAYOUTS[corpus].read(path):
        if trial.id in trials:
            raise DataError(f"{path}: repeated id {trial.id!r}: list each trial once")
        trials[trial.id] = trial
    if unlabelled := [trial.id for trial in trials.values() if not trial.label]:
        what = f"{len(unlabelled):,} of {len(trials):,} trials have no label, the first is {unlabelled[0]!r}"
        raise DataError(f"{path}: {what}: keys need the label of every trial")

    known = {trial.facts["phase"] for trial in trials.values() if "phase" in trial.facts}
    phase = phase or ("eval" if "eval" in known else "all")
    chosen = [trial for trial in trials.values() if phase in ("all", trial.facts.get("phase"))]
    if not chosen:
        what = f"the keys have {', '.join(sorted(known))}" if known else "the keys tell no phases"
        raise DataError(f"{path}: no trial of phase {phase}: {what}: use --phase all, or a phase that the keys have")
    return Keys(corpus, path, phase, chosen, frozenset(trials).difference(trial.id for trial in chosen))


def _key_file(corpus: str, path: Path) -> Path:
    """The key file itself, looked for in the places of the corpus when a folder is given."""
    if not path.is_dir():
        return path
    candidates = [path / place for place in LAYOUTS[corpus].places]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    what = f"no keys of {corpus} in this folder"
    raise DataError(f"{path}: {what}: name the file, or a folder that holds {candidates[0].name}")


def _read_2019la(path: Path) -> Iterator[Trial]:
    """The trials of a protocol of ASVspoof 2019 LA; their ids tell the phase, `LA_{T,D,E}_...`."""
    for trial in asvspoof2019.read_protocol(path):
        phase = {"LA_T_": "train", "LA_D_": "dev"}.get(trial.id[:5], "eval")
        yield replace(trial, facts={**trial.facts, "phase": phase})


def _read_labels(path: Path) -> Iterable[Trial]:
    """The trials of a manifest, or of a list with a line `id label` for each."""
    header = read_lines(path)[0].split("\t")
    return read_manifest(path) if len(header) > 1 and "id" in header else _read_list(path)


def _read_list(path: Path) -> Iterator[Trial]:
    """The trials of a list: the label is the last field of a line and the id all before it."""
    for number, line in enumerate(read_lines(path), start=1):
        fields = line.rsplit(maxsplit=1)
        if len(fields) != 2 or fields[1] not in LABEL_SPELLINGS:
            what = f"{line[:60]!r} is not `id label`"
            raise DataError(f"{path}:{number}: {what}: the last field of a line is {' or '.join(LABEL_SPELLINGS)}")
        yield Trial(fields[0], "", LABEL_SPELLINGS[fields[1]])


_EVAL_2019LA = "ASVspoof2019.LA.cm.eval.trl.txt"
_PROTOCOLS_2019LA = "ASVspoof2019_LA_cm_protocols"

LAYOUTS = {
    "2019la": KeyLayout(
        (_EVAL_2019LA, f"{_PROTOCOLS_2019LA}/{_EVAL_2019LA}", f"LA/{_PROTOCOLS_2019LA}/{_EVAL_2019LA}"), _read_2019la
    ),
    "labels": KeyLayout(("eval.tsv",), _read_labels),
}
