"""How well the classes are told apart by what has nothing to do with the voice.

Source: Müller et al., "Speech is Silver, Silence is Golden: What do ASVspoof-trained Models Really Learn?" (ASVspoof 2021).
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sls_plugin.audit.clip_facts import ClipFacts
from sls_plugin.metrics.bootstrap import bootstrap_eers, confidence_interval
from sls_plugin.metrics.det import equal_error_rate

N_FOLDS = 5
FEWEST = 10  # clips of a class
N_RESAMPLES = 300


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A trivial classifier: its cross-validated EER (a fraction) with its 95 % interval."""

    name: str
    eer: float
    low: float
    high: float

    @property
    def is_better_than_chance(self) -> bool:
        return self.high < 0.5


def features(clips: Sequence[ClipFacts]) -> dict[str, np.ndarray]:
    """What each trivial classifier sees: clips x values."""
    rate_of_bytes = [clip.n_bytes / max(clip.duration, 0.01) for clip in clips]
    columns = {
        "leading silence": [clip.leading_silence for clip in clips],
        "trailing silence": [clip.trailing_silence for clip in clips],
        "duration": [clip.duration for clip in clips],
        "level": [clip.level for clip in clips],
        "DC offset": [clip.dc for clip in clips],
        "bandwidth": [clip.bandwidth for clip in clips],
        "bytes per second": rate_of_bytes,
    }
    matrices = {name: np.array(values, dtype=np.float64)[:, None] for name, values in columns.items()}
    formats = [(clip.sample_rate, clip.format) for clip in clips]
    kinds = sorted({*formats})
    matrices["format of the file"] = np.array([[found == kind for kind in kinds] for found in formats], dtype=np.float64)
    return matrices | {"all together": np.hstack(list(matrices.values()))}


def find_shortcuts(clips: Sequence[ClipFacts]) -> list[Shortcut]:
    """The EER of each trivial classifier on the labelled clips that can be read; none where a class has too few."""
    clips = [clip for clip in clips if clip.label and clip.sha256]
    is_bonafide = np.array([clip.label == "bonafide" for clip in clips], dtype=bool)
    if min(is_bonafide.sum(), (~is_bonafide).sum()) < FEWEST:
        return []
    seen = {name: matrix for name, matrix in features(clips).items() if np.ptp(matrix, axis=0).any()}
    return [_shortcut(name, matrix, is_bonafide, clips) for name, matrix in seen.items()]


def _shortcut(name: str, matrix: np.ndarray, is_bonafide: np.ndarray, clips: Sequence[ClipFacts]) -> Shortcut:
    speakers = _speakers(clips, is_bonafide)
    scores = cross_validated(matrix, is_bonafide, speakers)
    eer = equal_error_rate(scores[is_bonafide], scores[~is_bonafide])[0]
    low, high = confidence_interval(bootstrap_eers(scores, is_bonafide, N_RESAMPLES, speakers)[:, 0])
    return Shortcut(name, eer, low, high)


def _speakers(clips: Sequence[ClipFacts], is_bonafide: np.ndarray) -> np.ndarray | None:
    """A number per speaker, none of whom is in two folds, and who are resampled whole; None where they are unknown or too few."""
    names, speakers = np.unique([clip.speaker for clip in clips], return_inverse=True)
    few = min(len({*speakers[is_bonafide]}), len({*speakers[~is_bonafide]})) < N_FOLDS
    return None if few or "" in names else speakers


def cross_validated(matrix: np.ndarray, is_bonafide: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """The score of each clip by a logistic regression on values and their squares, that was fitted without its fold."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    classifier = make_pipeline(
        StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler(),
        LogisticRegression(class_weight="balanced", max_iter=500),
    )  # fmt: skip
    folds = (StratifiedKFold if groups is None else StratifiedGroupKFold)(N_FOLDS, shuffle=True, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a solver that stops early, which costs a shortcut little
        return cross_val_predict(classifier, matrix, is_bonafide, groups=groups, cv=folds, method="decision_function")


def as_rows(shortcuts: Mapping[str, Sequence[Shortcut]]) -> list[dict[str, object]]:
    """The shortcuts of all splits for a JSON file."""
    return [
        {"split": split, "shortcut": item.name, "eer": item.eer, "low": item.low, "high": item.high}
        for split, items in shortcuts.items() for item in items
    ]  # fmt: skip
