"""Tandem detection cost function (t-DCF): the cost of a countermeasure in front of a given speaker verification system.

Source: Kinnunen et al., "t-DCF: a detection cost function for the tandem assessment of spoofing countermeasures and
automatic speaker verification" (Odyssey 2018), and "Tandem assessment of spoofing countermeasures and automatic
speaker verification: fundamentals" (IEEE/ACM TASLP 2020), with the priors and costs of ASVspoof 2019 and 2021.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from sls_plugin.metrics.det import Rates, check_finite, det_curve, equal_error_rate, min_cost

PRIOR_SPOOF = 0.05
PRIOR_TARGET = 0.95 * 0.99
PRIOR_NONTARGET = 0.95 * 0.01
COST_MISS = 1
COST_FALSE_ACCEPTANCE = 10
COST_SPOOF_ACCEPTANCE = 10


@dataclass(frozen=True, slots=True)
class ASVErrorRates:
    """How often an automatic speaker verification (ASV) system rejects targets and accepts nontargets and spoofs."""

    miss: float
    false_acceptance: float
    spoof_acceptance: float


@dataclass(frozen=True, slots=True)
class TDCFCoefficients:
    """The weights of the t-DCF of 2021: `c0` the cost of the ASV system alone, `c1` of misses, `c2` of accepted spoofs."""

    c0: float
    c1: float
    c2: float


def asv_error_rates(target: ArrayLike, nontarget: ArrayLike, spoof: ArrayLike) -> ASVErrorRates:
    """The error rates of an ASV system, from its scores of each class, at its own EER threshold.

    A rate without trials is NaN; without targets or nontargets there is no threshold, and all are NaN.
    Raises ValueError when a score is NaN or infinite.
    """
    return asv_error_rates_at(asv_threshold(target, nontarget), target, nontarget, spoof)


def asv_threshold(target: ArrayLike, nontarget: ArrayLike) -> float:
    """The EER threshold of an ASV system, targets against nontargets; NaN where a class is empty."""
    if not np.size(target) or not np.size(nontarget):
        return np.nan
    return equal_error_rate(target, nontarget)[1]


def asv_error_rates_at(threshold: float, target: ArrayLike, nontarget: ArrayLike, spoof: ArrayLike) -> ASVErrorRates:
    """The error rates of an ASV system that accepts scores from `threshold` on, as `asv_error_rates` otherwise."""
    return ASVErrorRates(
        miss=1 - _accepted(target, threshold, "target"),
        false_acceptance=_accepted(nontarget, threshold, "nontarget"),
        spoof_acceptance=_accepted(spoof, threshold, "spoof"),
    )


def tdcf_coefficients(rates: ASVErrorRates) -> TDCFCoefficients:
    """C0, C1 and C2 of the t-DCF in its form of 2021, NaN where they need a rate that is NaN."""
    c0 = PRIOR_TARGET * COST_MISS * rates.miss + PRIOR_NONTARGET * COST_FALSE_ACCEPTANCE * rates.false_acceptance
    return TDCFCoefficients(
        c0=c0,
        c1=PRIOR_TARGET * COST_MISS - c0,
        c2=PRIOR_SPOOF * COST_SPOOF_ACCEPTANCE * rates.spoof_acceptance,
    )


def normalised_tdcf(false_rejection: Rates, false_acceptance: Rates, coefficients: TDCFCoefficients) -> Rates:
    """The t-DCF at each point of a countermeasure's DET curve; 1 is the cost of accepting or rejecting every trial.

    Of these two the cheaper one is the reference. NaN where a coefficient is NaN, and where the reference costs nothing.
    """
    c0, c1, c2 = coefficients.c0, coefficients.c1, coefficients.c2
    without_countermeasure = c0 + np.minimum(c1, c2)
    if without_countermeasure == 0:
        return np.full_like(false_rejection, np.nan)
    return (c0 + c1 * false_rejection + c2 * false_acceptance) / without_countermeasure


def min_tdcf_2021(bonafide: ArrayLike, spoof: ArrayLike, rates: ASVErrorRates) -> tuple[float, float]:
    """The minimum normalised t-DCF in the form of ASVspoof 2021 (TASLP 2020) and the threshold where it is met.

    From the countermeasure's scores of each class and the error rates of the ASV system; NaN as `normalised_tdcf`.
    Raises ValueError as `det_curve` does.

    >>> asv = ASVErrorRates(miss=0.02, false_acceptance=0.02, spoof_acceptance=0.3)
    >>> cost, threshold = min_tdcf_2021(bonafide=[0.2, 1.5, 2.0, 3.1], spoof=[-2.0, -1.0, 0.5, -0.3], rates=asv)
    >>> round(cost, 4), threshold
    (0.341, -0.3)
    """
    return _min_tdcf(bonafide, spoof, tdcf_coefficients(rates))


def min_tdcf_2019(bonafide: ArrayLike, spoof: ArrayLike, rates: ASVErrorRates) -> tuple[float, float]:
    """The minimum normalised t-DCF in the form of ASVspoof 2019 (Odyssey 2018) and the threshold where it is met.

    With the costs of the challenge it is the form of 2021 without C0. NaN where a rate is NaN.
    Raises ValueError as `det_curve` does, and where C1 or C2 is not positive: there this form is not defined.
    """
    coefficients = tdcf_coefficients(rates)
    if coefficients.c1 <= 0 or coefficients.c2 <= 0:
        raise ValueError(
            f"the 2019 form of the t-DCF needs C1 and C2 above 0, and this ASV system gives C1 = {coefficients.c1:.4g}, "
            f"C2 = {coefficients.c2:.4g}: check the sign of its scores, or use the form of 2021"
        )
    return _min_tdcf(bonafide, spoof, replace(coefficients, c0=0.0))


def _min_tdcf(bonafide: ArrayLike, spoof: ArrayLike, coefficients: TDCFCoefficients) -> tuple[float, float]:
    """The lowest value of the normalised t-DCF along the DET curve, and its threshold."""
    false_rejection, false_acceptance, thresholds = det_curve(bonafide, spoof)
    return min_cost(normalised_tdcf(false_rejection, false_acceptance, coefficients), thresholds)


def _accepted(scores: ArrayLike, threshold: float, class_name: str) -> float:
    """The share of the scores that reach the threshold; NaN without scores or without a threshold."""
    if np.isnan(threshold) or not np.size(scores):
        return np.nan
    return float(np.mean(check_finite(scores, class_name) >= threshold))
