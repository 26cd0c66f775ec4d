"""The measures of ASVspoof 5 against plain loops after the definitions, official values, and what must always hold."""

import math

import naive_metrics
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sls_plugin.metrics.dcf import act_dcf, cllr, min_dcf

SCORES = st.lists(st.one_of(st.integers(-3, 3).map(float), st.floats(-500, 500)), min_size=1, max_size=30)


@given(SCORES, SCORES)
def test_dcf_is_that_of_the_plain_loop(bonafide, spoof):
    value, threshold = min_dcf(bonafide, spoof)
    points = naive_metrics.det_points(bonafide, spoof)
    lowest = min(map(naive_metrics.dcf, points))
    assert value == pytest.approx(lowest, abs=1e-12)
    assert min(naive_metrics.dcf(point) for point in points if point[2] == threshold) == pytest.approx(lowest, abs=1e-12)
    assert act_dcf(bonafide, spoof) == pytest.approx(naive_metrics.act_dcf(bonafide, spoof), abs=1e-12)
    assert value <= min(1, act_dcf(bonafide, spoof)) + 1e-12


@given(SCORES, SCORES)
def test_cllr_is_that_of_the_plain_loop(bonafide, spoof):
    assert cllr(bonafide, spoof) == pytest.approx(naive_metrics.cllr(bonafide, spoof), rel=1e-9, abs=1e-12)


def test_known_values():
    assert min_dcf([2, 3], [0, 1]) == (0.0, 1.0)
    assert act_dcf([-0.64, 5], [-0.65, -5]) == 0.0  # the threshold is -0.6419
    assert act_dcf([-0.65], [-0.64]) == pytest.approx(0.95 / 0.5 + 1)
    assert min_dcf([0], [1])[0] == 1.0  # accepting every trial is the best
    assert cllr([0, 0], [0]) == 1.0


def test_cllr_of_large_scores_is_their_size_in_bits():
    assert cllr([1e6], [-1e6]) == 0.0
    assert cllr([-1e6], [-1e6]) == pytest.approx(1e6 / math.log(2) / 2)


@pytest.mark.parametrize("measure", [min_dcf, act_dcf, cllr])
def test_refuses_what_has_no_cost(measure):
    with pytest.raises(ValueError, match="no bona fide scores"):
        measure([], [1.0])
    with pytest.raises(ValueError, match="1 of 1 spoof scores are NaN"):
        measure([1.0], [np.nan])


def test_official_values_of_published_scores(published):
    bonafide, spoof, _, expected = published
    official = expected["a5_minDCF"], expected["a5_minDCF_thr"]
    assert min_dcf(bonafide, spoof) == pytest.approx(official, abs=1e-12)
    assert act_dcf(bonafide, spoof) == pytest.approx(expected["a5_actDCF"], abs=1e-12)
    assert cllr(bonafide, spoof) == pytest.approx(expected["a5_cllr"], abs=1e-12)
