"""Detection error trade-off: the rates of both errors at every threshold, and where they are equal."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Rates = NDArray[np.float64]


def det_curve(bonafide: ArrayLike, spoof: ArrayLike) -> tuple[Rates, Rates, Rates]:
    """False rejection rates, false acceptance rates and thresholds in the official form of the ASVspoof challenges.

    From Nb and Ns scores (higher: more bona fide) come three arrays of Nb + Ns + 1 points, one per trial and not per
    distinct score. Point 0 accepts every trial; point k rejects the k lowest scores, and its threshold is the highest
    score that it rejects. Of equal scores those of bona fide trials are rejected first.
    Raises ValueError when a class is empty or a score is NaN or infinite.
    """
    bonafide, spoof = check_finite(bonafide, "bona fide"), check_finite(spoof, "spoof")
    scores = np.concatenate([bonafide, spoof])
    order = np.argsort(scores, kind="stable")
    return det_curve_of_sorted(scores[order], order < bonafide.size)


def det_curve_of_sorted(scores: Rates, is_bonafide: NDArray[np.bool_]) -> tuple[Rates, Rates, Rates]:
    """The `det_curve` of trials that are already sorted by score, bona fide trials first among equal scores."""
    rejected_bonafide = np.cumsum(is_bonafide)
    rejected_spoof = np.arange(1, scores.size + 1) - rejected_bonafide
    n_bonafide, n_spoof = rejected_bonafide[-1], rejected_spoof[-1]
    false_rejection = np.concatenate([[0.0], rejected_bonafide / n_bonafide])
    false_acceptance = np.concatenate([[1.0], (n_spoof - rejected_spoof) / n_spoof])
    thresholds = np.concatenate([[scores[0] - 0.001], scores])
    return false_rejection, false_acceptance, thresholds


def equal_error_rate(bonafide: ArrayLike, spoof: ArrayLike) -> tuple[float, float]:
    """The equal error rate, a fraction, and its threshold in the official form of the ASVspoof challenges.

    The mean of both rates at the first point of `det_curve` where they are closest: no interpolation, no convex hull.
    As bona fide trials come first among equal scores, ties count against the system: with all scores equal it is 1.

    >>> equal_error_rate(bonafide=[0.2, 1.5, 2.0, 3.1], spoof=[-2.0, -1.0, 0.5, -0.3])
    (0.25, 0.2)
    """
    return eer_at(*det_curve(bonafide, spoof))


def tie_aware_equal_error_rate(bonafide: ArrayLike, spoof: ArrayLike) -> tuple[float, float]:
    """The equal error rate over the thresholds that exist: equal scores are rejected together or not at all.

    Otherwise as `equal_error_rate`, with which it agrees where no scores are equal; with all scores equal it is 0.5.
    """
    false_rejection, false_acceptance, thresholds = det_curve(bonafide, spoof)
    last_of_equals = np.append(thresholds[:-1] != thresholds[1:], True)
    return eer_at(false_rejection[last_of_equals], false_acceptance[last_of_equals], thresholds[last_of_equals])


def interpolated_equal_error_rate(bonafide: ArrayLike, spoof: ArrayLike) -> float:
    """The equal error rate as the Speech Anti-Spoofing Arena defines it: where straight lines between thresholds cross.

    The thresholds are the scores themselves, equal ones together; a trial at a threshold is accepted. Without a crossing it is
    the mean of both rates where they are closest.
    """
    false_rejection, false_acceptance, thresholds = det_curve(bonafide, spoof)
    last_of_equals = np.append(thresholds[:-1] != thresholds[1:], True)
    rejection, acceptance = false_rejection[last_of_equals][:-1], false_acceptance[last_of_equals][:-1]
    excess = acceptance - rejection  # falls from 1
    after = int(np.searchsorted(-excess, 0))
    if after == excess.size:
        return float((rejection[-1] + acceptance[-1]) / 2)
    way = excess[after - 1] / (excess[after - 1] - excess[after])
    return float(rejection[after - 1] + way * (rejection[after] - rejection[after - 1]))


def ties_across_classes(bonafide: ArrayLike, spoof: ArrayLike) -> tuple[int, int]:
    """How many bona fide trials share their score with a spoof, and how many spoofs with a bona fide trial."""
    return int(np.isin(bonafide, spoof).sum()), int(np.isin(spoof, bonafide).sum())


def eer_at(false_rejection: Rates, false_acceptance: Rates, thresholds: Rates) -> tuple[float, float]:
    """The mean of both rates at the first point of a DET curve where they are closest, and its threshold."""
    k = np.argmin(np.abs(false_rejection - false_acceptance))
    return float((false_rejection[k] + false_acceptance[k]) / 2), float(thresholds[k])


def min_cost(costs: Rates, thresholds: Rates) -> tuple[float, float]:
    """The lowest cost along a DET curve and the threshold where it is first met; both NaN if a cost is undefined."""
    k = np.argmin(costs)  # the first NaN, if there is one
    return float(costs[k]), float("nan" if np.isnan(costs[k]) else thresholds[k])


def check_finite(scores: ArrayLike, class_name: str) -> Rates:
    """The scores of one class as a flat array; ValueError when there are none, or one is NaN or infinite."""
    scores = np.asarray(scores, dtype=np.float64).ravel()
    if not scores.size:
        raise ValueError(f"no {class_name} scores: error rates need trials of both classes")
    if bad := int((~np.isfinite(scores)).sum()):
        raise ValueError(f"{bad} of {scores.size} {class_name} scores are NaN or infinite")
    return scores
