"""Keys: the labels that scores are evaluated against, from the official files of a corpus or from a list."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import asvspoof5, asvspoof2019, asvspoof2021, in_the_wild
from .errors import DataError
from .manifest import read_manifest
from .places import find_file
from .recordings import numbered, unique
from .speaker_verification import ASVScores, read_asv_2019, read_asv_2021
from .text import read_lines
from .trial import Trial
from .trial_list import read_labelled_list

PHASES = ("eval", "progress", "hidden", "all")


@dataclass(frozen=True, slots=True)
class Keys:
    """The labelled trials of one phase of a corpus, the ids of its other phases, and the file that tells them.

    Facts of a trial, where the corpus knows them: speaker, attack, codec, vocoder, and phase (train, dev, progress, eval
    or hidden). Trials of protocols and lists have no audio. `asv` are the scores of the organisers' ASV system in this
    phase, where they stand beside the keys.
    """

    corpus: str
    path: Path
    phase: str
    trials: Sequence[Trial]
    other_phases: frozenset[str]
    asv: ASVScores | None = None


@dataclass(frozen=True, slots=True)
class KeyLayout:
    """Where the keys of a corpus lie below a folder, the likeliest place first, and how they are read."""

    places: Sequence[str]
    read: Callable[[Path], Iterable[Trial]]
    find_asv: Callable[[Path, Collection[str]], ASVScores | None] | None = None


def read_keys(corpus: str, path: str | Path, phase: str | None = None) -> Keys:
    """The keys of a corpus, one of `LAYOUTS`, from its key file or a folder that holds it, for one of `PHASES`.

    The default phase is eval where the keys tell phases and have that one, otherwise all.
    Raises DataError on what is not a key file, repeated ids, missing labels, and a phase without trials.
    """
    layout = LAYOUTS[corpus]
    what = "manifest (official keys need the name of their corpus)" if corpus == "labels" else f"keys of {corpus}"
    path = find_file(path, layout.places, what)
    trials = {trial.id: trial for _, trial in unique(numbered(path, layout.read(path)))}
    if unlabelled := [trial.id for trial in trials.values() if not trial.label]:
        what = f"{len(unlabelled):,} of {len(trials):,} trials have no label, the first is {unlabelled[0]!r}"
        raise DataError(f"{path}: {what}: keys need the label of every trial")

    known = {trial.facts["phase"] for trial in trials.values() if "phase" in trial.facts}
    phase = phase or ("eval" if "eval" in known else "all")
    chosen = [trial for trial in trials.values() if phase in ("all", trial.facts.get("phase"))]
    if not chosen:
        what = f"the keys have {', '.join(sorted(known))}" if known else "the keys tell no phases"
        raise DataError(f"{path}: no trial of phase {phase}: {what}: use --phase all, or a phase that the keys have")
    asv = layout.find_asv(path, known) if layout.find_asv else None
    others = frozenset(trials).difference(trial.id for trial in chosen)
    return Keys(corpus, path, phase, chosen, others, asv.of_phase(phase) if asv else None)


def _with_phases(read: Callable[[Path], Iterable[Trial]]) -> Callable[[Path], Iterator[Trial]]:
    """The reader with the phase of each trial: ids such as LA_T_1000137 tell it; eval where they do not."""

    def read_with_phases(path: Path) -> Iterator[Trial]:
        for trial in read(path):
            subset = _SUBSET.match(trial.id)
            phase = {"T": "train", "D": "dev"}.get(subset[1], "eval") if subset else "eval"
            yield replace(trial, facts={**trial.facts, "phase": phase})

    return read_with_phases


def _find_asv_2019(path: Path, phases: Collection[str]) -> ASVScores | None:
    """The ASV scores of the same subset; they lie beside the protocol, or in a folder beside its folder."""
    if len(phases) != 1:
        return None
    name = f"ASVspoof2019.LA.asv.{next(iter(phases))}.gi.trl.scores.txt"
    asv_file = _beside(path, (name, f"ASVspoof2019_LA_asv_scores/{name}"))
    return read_asv_2019(asv_file) if asv_file else None


def _find_asv_2021(path: Path, phases: Collection[str]) -> ASVScores | None:
    """The ASV scores and their key in the folder ASV beside CM."""
    score_file, key_file = _beside(path, ("ASV/ASVTorch_Kaldi/score.txt",)), _beside(path, ("ASV/trial_metadata.txt",))
    return read_asv_2021(score_file, key_file) if score_file and key_file else None


def _beside(path: Path, places: Sequence[str]) -> Path | None:
    """The first of `places` that is a file below the folder of `path` or below the folder around that."""
    folder = path.absolute().parent
    candidates = (parent / place for parent in (folder, folder.parent) for place in places)
    return next(filter(Path.is_file, candidates), None)


def _read_labels(path: Path) -> Iterable[Trial]:
    """The trials of a manifest, or of a list with a line `id label` for each."""
    header = read_lines(path)[0].split("\t")
    return read_manifest(path) if len(header) > 1 and "id" in header else read_labelled_list(path)


_SUBSET = re.compile(r"(?:[A-Z]+_)?([TDE])_")
_EVAL_2019LA = "ASVspoof2019.LA.cm.eval.trl.txt"
_PROTOCOLS_2019LA = "ASVspoof2019_LA_cm_protocols"

LAYOUTS = {
    "2019la": KeyLayout(
        (_EVAL_2019LA, f"{_PROTOCOLS_2019LA}/{_EVAL_2019LA}", f"LA/{_PROTOCOLS_2019LA}/{_EVAL_2019LA}"),
        _with_phases(asvspoof2019.read_protocol),
        _find_asv_2019,
    ),
    "2021la": KeyLayout(asvspoof2021.LA_KEY_PLACES, asvspoof2021.read_la_key, _find_asv_2021),
    "2021df": KeyLayout(asvspoof2021.DF_KEY_PLACES, asvspoof2021.read_df_key),
    "in-the-wild": KeyLayout(in_the_wild.KEY_PLACES, _with_phases(in_the_wild.read_key)),
    "asvspoof5": KeyLayout(asvspoof5.KEY_PLACES, _with_phases(asvspoof5.read_protocol)),
    "labels": KeyLayout(("eval.tsv",), _read_labels),
}
