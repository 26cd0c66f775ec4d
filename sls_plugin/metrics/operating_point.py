"""Operating points: thresholds for given error rates, how sure these rates are, and whether a detector beats chance.

Sources: Vovk, "Conditional validity of inductive conformal predictors" (ACML 2012) for thresholds that hold on fresh trials;
DeLong et al. (Biometrics, 1988) and Obuchowski (Biometrics, 1997) for the AUC, by trial and by speaker; Clopper and Pearson
(Biometrika, 1934) and Korn and Graubard (Survey Methodology, 1998) for error rates, by trial and by speaker.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.stats import beta, rankdata
from scipy.stats import t as student

from sls_plugin.metrics.bootstrap import Counts
from sls_plugin.metrics.det import Rates, check_finite

TINY = np.finfo(float).tiny  # a variance that can be divided by
Speakers = NDArray[np.integer]  # an integer per trial


@dataclass(frozen=True, slots=True)
class Share:
    """A share of trials with its 95 % interval; as many trials more as `n_more` would halve the interval."""

    value: float
    interval: tuple[float, float]
    count: int
    n_trials: int
    n_more: int


class Cuts:
    """All thresholds that distinguish N trials, midway between neighbouring scores, and the errors at each.

    A trial is judged bona fide when its score is above the threshold. `thresholds` ascend; the first accepts every trial, the
    last rejects every trial. Equal scores are never separated. Raises ValueError as `det_curve` does.
    """

    def __init__(self, scores: ArrayLike, is_bonafide: ArrayLike) -> None:
        scores, self.is_bonafide = np.asarray(scores, dtype=np.float64), np.asarray(is_bonafide, dtype=bool)
        check_finite(scores[self.is_bonafide], "bona fide")
        check_finite(scores[~self.is_bonafide], "spoof")
        distinct, self.places = np.unique(scores, return_inverse=True)
        below = np.nextafter(distinct, -np.inf)
        between = np.minimum((distinct[:-1] + distinct[1:]) / 2, below[1:])  # the mean of neighbouring numbers is one of them
        self.thresholds: Rates = np.concatenate([below[:1], between, distinct[-1:]])

    def errors(self, counts: Counts | None = None) -> tuple[Rates, Rates]:
        """The bona fide trials rejected and the spoofs accepted at each threshold; trial i counts `counts[i]` times, or once."""
        counts = np.ones(self.places.size) if counts is None else counts
        rejected, rejected_spoofs = (
            np.concatenate([[0], np.cumsum(np.bincount(self.places[of], counts[of], minlength=self.thresholds.size - 1))])
            for of in (self.is_bonafide, ~self.is_bonafide)
        )
        return rejected, rejected_spoofs[-1] - rejected_spoofs


def at_equal_rates(rejected: Rates, accepted: Rates) -> int:
    """The position among the `Cuts` where both error rates are closest."""
    return int(np.argmin(np.abs(rejected / rejected[-1] - accepted / accepted[0])))


def rejecting_at_most(share: float, rejected: Rates) -> int:
    """The position of the highest threshold that rejects a fresh bona fide trial with a probability of at most `share`.

    The probability is over draws of the labelled trials and of the fresh one. It holds for every distribution of scores, when
    the fresh trial is drawn like the labelled ones, of which there are at least `fewest_trials(share)`.
    """
    return int(np.searchsorted(rejected, _allowed(share, rejected[-1]), side="right")) - 1


def accepting_at_most(share: float, accepted: Rates) -> int:
    """The position of the lowest threshold that accepts a fresh spoof with a probability of at most `share`, likewise."""
    return int(np.searchsorted(-accepted, -_allowed(share, accepted[0]), side="left"))


def fewest_trials(share: float) -> int:
    """How many labelled trials of a class are needed to limit its error rate to `share`.

    >>> fewest_trials(0.01)
    99
    """
    return math.ceil(round(1 / share, 9)) - 1


def _allowed(share: float, n_trials: float) -> int:
    """The errors among the labelled trials: one less than a fresh trial, ranked among them, may be wrong in."""
    return max(0, math.floor(round(share * (n_trials + 1), 9)) - 1)


def auc_above_chance(scores: ArrayLike, is_bonafide: ArrayLike, speakers: Speakers | None = None) -> tuple[float, float]:
    """The area under the ROC curve, and the one-sided p-value of chance: a test by trial, or by speaker.

    The area is the probability that a bona fide trial scores higher than a spoof, half of the ties included. The test is
    Student's, with as many degrees of freedom as the class with fewer speakers (or trials) has, minus one.
    Raises ValueError as `det_curve` does.
    """
    scores, is_bonafide = np.asarray(scores, dtype=np.float64), np.asarray(is_bonafide, dtype=bool)
    bonafide, spoof = check_finite(scores[is_bonafide], "bona fide"), check_finite(scores[~is_bonafide], "spoof")
    ranks = rankdata(scores)
    above = (ranks[is_bonafide] - rankdata(bonafide)) / spoof.size  # of each bona fide trial, the share of spoofs below it
    below = 1 - (ranks[~is_bonafide] - rankdata(spoof)) / bonafide.size
    auc = float(above.mean())
    influence = np.empty(scores.size)
    influence[is_bonafide], influence[~is_bonafide] = (above - auc) / bonafide.size, (below - auc) / spoof.size
    units = np.arange(scores.size) if speakers is None else speakers
    freedom = min(np.unique(units[in_class]).size for in_class in (is_bonafide, ~is_bonafide)) - 1
    deviation = math.sqrt(_variance(influence, units))
    if deviation == 0 or freedom == 0:
        return auc, float(auc <= 0.5 or freedom == 0)
    return auc, float(student.sf((auc - 0.5) / deviation, freedom))


def share_of(happens: ArrayLike, speakers: Speakers | None = None, level: float = 0.95) -> Share:
    """The share of trials in which something happens (a boolean per trial), with an interval, exact when trials are independent.

    With `speakers` the trials of one speaker may resemble each other: the interval is that of so many independent trials as
    have the same variance. Where it happens in no trial or in all, nothing is known of that, and trials count as independent.
    """
    happens = np.asarray(happens, dtype=bool)
    n_trials, value = happens.size, float(happens.mean())
    n_independent = float(n_trials)
    if speakers is not None and 0 < value < 1:
        variance = max(_variance((happens - value) / n_trials, speakers), TINY)
        tails = student.ppf((1 + level) / 2, [n_trials - 1, max(1, np.unique(speakers).size - 1)])
        n_independent = min(n_independent, value * (1 - value) / variance * (tails[0] / tails[1]) ** 2)
    low, high = _exact_interval(value, n_independent, level)

    def excess(factor: float) -> float:
        narrower = _exact_interval(value, factor * n_independent, level)
        return narrower[1] - narrower[0] - (high - low) / 2

    n_more = math.ceil((brentq(excess, 1, 1000) - 1) * n_trials)
    return Share(value, (low, high), int(happens.sum()), n_trials, n_more)


def risk_coverage(scores: ArrayLike, is_bonafide: ArrayLike) -> tuple[Rates, Rates, Rates]:
    """What abstaining costs and gains: the errors allowed in each class, the share decided, and the error rate among the decided.

    Of each class at most a share `errors` is judged wrongly: below the one threshold a trial is spoof, above the other bona
    fide, between them undecided. Both classes count alike. The last point decides every trial, at the equal error rate.
    Raises ValueError as `det_curve` does.
    """
    cuts = Cuts(scores, is_bonafide)
    rejected, accepted = cuts.errors()
    rejected, accepted = rejected / rejected[-1], accepted / accepted[0]
    meeting = int(np.argmin(np.abs(rejected - accepted)))
    errors = np.unique(np.concatenate([rejected[: meeting + 1], accepted[meeting:]]))
    low = np.minimum(np.searchsorted(rejected, errors, side="right") - 1, meeting)
    high = np.maximum(np.searchsorted(-accepted, -errors, side="left"), meeting)
    wrong = (rejected[low] + accepted[high]) / 2
    coverage = wrong + (1 - rejected[high] + 1 - accepted[low]) / 2
    return errors, coverage, np.divide(wrong, coverage, out=np.zeros_like(wrong), where=coverage > 0)


def _variance(influence: Rates, units: Speakers) -> float:
    """The variance of a figure from the influence of each trial on it, the trials of one speaker (or each trial) together."""
    sums = np.bincount(np.unique(units, return_inverse=True)[1], influence)
    return float(sums @ sums * sums.size / max(1, sums.size - 1))


def _exact_interval(share: float, n_trials: float, level: float) -> tuple[float, float]:
    """The interval of Clopper and Pearson; the number of trials need not be whole."""
    count, tail = share * n_trials, (1 - level) / 2
    low = 0.0 if share == 0 else float(beta.ppf(tail, count, n_trials - count + 1))
    high = 1.0 if share == 1 else float(beta.ppf(1 - tail, count + 1, n_trials - count))
    return low, high
