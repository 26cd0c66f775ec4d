"""The DET curve and the EER against a plain loop after the definition, published score files, and invariants."""

import naive_metrics
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sls_plugin.metrics.det import (
    det_curve,
    equal_error_rate,
    interpolated_equal_error_rate,
    min_cost,
    tie_aware_equal_error_rate,
    ties_across_classes,
)

# Small integers tie often, floats hardly ever.
SCORES = st.lists(st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=30)
DISTINCT = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40, unique=True)


@given(SCORES, SCORES)
def test_det_curve_is_that_of_the_plain_loop(bonafide, spoof):
    expected = np.array(naive_metrics.det_points(bonafide, spoof))
    np.testing.assert_array_equal(np.stack(det_curve(bonafide, spoof), axis=1), expected)


@given(SCORES, SCORES)
def test_eer_is_that_of_the_plain_loop(bonafide, spoof):
    assert equal_error_rate(bonafide, spoof) == naive_metrics.eer(bonafide, spoof)


@given(SCORES, SCORES)
def test_tie_aware_eer_is_that_of_the_plain_loop(bonafide, spoof):
    assert tie_aware_equal_error_rate(bonafide, spoof)[0] == naive_metrics.tie_aware_eer(bonafide, spoof)


@given(SCORES, SCORES)
def test_interpolated_eer_is_that_of_the_plain_loop(bonafide, spoof):
    expected = naive_metrics.interpolated_eer(bonafide, spoof)
    assert interpolated_equal_error_rate(bonafide, spoof) == pytest.approx(expected, abs=1e-12)


def test_interpolated_eer_lies_on_the_line_between_two_thresholds():
    # At 1 the rates are 0 and 1/2, at 2 they are 1/3 and 0: the lines meet at 1/5.
    assert interpolated_equal_error_rate([1, 2, 3], [0, 1]) == pytest.approx(1 / 5)
    assert interpolated_equal_error_rate([1, 1], [1, 1]) == 0.5


@given(SCORES, SCORES)
def test_rates_go_from_all_accepted_to_all_rejected(bonafide, spoof):
    false_rejection, false_acceptance, thresholds = det_curve(bonafide, spoof)
    assert (false_rejection[0], false_acceptance[0]) == (0, 1)
    assert (false_rejection[-1], false_acceptance[-1]) == (1, 0)
    assert (np.diff(false_rejection) >= 0).all()
    assert (np.diff(false_acceptance) <= 0).all()
    assert (np.diff(thresholds) >= 0).all()
    assert 0 <= equal_error_rate(bonafide, spoof)[0] <= 1
    assert 0 <= tie_aware_equal_error_rate(bonafide, spoof)[0] <= 1


@given(SCORES, SCORES, st.data())
def test_eer_does_not_change_under_strictly_increasing_maps(bonafide, spoof, data):
    levels = sorted({*bonafide, *spoof})
    images = data.draw(st.lists(st.floats(-1e9, 1e9), min_size=len(levels), max_size=len(levels), unique=True))
    mapped = dict(zip(levels, sorted(images), strict=True))
    mapped_bonafide, mapped_spoof = [mapped[score] for score in bonafide], [mapped[score] for score in spoof]
    for measure in (equal_error_rate, tie_aware_equal_error_rate):
        eer, threshold = measure(bonafide, spoof)
        mapped_eer, mapped_threshold = measure(mapped_bonafide, mapped_spoof)
        assert mapped_eer == eer
        if threshold in mapped:  # not the point below all scores
            assert mapped_threshold == mapped[threshold]


@given(DISTINCT, st.data())
def test_eer_of_swapped_classes_and_signs_moves_by_one_trial_at_most(scores, data):
    split = data.draw(st.integers(1, len(scores) - 1))
    bonafide, spoof = np.array(scores[:split]), np.array(scores[split:])
    moved = equal_error_rate(-spoof, -bonafide)[0] - equal_error_rate(bonafide, spoof)[0]
    assert abs(moved) <= 1 / min(bonafide.size, spoof.size) + 1e-12


@given(DISTINCT, st.data())
def test_both_eers_agree_where_no_scores_are_equal(scores, data):
    split = data.draw(st.integers(1, len(scores) - 1))
    bonafide, spoof = scores[:split], scores[split:]
    assert tie_aware_equal_error_rate(bonafide, spoof) == equal_error_rate(bonafide, spoof)
    assert ties_across_classes(bonafide, spoof) == (0, 0)


def test_known_values():
    assert equal_error_rate([2, 3], [0, 1]) == (0.0, 1.0)
    assert equal_error_rate([0, 1], [2, 3]) == (1.0, 1.0)
    assert equal_error_rate([1, 2, 3, 4], [0, 0, 0, 1.5])[0] == 0.25


def test_the_lowest_cost_is_taken_at_its_first_threshold_and_none_is_where_a_cost_is_undefined():
    assert min_cost(np.array([3.0, 1.0, 2.0, 1.0]), np.array([5.0, 6.0, 7.0, 8.0])) == (1.0, 6.0)
    assert np.isnan(min_cost(np.array([3.0, np.nan]), np.array([5.0, 6.0]))).all()


def test_ties_count_against_the_system():
    assert equal_error_rate([1, 1, 1], [1, 1])[0] == 1.0
    assert tie_aware_equal_error_rate([1, 1, 1], [1, 1])[0] == 0.5
    assert ties_across_classes([1, 1, 2, 3], [1, 0, 3]) == (3, 2)


@pytest.mark.parametrize("measure", [det_curve, equal_error_rate, tie_aware_equal_error_rate])
def test_refuses_what_has_no_error_rates(measure):
    with pytest.raises(ValueError, match="no bona fide scores"):
        measure([], [1.0])
    with pytest.raises(ValueError, match="no spoof scores"):
        measure([1.0], [])
    with pytest.raises(ValueError, match="1 of 2 bona fide scores are NaN"):
        measure([1.0, np.nan], [0.0])
    with pytest.raises(ValueError, match="2 of 3 spoof scores are NaN or infinite"):
        measure([1.0], [0.0, np.inf, -np.inf])


def test_official_eer_of_published_scores(published):
    bonafide, spoof, attacks, expected = published
    eer, threshold = equal_error_rate(bonafide, spoof)
    assert eer == pytest.approx(expected["eer"], abs=1e-12)
    assert threshold == pytest.approx(expected["eer_threshold"], abs=1e-12)
    assert equal_error_rate(-bonafide, -spoof)[0] == pytest.approx(expected["eer_negated"], abs=1e-12)
    assert equal_error_rate(spoof, bonafide)[0] == pytest.approx(expected["eer_swapped_classes"], abs=1e-12)
    assert tie_aware_equal_error_rate(bonafide, spoof)[0] == pytest.approx(expected["eer_unique_thr"], abs=1e-12)
    for attack, attack_eer in expected.get("eer_per_attack", {}).items():
        assert equal_error_rate(bonafide, spoof[attacks == attack])[0] == pytest.approx(attack_eer, abs=1e-12)


def test_curve_of_published_scores(published):
    bonafide, spoof, _, expected = published
    false_rejection, false_acceptance, _ = det_curve(bonafide, spoof)
    assert false_rejection[expected["index"]] == pytest.approx(expected["frr_at"], abs=1e-12)
    assert false_acceptance[expected["index"]] == pytest.approx(expected["far_at"], abs=1e-12)
    assert ties_across_classes(bonafide, spoof) == (expected["bona_tied_with_spoof"], expected["spoof_tied_with_bona"])
    # Where the curve meets FRR = FAR, a step moves one rate only, and the other one is the interpolated EER.
    after = np.argmax(false_rejection >= false_acceptance)
    rejecting = false_rejection[after] > false_rejection[after - 1]
    crossing = (false_acceptance if rejecting else false_rejection)[after]
    assert crossing == pytest.approx(expected["eer_linear_interp"], abs=1e-12)
