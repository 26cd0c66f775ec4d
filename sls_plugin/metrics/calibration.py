"""Calibration and linear fusion: from scores of one or several systems to natural-log likelihood ratios.

Source: Brümmer and du Preez, "Application-independent evaluation of speaker detection" (Computer Speech and Language,
2006); Brümmer et al., "Fusion of heterogeneous speaker recognition systems in the STBU submission for the NIST speaker
recognition evaluation 2006" (IEEE TASLP, 2007).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import expit, logit

from sls_plugin.metrics.det import Rates, check_finite

# When scores separate the classes, as those of a good detector may on a development set, the likelihood grows with the
# weights without bound. This penalty limits log-likelihood ratios to about ten; otherwise it changes less than the third
# digit. It also shares the weight between systems with equal scores.
RIDGE = 1e-6
TOLERANCE = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """An affine map from the scores of K systems to log-likelihood ratios; with a negative weight, higher scores mean spoof."""

    weights: Rates
    offset: float

    def apply(self, scores: ArrayLike) -> Rates:
        """Natural-log likelihood ratios, bona fide over spoof, of N trials from scores N x K (or N for one system).

        Raises ValueError when K differs from that of the fit.
        """
        scores = _per_system(scores)
        if scores.shape[1] != self.weights.size:
            raise ValueError(f"scores of {scores.shape[1]} systems for a calibration of {self.weights.size}")
        return scores @ self.weights + self.offset


def fit_calibration(
    bonafide: ArrayLike, spoof: ArrayLike, prior: float = 0.5, start: Calibration | None = None
) -> Calibration:
    """Logistic regression on scores N x K (or N) of each class, the classes weighted to `prior` (of bona fide).

    K = 1 calibrates one system, K > 1 fuses several. A positive weight keeps the order of the trials. Classes that the
    scores separate completely give large but finite ratios. The search begins at `start`, which saves time where it is near.
    Raises ValueError when a class is empty, a score is NaN or infinite, K differs or `prior` is not between 0 and 1.

    >>> calibration = fit_calibration(bonafide=[0.2, 1.5, 2.0, 3.1], spoof=[-2.0, -1.0, 0.5, -0.3])
    >>> calibration.apply([-1.0, 2.0]).round().tolist()
    [-4.0, 4.0]
    """
    bonafide, spoof = _per_system(bonafide), _per_system(spoof)
    if bonafide.shape[1] != spoof.shape[1]:
        raise ValueError(f"bona fide scores of {bonafide.shape[1]} systems, spoof scores of {spoof.shape[1]}")
    if not 0 < prior < 1:
        raise ValueError(f"the prior of bona fide must be between 0 and 1, got {prior}")
    check_finite(bonafide, "bona fide")
    check_finite(spoof, "spoof")
    scores = np.concatenate([bonafide, spoof])
    centre, spread = scores.mean(axis=0), scores.std(axis=0)
    spread[np.ptp(scores, axis=0) == 0] = 1  # a system with one score for every trial: the penalty gives it weight 0
    inputs = np.column_stack([(scores - centre) / spread, np.ones(len(scores))])
    is_bonafide = np.arange(len(scores)) < len(bonafide)
    begin = np.zeros(inputs.shape[1]) if start is None else np.append(start.weights * spread, start.apply([centre]))
    *weights, offset = _logistic_regression(inputs, is_bonafide, prior, begin)
    weights = np.array(weights) / spread
    return Calibration(weights, float(offset - weights @ centre))


def _logistic_regression(inputs: Rates, is_bonafide: np.ndarray, prior: float, start: Rates) -> Rates:
    """The coefficients, the last of which is the offset, that predict the class with the least cross-entropy."""
    trial_weights = np.where(is_bonafide, prior / is_bonafide.sum(), (1 - prior) / (~is_bonafide).sum())
    trial_weights /= min(prior, 1 - prior)  # so that penalty and tolerance mean the same for every prior
    signs = np.where(is_bonafide, 1.0, -1.0)
    penalty = RIDGE * np.append(np.ones(inputs.shape[1] - 1), 0)

    def log_odds(coefficients: Rates) -> Rates:
        return inputs @ coefficients + logit(prior)

    def cost(coefficients: Rates) -> float:
        cross_entropy = trial_weights @ np.logaddexp(0, -signs * log_odds(coefficients))
        return cross_entropy + penalty @ coefficients**2 / 2

    def gradient(coefficients: Rates) -> Rates:
        residuals = expit(log_odds(coefficients)) - is_bonafide
        return (trial_weights * residuals) @ inputs + penalty * coefficients

    def hessian(coefficients: Rates) -> Rates:
        posterior = expit(log_odds(coefficients))
        return (inputs.T * (trial_weights * posterior * (1 - posterior))) @ inputs + np.diag(penalty)

    found = minimize(cost, start, jac=gradient, hess=hessian, method="trust-exact", options={"gtol": TOLERANCE})
    # Rounding may stop it before that tolerance. What counts is how far it is above the least cost: the Newton decrement.
    if found.jac @ np.linalg.solve(found.hess, found.jac) > TOLERANCE:
        raise ValueError(f"calibration does not converge ({found.message}): check the scores for extreme values")
    return found.x


def _per_system(scores: ArrayLike) -> Rates:
    """The scores as an array N x K."""
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim == 1:
        scores = scores[:, np.newaxis]
    if scores.ndim != 2:
        raise ValueError(f"scores must have shape N trials x K systems, got {scores.shape}")
    return scores
