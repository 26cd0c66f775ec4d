"""The t-DCF of 2019 and 2021 against plain loops after the definitions, official values, and what must always hold."""

import naive_metrics
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from protocols.corpora import CORPORA
from sls_plugin.metrics.det import det_curve, equal_error_rate
from sls_plugin.metrics.tdcf import (
    ASVErrorRates,
    asv_error_rates,
    min_tdcf_2019,
    min_tdcf_2021,
    normalised_tdcf,
    tdcf_coefficients,
)

SCORES = st.lists(st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=30)
RATE = st.integers(0, 40).map(lambda n: n / 40)
RATES = st.tuples(RATE, RATE, RATE)


@given(SCORES, SCORES, SCORES)
def test_asv_rates_are_those_of_the_plain_loop(target, nontarget, spoof):
    rates = asv_error_rates(target, nontarget, spoof)
    expected = naive_metrics.asv_rates(target, nontarget, spoof)
    assert (rates.miss, rates.false_acceptance, rates.spoof_acceptance) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(("measure", "naive"), [
    (min_tdcf_2021, naive_metrics.tdcf_2021), (min_tdcf_2019, naive_metrics.tdcf_2019),
])  # fmt: skip
@given(SCORES, SCORES, RATES)
def test_min_tdcf_is_that_of_the_plain_loop(measure, naive, bonafide, spoof, rates):
    _, c1, c2 = naive_metrics.coefficients(*rates)
    assume(c1 > 0 and c2 > 0)
    value, threshold = measure(bonafide, spoof, ASVErrorRates(*rates))
    points = naive_metrics.det_points(bonafide, spoof)
    lowest = min(naive(point, rates) for point in points)
    assert value == pytest.approx(lowest, rel=1e-12, abs=1e-12)
    # Equal costs may come out of rounding in another order, so the threshold is judged by the cost that it has.
    at_threshold = [naive(point, rates) for point in points if point[2] == threshold]
    assert min(at_threshold) == pytest.approx(lowest, rel=1e-12, abs=1e-12)


@given(SCORES, SCORES, RATES)
def test_no_minimum_is_above_that_of_having_no_countermeasure(bonafide, spoof, rates):
    c0, c1, c2 = naive_metrics.coefficients(*rates)
    assume(c0 + min(c1, c2) > 0)
    assert min_tdcf_2021(bonafide, spoof, ASVErrorRates(*rates))[0] <= 1 + 1e-12
    if c1 > 0 and c2 > 0:
        assert 0 <= min_tdcf_2019(bonafide, spoof, ASVErrorRates(*rates))[0] <= 1 + 1e-12


def test_a_perfect_countermeasure_leaves_the_errors_of_the_asv_system():
    rates = ASVErrorRates(0.1, 0.1, 0.5)
    c0, c1, c2 = naive_metrics.coefficients(0.1, 0.1, 0.5)
    assert min_tdcf_2019([2, 3], [0, 1], rates) == (0.0, 1.0)
    assert min_tdcf_2021([2, 3], [0, 1], rates) == (pytest.approx(c0 / (c0 + min(c1, c2))), 1.0)


def test_rates_without_trials_are_nan_and_so_is_what_needs_them():
    without_spoofs = asv_error_rates([0.5, 1, 2, 3], [0, 1.5], [])
    assert (without_spoofs.miss, without_spoofs.false_acceptance) == (0.25, 0.5)
    assert np.isnan(without_spoofs.spoof_acceptance)
    coefficients = tdcf_coefficients(without_spoofs)
    assert coefficients.c0 + coefficients.c1 == pytest.approx(0.95 * 0.99)
    assert np.isnan(coefficients.c2)
    assert np.isnan(min_tdcf_2021([1], [0], without_spoofs)).all()
    assert np.isnan(min_tdcf_2019([1], [0], without_spoofs)).all()
    for rates in (asv_error_rates([], [0, 1], [0]), asv_error_rates([0, 1], [], [0])):
        assert np.isnan([rates.miss, rates.false_acceptance, rates.spoof_acceptance]).all()


def test_asv_scores_must_be_finite():
    with pytest.raises(ValueError, match="1 of 2 spoof scores are NaN"):
        asv_error_rates([1.0], [0.0], [0.0, np.nan])


def test_nothing_to_compare_with_where_the_asv_system_makes_no_error_at_all():
    flawless = ASVErrorRates(0.0, 0.0, 0.0)
    assert np.isnan(min_tdcf_2021([1], [0], flawless)).all()
    assert np.isnan(normalised_tdcf(*det_curve([1], [0])[:2], tdcf_coefficients(flawless))).all()


@pytest.mark.parametrize("rates", [ASVErrorRates(0.95, 0.95, 0.5), ASVErrorRates(0.1, 0.1, 0.0)])
def test_the_form_of_2019_refuses_an_asv_system_without_meaning(rates):
    with pytest.raises(ValueError, match=r"needs C1 and C2 above 0.*use the form of 2021"):
        min_tdcf_2019([1], [0], rates)
    assert min_tdcf_2021([1], [0], rates)[0] <= 1


def test_official_rates_of_the_asv_system_of_2019(asv_2019):
    scores, attacks = asv_2019
    eer = equal_error_rate(scores["target"], scores["nontarget"])
    assert eer == pytest.approx((0.02457783738686887, -5.680051), abs=1e-12)
    rates = asv_error_rates(scores["target"], scores["nontarget"], scores["spoof"])
    published = CORPORA["asvspoof2019-la"].keys.asv.published_rates
    assert (rates.miss, rates.false_acceptance, rates.spoof_acceptance) == pytest.approx(
        (published.miss, published.false_acceptance, published.spoof_acceptance), abs=1e-15
    )
    coefficients = tdcf_coefficients(rates)
    assert (coefficients.c0, coefficients.c1, coefficients.c2) == pytest.approx(
        (0.025455879868571674, 0.9150441201314283, 0.38032622648007264), abs=1e-14
    )
    of_a17 = asv_error_rates(scores["target"], scores["nontarget"], scores["spoof"][attacks == "A17"])
    assert tdcf_coefficients(of_a17).c2 == pytest.approx(0.0349002849002849, abs=1e-14)


def test_official_min_tdcf_of_published_scores(published, asv_2019):
    bonafide, spoof, _, expected = published
    if "min_tdcf_2021" not in expected:
        return  # In-the-Wild has no ASV system
    rates = asv_error_rates(*(asv_2019[0][kind] for kind in ("target", "nontarget", "spoof")))
    official_2019 = expected["min_tdcf_legacy"], expected["min_tdcf_legacy_thr"]
    assert min_tdcf_2019(bonafide, spoof, rates) == pytest.approx(official_2019, abs=1e-12)
    official_2021 = expected["min_tdcf_2021"], expected["min_tdcf_2021_thr"]
    assert min_tdcf_2021(bonafide, spoof, rates) == pytest.approx(official_2021, abs=1e-12)
