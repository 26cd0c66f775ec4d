"""Bootstrap resamples of trials or speakers, confidence intervals, and paired comparisons of two systems.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 13 and 15.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sls_plugin.metrics.det import Rates, check_finite

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """The EER of a first system minus that of a second one, its interval, and the two-sided p-value of no difference.

    `resolution` is the lowest p-value that so many samples can have: the true one may lie below it.
    """

    difference: float
    low: float
    high: float
    p_value: float
    resolution: float


def bootstrap_eers(
    scores: ArrayLike, is_bonafide: ArrayLike, n_samples: int, speakers: ArrayLike | None = None, seed: int = 0
) -> Rates:
    """The official EER of S systems on `n_samples` resamples of their trials: an array n_samples x S.

    `scores` is S x N (or N for one system); every system sees the same resamples, which makes their differences paired.
    A resample draws as many bona fide trials and as many spoofs as there are, with replacement; with `speakers`, an
    integer per trial, it draws whole speakers instead, and draws again if a class is lost. Sample i draws
    from `numpy.random.default_rng((seed, i))` only.
    Raises ValueError when a class is empty, arrays differ in length, a speaker is negative or a score is not finite.

    >>> scores, is_bonafide = [3.0, 2.0, 1.0, 0.0], [True, True, False, False]
    >>> bootstrap_eers(scores, is_bonafide, n_samples=3).ravel().tolist()  # the classes are apart in every resample
    [0.0, 0.0, 0.0]
    """
    scores, is_bonafide = np.atleast_2d(scores), np.asarray(is_bonafide, dtype=bool)
    if scores.ndim != 2 or is_bonafide.shape != scores.shape[1:]:
        raise ValueError(f"scores of shape {scores.shape}, but labels of shape {is_bonafide.shape}: give one label per trial")
    check_finite(scores[:, is_bonafide], "bona fide")
    check_finite(scores[:, ~is_bonafide], "spoof")
    bonafide_first = np.argsort(~is_bonafide, kind="stable")
    n_bonafide = int(is_bonafide.sum())
    systems = [_System(system_scores[bonafide_first], n_bonafide) for system_scores in scores]

    def eers(counts: Counts) -> list[float]:
        counts = counts[bonafide_first]
        return [system.eer(counts) for system in systems]

    return map_resamples(eers, is_bonafide, n_samples, speakers, seed).reshape(n_samples, len(systems))


def map_resamples(
    statistic: Callable[[Counts], Sequence[float]],
    is_bonafide: ArrayLike,
    n_samples: int,
    speakers: ArrayLike | None = None,
    seed: int = 0,
) -> Rates:
    """Figures of `n_samples` resamples, drawn as for `bootstrap_eers`: an array n_samples x figures.

    `statistic` computes them from how often each trial is drawn (an integer per trial); it is called from several threads.
    """
    is_bonafide = np.asarray(is_bonafide, dtype=bool)
    draw = _trial_counts(is_bonafide) if speakers is None else _speaker_counts(np.asarray(speakers), is_bonafide)

    def figures(sample: int) -> Sequence[float]:
        return statistic(draw(np.random.default_rng((seed, sample))))

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # numpy releases Python's lock
        return np.array(list(pool.map(figures, range(n_samples))))


def confidence_interval(samples: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval that contains a share `level` of the bootstrap samples of one figure."""
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def compare_paired(eers: ArrayLike, samples: ArrayLike, level: float = 0.95) -> PairedComparison:
    """The difference between two systems from their EERs (a pair) and their `bootstrap_eers` (n_samples x 2).

    The p-value is twice the smaller of two shares of the samples: differences <= 0, and differences >= 0. The original
    trials count as one more sample, so that it is never 0.
    """
    first, second = np.asarray(eers, dtype=np.float64)
    differences = np.subtract(*np.asarray(samples, dtype=np.float64).T)
    smaller_side = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    p_value = min(1.0, 2 * (smaller_side + 1) / (differences.size + 1))
    resolution = 2 / (differences.size + 1)
    return PairedComparison(float(first - second), *confidence_interval(differences, level), p_value, resolution)


class _System:
    """The trials of one system, bona fide first, sorted once; computes EERs of resamples from how often each trial is drawn."""

    def __init__(self, scores: Rates, n_bonafide: int) -> None:
        self.n_bonafide = n_bonafide
        self.order = np.argsort(scores, kind="stable")
        self.bonafide_places = np.flatnonzero(self.order < n_bonafide)
        self.bonafide_order = self.order[self.bonafide_places]

    def eer(self, counts: Counts) -> float:
        """The EER of the resample that holds trial i `counts[i]` times, exactly as `equal_error_rate` gives it.

        From point to point of the DET curve FRR - FAR grows, by 1 / Nb or 1 / Ns: it is closest to 0 at the first point
        where it is not negative, or just before. Times Nb Ns these are whole numbers, and sums of them are exact.
        """
        n_bonafide, n_spoof = int(counts[: self.n_bonafide].sum()), int(counts[self.n_bonafide :].sum())
        steps = np.concatenate([counts[: self.n_bonafide] * n_spoof, counts[self.n_bonafide :] * n_bonafide])
        reached = np.cumsum(steps[self.order])
        meeting = n_bonafide * n_spoof
        place = int(np.searchsorted(reached, meeting))
        before = int(reached[place - 1]) if place else 0
        drawn_before = counts[self.bonafide_order[: np.searchsorted(self.bonafide_places, place)]]
        rejected_bonafide = int(drawn_before.sum())
        rejected_spoof = (before - rejected_bonafide * n_spoof) // n_bonafide
        # The curves meet somewhere among the copies of the trial at `place`.
        is_bonafide = bool(self.order[place] < self.n_bonafide)
        copies = -(-(meeting - before) // (n_spoof if is_bonafide else n_bonafide))
        rates = []
        for n in (copies - 1, copies):
            false_rejection = (rejected_bonafide + n * is_bonafide) / n_bonafide
            false_acceptance = (n_spoof - rejected_spoof - n * (not is_bonafide)) / n_spoof
            rates.append((abs(false_rejection - false_acceptance), (false_rejection + false_acceptance) / 2))
        return min(rates, key=lambda rate: rate[0])[1]  # the first of equals


def _trial_counts(is_bonafide: NDArray[np.bool_]) -> Callable[[np.random.Generator], Counts]:
    """Draws trials within their class: how often each is drawn."""
    places = [np.flatnonzero(in_class) for in_class in (is_bonafide, ~is_bonafide)]

    def draw(generator: np.random.Generator) -> Counts:
        counts = np.zeros(is_bonafide.size, dtype=np.int64)
        for of_class in places:
            counts[of_class] = np.bincount(generator.integers(of_class.size, size=of_class.size), minlength=of_class.size)
        return counts

    return draw


def _speaker_counts(
    speakers: NDArray[np.integer], is_bonafide: NDArray[np.bool_]
) -> Callable[[np.random.Generator], Counts]:
    """Draws whole speakers until both classes are present: how often each trial is drawn."""
    if speakers.shape != is_bonafide.shape:
        raise ValueError(f"{is_bonafide.size} trials, but speakers of shape {speakers.shape}: give one per trial")
    if speakers.min() < 0:
        raise ValueError(f"{np.count_nonzero(speakers < 0)} of {speakers.size} trials have no speaker (a negative code)")
    names, trial_speakers = np.unique(speakers, return_inverse=True)

    def draw(generator: np.random.Generator) -> Counts:
        while True:  # ends, since both classes have speakers
            drawn = generator.integers(names.size, size=names.size)
            counts = np.bincount(drawn, minlength=names.size)[trial_speakers]
            if counts[is_bonafide].any() and counts[~is_bonafide].any():
                return counts

    return draw
