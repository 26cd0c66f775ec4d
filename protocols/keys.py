"""Keys: the labels that scores are evaluated against, from the official files of a corpus or from a list."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .corpora import CORPORA, find_corpus
from .errors import DataError, SettingError
from .files import find_file
from .recordings import check_unique, with_line_numbers
from .speaker_verification import ASVScores
from .trial import Trial

PHASES = ("eval", "progress", "hidden", "all")

_SUBSET = re.compile(r"(?:[A-Z]+_)?([TDE])_")


@dataclass(frozen=True, slots=True)
class Keys:
    """The labelled trials of one phase of a corpus, the ids of its other phases, and the file that they are from.

    Facts of a trial, where the corpus has them: speaker, attack, codec, vocoder, and phase (train, dev, progress, eval
    or hidden). Trials of protocols and lists have no audio. `asv` are the scores of the organisers' ASV system in this
    phase, where they lie beside the keys.
    """

    corpus: str
    path: Path
    phase: str
    trials: Sequence[Trial]
    other_phases: frozenset[str]
    asv: ASVScores | None = None

    @property
    def files(self) -> list[Path]:
        """The files that they were read from, which no command may replace."""
        return [self.path, *([self.asv.path] if self.asv else [])]


def read_keys(corpus: str, path: str | Path, phase: str | None = None) -> Keys:
    """The keys of a corpus, by its name or an alias, from its key file or a folder that holds it, for one of `PHASES`.

    The default phase is eval where the keys have phases and this one, otherwise all.
    Raises DataError on what is not a key file, repeated ids, missing labels, and a phase without trials, SettingError on a
    corpus without keys.
    """
    corpus = find_corpus(corpus)
    if not (layout := corpus.keys):
        raise SettingError(f"{corpus.name} has no keys: choose from {', '.join(corpora_with_keys())}")
    what = "manifest (official keys need the name of their corpus)" if corpus.name == "labels" else f"keys of {corpus.name}"
    path = find_file(path, layout.places, what)
    read = _with_phases(layout.read(path)) if layout.phase_from_id else layout.read(path)
    trials = {trial.id: trial for _, trial in check_unique(with_line_numbers(path, read))}
    if unlabelled := [trial.id for trial in trials.values() if not trial.label]:
        what = f"{len(unlabelled):,} of {len(trials):,} trials have no label, the first is {unlabelled[0]!r}"
        raise DataError(f"{path}: {what}: keys need the label of every trial")

    phases = {trial.facts["phase"] for trial in trials.values() if "phase" in trial.facts}
    phase = phase or ("eval" if "eval" in phases else "all")
    selected = [trial for trial in trials.values() if phase in ("all", trial.facts.get("phase"))]
    if not selected:
        what = f"the keys have {', '.join(sorted(phases))}" if phases else "the keys have no phases"
        raise DataError(f"{path}: no trial of phase {phase}: {what}: use --phase all, or a phase that the keys have")
    asv = layout.asv.find_scores(path, phases) if layout.asv else None
    others = frozenset(trials).difference(trial.id for trial in selected)
    return Keys(corpus.name, path, phase, selected, others, asv.of_phase(phase) if asv else None)


def corpora_with_keys() -> list[str]:
    """The names of the corpora that `read_keys` knows."""
    return [corpus.name for corpus in CORPORA.values() if corpus.keys]


def _with_phases(trials: Iterable[Trial]) -> Iterator[Trial]:
    """The trials with their phase: train or dev where the id says so, as in LA_T_1000137, otherwise eval."""
    for trial in trials:
        subset = _SUBSET.match(trial.id)
        phase = {"T": "train", "D": "dev"}.get(subset[1], "eval") if subset else "eval"
        yield replace(trial, facts={**trial.facts, "phase": phase})
