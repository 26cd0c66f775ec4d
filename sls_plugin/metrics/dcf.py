"""Detection costs of ASVspoof 5: normalised DCF and Cllr of a countermeasure (track 1), a-DCF of a tandem (track 2).

Source: Wang et al., "ASVspoof 5: crowdsourced speech data, deepfakes, and adversarial attacks at scale" (ASVspoof
Workshop 2024); Brümmer and du Preez, "Application-independent evaluation of speaker detection" (Computer Speech and
Language, 2006) for Cllr; Shim et al., "a-DCF: an architecture agnostic metric with application to spoofing-robust
speaker verification" (Odyssey 2024).
"""

import numpy as np
from numpy.typing import ArrayLike

from sls_plugin.metrics.det import Rates, det_curve, finite, lowest
from sls_plugin.metrics.tdcf import (
    COST_FALSE_ACCEPTANCE,
    COST_MISS,
    COST_SPOOF_ACCEPTANCE,
    PRIOR_NONTARGET,
    PRIOR_SPOOF,
    PRIOR_TARGET,
)

WEIGHT_REJECTION = COST_MISS * (1 - PRIOR_SPOOF)
WEIGHT_ACCEPTANCE = COST_SPOOF_ACCEPTANCE * PRIOR_SPOOF
LLR_THRESHOLD = -float(np.log(WEIGHT_REJECTION / WEIGHT_ACCEPTANCE))


def min_dcf(bonafide: ArrayLike, spoof: ArrayLike) -> tuple[float, float]:
    """The minimum normalised detection cost of a countermeasure and the threshold where it is met; 1: no better than none.

    Raises ValueError as `det_curve` does.
    """
    false_rejection, false_acceptance, thresholds = det_curve(bonafide, spoof)
    return lowest(_normalised_dcf(false_rejection, false_acceptance), thresholds)


def act_dcf(bonafide: ArrayLike, spoof: ArrayLike) -> float:
    """The normalised detection cost of scores taken as natural-log likelihood ratios: at the Bayes threshold -ln 1.9.

    Above `min_dcf` by what bad calibration costs. Raises ValueError as `det_curve` does.
    """
    false_rejection = np.mean(finite(bonafide, "bona fide") < LLR_THRESHOLD)
    false_acceptance = np.mean(finite(spoof, "spoof") >= LLR_THRESHOLD)
    return float(_normalised_dcf(false_rejection, false_acceptance))


def cllr(bonafide: ArrayLike, spoof: ArrayLike) -> float:
    """The cost of natural-log likelihood ratios over all thresholds, in bits; 1 is what scores of 0 cost.

    Raises ValueError as `det_curve` does.
    """
    of_bonafide = np.logaddexp(0, -finite(bonafide, "bona fide")).mean()
    of_spoof = np.logaddexp(0, finite(spoof, "spoof")).mean()
    return float((of_bonafide + of_spoof) / 2 / np.log(2))


def min_adcf(target: ArrayLike, nontarget: ArrayLike, spoof: ArrayLike) -> tuple[float, float]:
    """The minimum normalised architecture-agnostic cost (a-DCF) of a spoofing-robust ASV system, and its threshold.

    From one score per trial: targets are to be accepted, nontargets and spoofs rejected. The points are those of
    `det_curve`; of equal scores those of targets are rejected first. 1 is the better of accepting and rejecting all.
    Raises ValueError when a class is empty or a score is NaN or infinite.
    """
    classes = finite(target, "target"), finite(nontarget, "nontarget"), finite(spoof, "spoof")
    scores = np.concatenate(classes)
    order = np.argsort(scores, kind="stable")
    of_class = np.repeat([0, 1, 2], [of.size for of in classes])[order]
    target_rejection, nontarget_rejection, spoof_rejection = (
        np.append(0, np.cumsum(of_class == k)) / classes[k].size for k in range(3)
    )
    miss_all = COST_MISS * PRIOR_TARGET
    accept_nontargets, accept_spoofs = COST_FALSE_ACCEPTANCE * PRIOR_NONTARGET, COST_SPOOF_ACCEPTANCE * PRIOR_SPOOF
    costs = miss_all * target_rejection
    costs += accept_nontargets * (1 - nontarget_rejection) + accept_spoofs * (1 - spoof_rejection)
    thresholds = np.append(scores[order[0]] - 0.001, scores[order])
    return lowest(costs / min(miss_all, accept_nontargets + accept_spoofs), thresholds)


def _normalised_dcf(false_rejection: Rates, false_acceptance: Rates) -> Rates:
    """Both rates weighted by their costs and priors, over the better of accepting and rejecting every trial."""
    weighted = WEIGHT_REJECTION * false_rejection + WEIGHT_ACCEPTANCE * false_acceptance
    return weighted / min(WEIGHT_REJECTION, WEIGHT_ACCEPTANCE)
