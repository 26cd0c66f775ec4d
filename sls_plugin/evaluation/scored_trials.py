"""Joins a score file with keys, and checks both before anything is computed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from protocols import DataError, Trial
from protocols.corpora import find_corpus
from protocols.files import split_fields
from protocols.keys import Keys
from sls_plugin.scores.extra_columns import column_remedy
from sls_plugin.scores.score_file import read_scores, summarise

AUDIO_SUFFIXES = (".wav", ".flac")


@dataclass(frozen=True, slots=True, eq=False)
class ScoredTrials:
    """The scored trials of a corpus, in the order of its keys.

    `scores` is a float array, `is_bonafide` a boolean array beside it. `n_missing` trials of the keys have no score and
    are left out.
    """

    keys: Keys
    trials: Sequence[Trial]
    scores: np.ndarray
    is_bonafide: np.ndarray
    n_missing: int

    @property
    def bonafide(self) -> np.ndarray:
        """The scores of the bona fide trials."""
        return self.scores[self.is_bonafide]

    @property
    def spoof(self) -> np.ndarray:
        """The scores of the spoofs."""
        return self.scores[~self.is_bonafide]

    def facts(self, name: str) -> list[str]:
        """One fact of each trial, such as its attack; empty where it is unknown."""
        return [trial.facts.get(name, "") for trial in self.trials]

    def restricted_to(self, ids: Collection[str]) -> "ScoredTrials":
        """The same without all other trials, in the keys too; DataError when a class has none left."""
        keep = [index for index, trial in enumerate(self.trials) if trial.id in ids]
        trials = [self.trials[index] for index in keep]
        _require_both_classes(self.keys, self.is_bonafide[keep])
        return ScoredTrials(replace(self.keys, trials=trials), trials, self.scores[keep], self.is_bonafide[keep], n_missing=0)


def read_scored_trials(path: str | Path, keys: Keys, allow_missing: bool = False, negate: bool = False) -> ScoredTrials:
    """The trials of the keys with the scores of a file; with `negate` all scores change their sign.

    Raises DataError on a file that `read_scores` refuses, ids that are not in the keys, trials without a score
    (unless `allow_missing`, which leaves them out), and a class without trials.
    """
    scores = _matched(path, read_scores(path), keys, allow_missing)
    trials = [trial for trial in keys.trials if trial.id in scores]
    values = np.array([scores[trial.id] for trial in trials]) * (-1 if negate else 1)
    is_bonafide = np.array([trial.label == "bonafide" for trial in trials], dtype=bool)
    _require_both_classes(keys, is_bonafide)
    return ScoredTrials(keys, trials, values, is_bonafide, len(keys.trials) - len(trials))


def _require_both_classes(keys: Keys, is_bonafide: np.ndarray) -> None:
    if is_bonafide.all() or not is_bonafide.any():
        what = f"{is_bonafide.size:,} trials with a score, of which {is_bonafide.sum():,} are bona fide"
        raise DataError(f"{keys.path}: {what}: error rates need trials of both classes")


def _matched(path: str | Path, scores: Mapping[str, float], keys: Keys, allow_missing: bool) -> Mapping[str, float]:
    """The scores under the ids of the keys; DataError unless each score has a trial and each trial a score."""
    selected = {trial.id for trial in keys.trials}
    scores = _rename_to_keys(scores, selected | keys.other_phases, find_corpus(keys.corpus).keys.arena_prefix)
    missing = [repr(trial.id) for trial in keys.trials if trial.id not in scores]
    unknown = [name for name in scores if name not in selected and name not in keys.other_phases]
    if not unknown and (allow_missing or not missing):
        return scores
    problems = [
        summarise([repr(name) for name in unknown], "id is not in the keys", "ids are not in the keys"),
        summarise(missing, "trial of the keys has no score", "trials of the keys have no score"),
    ]
    raise DataError(f"{path}: {', '.join(filter(None, problems))}: {_remedy(unknown, scores, selected)}")


def _remedy(unknown: Collection[str], scores: Mapping[str, float], key_ids: Collection[str]) -> str:
    """What to do about unknown ids, or about missing trials where there are none."""
    if unknown and all(split_fields(name)[0] in key_ids for name in unknown):
        return column_remedy(f"{name} {scores[name]!r}" for name in unknown)
    if unknown:
        return "check that the keys and the scores are of the same corpus"
    return "score them, or evaluate the rest with --allow-missing"


def _rename_to_keys(scores: Mapping[str, float], key_ids: Collection[str], prefix: str) -> Mapping[str, float]:
    """The scores with an audio suffix added to or removed from an id, and a prefix removed, where the keys spell it that way."""
    renamed = dict(scores)
    for name in scores:
        if name not in key_ids:
            stem = name.removeprefix(prefix)
            spellings = (*(stem.removesuffix(s) for s in AUDIO_SUFFIXES), *(stem + s for s in AUDIO_SUFFIXES))
            spelling = next((spelling for spelling in spellings if spelling in key_ids), name)
            if spelling not in scores and spelling not in renamed:
                renamed[spelling] = renamed.pop(name)
    return renamed
