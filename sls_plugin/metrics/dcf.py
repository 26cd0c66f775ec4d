"""Detection costs of ASVspoof 5, track 1: normalised DCF and Cllr of a countermeasure.

Source: Wang et al., "ASVspoof 5: crowdsourced speech data, deepfakes, and adversarial attacks at scale" (ASVspoof
Workshop 2024); Brümmer and du Preez, "Application-independent evaluation of speaker detection" (Computer Speech and
Language, 2006) for Cllr.
"""

import numpy as np
from numpy.typing import ArrayLike

from sls_plugin.metrics.det import Rates, check_finite, det_curve, min_cost
from sls_plugin.metrics.tdcf import COST_MISS, COST_SPOOF_ACCEPTANCE, PRIOR_SPOOF

WEIGHT_REJECTION = COST_MISS * (1 - PRIOR_SPOOF)
WEIGHT_ACCEPTANCE = COST_SPOOF_ACCEPTANCE * PRIOR_SPOOF
LLR_THRESHOLD = -float(np.log(WEIGHT_REJECTION / WEIGHT_ACCEPTANCE))


def min_dcf(bonafide: ArrayLike, spoof: ArrayLike) -> tuple[float, float]:
    """The minimum normalised detection cost of a countermeasure, and its threshold; 1 is no better than none.

    Raises ValueError as `det_curve` does.
    """
    false_rejection, false_acceptance, thresholds = det_curve(bonafide, spoof)
    return min_cost(_normalised_dcf(false_rejection, false_acceptance), thresholds)


def act_dcf(bonafide: ArrayLike, spoof: ArrayLike) -> float:
    """The normalised detection cost of scores taken as natural-log likelihood ratios: at the Bayes threshold -ln 1.9.

    What it exceeds `min_dcf` by is the cost of poor calibration. Raises ValueError as `det_curve` does.
    """
    false_rejection = np.mean(check_finite(bonafide, "bona fide") < LLR_THRESHOLD)
    false_acceptance = np.mean(check_finite(spoof, "spoof") >= LLR_THRESHOLD)
    return float(_normalised_dcf(false_rejection, false_acceptance))


def cllr(bonafide: ArrayLike, spoof: ArrayLike) -> float:
    """The cost of natural-log likelihood ratios over all thresholds, in bits; an uninformative system, with scores of 0, costs 1.

    Raises ValueError as `det_curve` does.

    >>> cllr(bonafide=[0.0, 0.0], spoof=[0.0])
    1.0
    """
    bonafide_cost = np.logaddexp(0, -check_finite(bonafide, "bona fide")).mean()
    spoof_cost = np.logaddexp(0, check_finite(spoof, "spoof")).mean()
    return float((bonafide_cost + spoof_cost) / 2 / np.log(2))


def _normalised_dcf(false_rejection: Rates, false_acceptance: Rates) -> Rates:
    """Both rates weighted by their costs and priors, over the better of accepting and rejecting every trial."""
    weighted = WEIGHT_REJECTION * false_rejection + WEIGHT_ACCEPTANCE * false_acceptance
    return weighted / min(WEIGHT_REJECTION, WEIGHT_ACCEPTANCE)
