"""Calibration and fusion on data whose true likelihood ratios are known, against scikit-learn, and at their limits."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit

from sls_plugin.metrics.calibration import Calibration, fit_calibration
from sls_plugin.metrics.dcf import act_dcf, cllr, min_dcf
from sls_plugin.metrics.det import equal_error_rate

# Whole numbers, so that an affine map keeps different scores different.
SCORES = st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=30)


def gaussian_llrs(n, variance, seed):
    """Log-likelihood ratios of bona fide trials and of spoofs, both normal: their means are half their variance."""
    generator = np.random.default_rng(seed)
    deviation = math.sqrt(variance)
    return generator.normal(variance / 2, deviation, n), generator.normal(-variance / 2, deviation, n)


def weighted_cross_entropy(calibration, bonafide, spoof, prior):
    """The objective in a plain loop."""
    cost = 0.0
    for score in bonafide:
        cost += prior / len(bonafide) * math.log1p(math.exp(-(calibration.apply([score])[0] + logit(prior))))
    for score in spoof:
        cost += (1 - prior) / len(spoof) * math.log1p(math.exp(calibration.apply([score])[0] + logit(prior)))
    return cost


@pytest.mark.parametrize("prior", [0.5, 0.05, 0.9])
def test_known_likelihood_ratios_are_recovered_from_scores_that_hide_them(prior):
    bonafide, spoof = gaussian_llrs(20_000, 4, seed=0)
    calibration = fit_calibration(bonafide / 5 - 3, spoof / 5 - 3, prior)
    assert calibration.weights == pytest.approx([5], rel=0.05)
    assert calibration.offset == pytest.approx(15, rel=0.05)


@pytest.mark.parametrize("prior", [0.5, 0.05])
def test_no_other_line_has_a_lower_cost(prior):
    bonafide, spoof = gaussian_llrs(200, 4, seed=1)
    fitted = fit_calibration(bonafide, spoof, prior)
    cost = weighted_cross_entropy(fitted, bonafide, spoof, prior)
    for weight, offset in [(0.02, 0), (-0.02, 0), (0, 0.02), (0, -0.02), (0.02, 0.02), (-0.02, 0.02)]:
        other = Calibration(fitted.weights + weight, fitted.offset + offset)
        assert weighted_cross_entropy(other, bonafide, spoof, prior) > cost


@pytest.mark.parametrize("start", [Calibration(np.array([5.0]), 15.0), Calibration(np.array([-300.0]), 1e4)])
def test_where_the_search_begins_does_not_matter(start):
    bonafide, spoof = (scores / 5 - 3 for scores in gaussian_llrs(300, 4, seed=11))
    found, again = fit_calibration(bonafide, spoof, 0.2), fit_calibration(bonafide, spoof, 0.2, start)
    assert again.weights == pytest.approx(found.weights, rel=1e-5)
    assert again.offset == pytest.approx(found.offset, rel=1e-5)


def test_fusion_is_that_of_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    generator = np.random.default_rng(2)
    bonafide = generator.multivariate_normal([1, 20, 0], np.diag([1, 100, 4]) + 0.5, 300)
    spoof = generator.multivariate_normal([-1, 0, 0], np.diag([1, 100, 4]) + 0.5, 1000)
    calibration = fit_calibration(bonafide, spoof, prior=0.1)
    labels = np.arange(1300) < 300
    regression = linear_model.LogisticRegression(C=1e12, tol=1e-10, max_iter=10_000)
    regression.fit(np.concatenate([bonafide, spoof]), labels, sample_weight=np.where(labels, 0.1 / 300, 0.9 / 1000) * 1e3)
    np.testing.assert_allclose(calibration.weights, regression.coef_[0], rtol=1e-3)
    assert calibration.offset == pytest.approx(regression.intercept_[0] - logit(0.1), rel=1e-3)


def test_fusion_of_independent_systems_is_better_than_each():
    bonafide, spoof = (np.stack(of, axis=1) for of in zip(*(gaussian_llrs(5000, 3, seed) for seed in (3, 4)), strict=True))
    fused = fit_calibration(bonafide, spoof)
    assert fused.weights == pytest.approx([1, 1], rel=0.1)
    alone = [equal_error_rate(bonafide[:, k], spoof[:, k])[0] for k in range(2)]
    assert equal_error_rate(fused.apply(bonafide), fused.apply(spoof))[0] < min(alone) - 0.05


def test_systems_that_say_the_same_share_the_weight():
    bonafide, spoof = gaussian_llrs(500, 4, seed=5)
    alone = fit_calibration(bonafide, spoof)
    twice = fit_calibration(np.stack([bonafide, bonafide], axis=1), np.stack([spoof, spoof], axis=1))
    assert twice.weights == pytest.approx([alone.weights[0] / 2] * 2, rel=1e-4)


def test_a_system_that_says_nothing_gets_no_weight():
    bonafide, spoof = gaussian_llrs(500, 4, seed=6)
    alone = fit_calibration(bonafide, spoof)
    beside = fit_calibration(np.stack([bonafide, np.full(500, 0.1)], axis=1), np.stack([spoof, np.full(500, 0.1)], axis=1))
    assert beside.weights == pytest.approx([alone.weights[0], 0], abs=1e-6)
    np.testing.assert_allclose(fit_calibration(np.full(4, 0.1), np.full(9, 0.1), prior=0.2).apply([0.1, 5]), 0, atol=1e-9)


def test_actual_cost_of_calibrated_scores_is_near_the_minimum_on_other_trials():
    calibration = fit_calibration(*(scores / 4 + 2 for scores in gaussian_llrs(5000, 6, seed=7)), prior=0.05)
    bonafide, spoof = (scores / 4 + 2 for scores in gaussian_llrs(5000, 6, seed=8))
    best, _ = min_dcf(bonafide, spoof)
    assert act_dcf(bonafide, spoof) > 1.5 * best
    assert best <= act_dcf(calibration.apply(bonafide), calibration.apply(spoof)) < 1.05 * best


@given(SCORES, SCORES)
def test_calibration_with_a_positive_weight_keeps_the_eer_and_never_costs(bonafide, spoof):
    calibration = fit_calibration(bonafide, spoof)
    calibrated = calibration.apply(bonafide), calibration.apply(spoof)
    assert cllr(*calibrated) <= min(1, cllr(bonafide, spoof)) + 1e-4  # the penalty may cost a trifle
    if calibration.weights[0] > 1e-6:
        assert equal_error_rate(*calibrated)[0] == equal_error_rate(bonafide, spoof)[0]


@given(st.floats(0.01, 1e4), st.floats(-1e4, 1e4))
def test_unit_and_zero_of_the_scores_do_not_matter(scale, shift):
    bonafide, spoof = gaussian_llrs(50, 4, seed=9)
    calibrated = fit_calibration(bonafide, spoof).apply(spoof)
    rescaled = fit_calibration(bonafide * scale + shift, spoof * scale + shift).apply(spoof * scale + shift)
    np.testing.assert_allclose(rescaled, calibrated, atol=1e-3)


@pytest.mark.parametrize("prior", [0.5, 0.05, 0.001])
def test_classes_that_scores_separate_give_large_finite_ratios(prior):
    calibration = fit_calibration([10, 11, 12], [0, 1, 2], prior)
    ratios = calibration.apply([0, 1, 2, 10, 11, 12])
    assert (np.diff(ratios) > 0).all()
    assert (ratios[:3] < -10).all()
    assert (ratios[3:] > 10).all()
    assert np.abs(ratios).max() < 40
    assert act_dcf(ratios[3:], ratios[:3]) == 0


def test_inverted_scores_show_in_the_sign_of_the_weight():
    bonafide, spoof = gaussian_llrs(500, 4, seed=10)
    calibration = fit_calibration(-bonafide, -spoof)
    assert calibration.weights[0] < 0
    np.testing.assert_allclose(calibration.apply(-bonafide), fit_calibration(bonafide, spoof).apply(bonafide), atol=1e-6)


def test_refuses_what_cannot_be_calibrated():
    with pytest.raises(ValueError, match="no spoof scores"):
        fit_calibration([1.0], [])
    with pytest.raises(ValueError, match="1 of 2 bona fide scores are NaN"):
        fit_calibration([1.0, np.nan], [0.0])
    with pytest.raises(ValueError, match="bona fide scores of 2 systems, spoof scores of 1"):
        fit_calibration([[1.0, 2.0]], [0.0])
    with pytest.raises(ValueError, match="between 0 and 1, got 1"):
        fit_calibration([1.0], [0.0], prior=1)
    with pytest.raises(ValueError, match="scores of 2 systems for a calibration of 1"):
        fit_calibration([1.0], [0.0]).apply([[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"must have shape N trials x K systems, got \(1, 1, 1\)"):
        fit_calibration([[[1.0]]], [0.0])
