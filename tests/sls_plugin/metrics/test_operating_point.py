"""Operating points against their definitions in plain loops, by exchange of trials, and on populations that are known."""

import naive_metrics
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from sls_plugin.metrics.operating_point import (
    Cuts,
    accepting_at_most,
    at_equal_rates,
    auc_above_chance,
    fewest_trials,
    rejecting_at_most,
    risk_coverage,
    share_of,
)

FEW = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=15)  # most scores are tied, within and across classes


def labelled(bonafide, spoof):
    return np.concatenate([bonafide, spoof]), np.arange(len(bonafide) + len(spoof)) < len(bonafide)


@given(FEW, FEW)
def test_errors_are_counted_at_every_threshold_that_exists(bonafide, spoof):
    cuts = Cuts(*labelled(bonafide, spoof))
    rejected, accepted = cuts.errors()
    assert cuts.thresholds.size == len({*bonafide, *spoof}) + 1
    assert (np.diff(cuts.thresholds) > 0).all()
    for threshold, n_rejected, n_accepted in zip(cuts.thresholds, rejected, accepted, strict=True):
        assert n_rejected == sum(score <= threshold for score in bonafide)
        assert n_accepted == sum(score > threshold for score in spoof)


@given(FEW, FEW, st.randoms(use_true_random=False))
def test_a_trial_that_is_drawn_twice_counts_twice(bonafide, spoof, random):
    scores, is_bonafide = labelled(bonafide, spoof)
    counts = np.array([random.randint(0, 3) for _ in scores])
    cuts = Cuts(scores, is_bonafide)
    for threshold, rejected, accepted in zip(cuts.thresholds, *cuts.errors(counts), strict=True):
        assert rejected == counts[is_bonafide & (scores <= threshold)].sum()
        assert accepted == counts[~is_bonafide & (scores > threshold)].sum()


def test_a_threshold_lies_between_neighbouring_numbers():
    """Their mean is one of them."""
    low = 1.0
    high = np.nextafter(low, 2)
    rejected, accepted = Cuts([low, high], [False, True]).errors()
    assert (rejected[1], accepted[1]) == (0, 0)


@given(FEW, FEW)
def test_equal_rates_are_as_close_as_the_tie_aware_eer(bonafide, spoof):
    rejected, accepted = Cuts(*labelled(bonafide, spoof)).errors()
    place = at_equal_rates(rejected, accepted)
    rate = (rejected[place] / len(bonafide) + accepted[place] / len(spoof)) / 2
    assert rate == naive_metrics.tie_aware_eer(bonafide, spoof)


@given(st.lists(st.integers(-9, 9).map(float), min_size=5, max_size=25), FEW, st.sampled_from([0.1, 0.2, 0.25, 0.5, 0.9]))
def test_each_trial_in_turn_as_the_fresh_one_is_wrong_no_more_often_than_allowed(trials, others, share):
    """Which of exchangeable trials is the fresh one is chance: the guarantee is exact, whatever the scores."""
    if len(trials) - 1 < fewest_trials(share):
        return
    falsely_rejected = falsely_accepted = 0
    for place, fresh in enumerate(trials):
        rest = trials[:place] + trials[place + 1 :]
        cuts = Cuts(*labelled(rest, others))
        falsely_rejected += fresh <= cuts.thresholds[rejecting_at_most(share, cuts.errors()[0])]
        cuts = Cuts(*labelled(others, rest))
        falsely_accepted += fresh > cuts.thresholds[accepting_at_most(share, cuts.errors()[1])]
    assert falsely_rejected <= share * len(trials) + 1e-9
    assert falsely_accepted <= share * len(trials) + 1e-9


def test_the_limit_is_used_and_holds_on_a_known_population():
    rng = np.random.default_rng(1)
    false_alarms, misses = [], []
    for _ in range(400):
        cuts = Cuts(*labelled(rng.normal(2, 1, 199), rng.normal(0, 1, 199)))
        rejected, accepted = cuts.errors()
        false_alarms.append(norm.cdf(cuts.thresholds[rejecting_at_most(0.05, rejected)] - 2))
        misses.append(norm.sf(cuts.thresholds[accepting_at_most(0.05, accepted)]))
    for rates in (false_alarms, misses):
        assert 0.045 < np.mean(rates) < 0.0515  # 400 means of standard error 0.0008


@pytest.mark.parametrize(("share", "fewest"), [(0.01, 99), (0.05, 19), (0.5, 1), (0.03, 33), (0.001, 999), (1 / 3, 2)])
def test_fewest_trials_allow_one_error_in_their_number_and_one(share, fewest):
    assert fewest_trials(share) == fewest
    bonafide = np.arange(fewest, dtype=float)
    cuts = Cuts(*labelled(bonafide, [-5.0]))
    assert cuts.thresholds[rejecting_at_most(share, cuts.errors()[0])] == -2.5  # below the lowest, above the spoof


@given(FEW, FEW)
def test_the_area_is_the_share_of_pairs_in_order(bonafide, spoof):
    pairs = [(b > s) + (b == s) / 2 for b in bonafide for s in spoof]
    assert auc_above_chance(*labelled(bonafide, spoof))[0] == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


def test_the_variance_of_the_area_is_that_of_drawing_speakers_again():
    rng = np.random.default_rng(2)
    speakers = np.repeat(np.arange(40), 10)
    is_bonafide = np.tile(np.arange(10) < 4, 40)
    scores = rng.normal(size=40)[speakers] + rng.normal(size=400) + 0.2 * is_bonafide
    auc, p_value = auc_above_chance(scores, is_bonafide, speakers)
    areas = []
    for _ in range(1000):
        drawn = np.concatenate([np.flatnonzero(speakers == speaker) for speaker in rng.integers(40, size=40)])
        areas.append(auc_above_chance(scores[drawn], is_bonafide[drawn])[0])
    z = (auc - 0.5) / np.std(areas)
    assert norm.isf(p_value) == pytest.approx(z, rel=0.12)


@pytest.mark.parametrize("crossed", [True, False], ids=["speakers in both classes", "speakers in one class"])
def test_of_detectors_that_guess_as_many_pass_as_the_level_says(crossed):
    """Trials of one speaker resemble each other; a test by trial would let a third pass."""
    rng = np.random.default_rng(3)
    by_speaker, by_trial = [], []
    for _ in range(500):
        speakers = np.repeat(np.arange(20), 20)
        is_bonafide = np.tile(np.arange(20) < 10, 20) if crossed else speakers < 10
        voice = rng.normal(size=(2, 20))[is_bonafide.astype(int), speakers]  # a speaker sounds alike, real or cloned
        scores = voice + rng.normal(size=400)
        by_speaker.append(auc_above_chance(scores, is_bonafide, speakers)[1])
        by_trial.append(auc_above_chance(scores, is_bonafide)[1])
    assert 0.02 <= np.mean(np.array(by_speaker) < 0.05) <= 0.08
    assert np.mean(np.array(by_speaker) < 0.01) <= 0.02
    assert np.mean(np.array(by_trial) < 0.05) > 0.15


def test_certain_areas():
    assert auc_above_chance([1.0, 2.0, 0.0, -1.0], [True, True, False, False]) == (1.0, 0.0)
    assert auc_above_chance([0.0, 0.0, 0.0, 0.0], [True, True, False, False]) == (0.5, 1.0)
    assert auc_above_chance([1.0, 0.0], [True, False]) == (1.0, 1.0)  # of one trial nothing follows


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_of_a_share_is_exact(count_of):
    count, n_trials = count_of
    share = share_of(np.arange(n_trials) < count)
    expected = binomtest(count, n_trials).proportion_ci(method="exact")
    assert share.interval == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert (share.value, share.count, share.n_trials) == (count / n_trials, count, n_trials)


@pytest.mark.parametrize(("count", "n_trials"), [(0, 50), (5, 100), (10, 20), (50, 50)])
def test_so_many_trials_more_halve_the_interval(count, n_trials):
    share = share_of(np.arange(n_trials) < count)
    halved = (share.interval[1] - share.interval[0]) / 2
    n_whole = n_trials + share.n_more
    times = -(-n_whole // n_trials) if count not in (0, n_trials) else n_whole / n_trials
    happens = np.arange(round(times * n_trials)) < round(times * count)  # as many whole sets as are enough
    low, high = share_of(happens).interval
    assert high - low <= halved * 1.001
    assert n_trials / 2 < share.n_more < 4 * n_trials


def test_intervals_by_speaker_hold_the_share_of_the_population():
    rng = np.random.default_rng(4)
    speakers = np.repeat(np.arange(20), 20)
    held = {"speaker": 0, "trial": 0}
    for _ in range(400):
        values = np.sqrt(0.3) * rng.normal(size=20)[speakers] + np.sqrt(0.7) * rng.normal(size=400)
        happens = values < norm.ppf(0.1)
        for unit, groups in (("speaker", speakers), ("trial", None)):
            low, high = share_of(happens, groups).interval
            held[unit] += low <= 0.1 <= high
    assert 0.92 <= held["speaker"] / 400 <= 0.99
    assert held["trial"] / 400 < 0.85


@pytest.mark.parametrize("happens", [[True] * 6, [False] * 6, [True, False] * 3])
def test_speakers_who_do_not_differ_leave_the_interval_of_trials(happens):
    assert share_of(happens, np.array([0, 0, 1, 1, 2, 2])).value == share_of(happens).value
    low, high = share_of(happens, np.array([0, 0, 1, 1, 2, 2])).interval
    assert low <= share_of(happens).interval[0] + 1e-12
    assert high >= share_of(happens).interval[1] - 1e-12


@given(FEW, FEW)
def test_risk_and_coverage_are_counted(bonafide, spoof):
    cuts = Cuts(*labelled(bonafide, spoof))
    rejected, accepted = cuts.errors()
    meeting = cuts.thresholds[at_equal_rates(rejected, accepted)]
    for allowed, coverage, risk in zip(*risk_coverage(*labelled(bonafide, spoof)), strict=True):
        low = max(t for t in cuts.thresholds if np.mean(np.array(bonafide) <= t) <= allowed and t <= meeting)
        high = min(t for t in cuts.thresholds if np.mean(np.array(spoof) > t) <= allowed and t >= meeting)
        wrong = (np.mean(np.array(bonafide) <= low) + np.mean(np.array(spoof) > high)) / 2
        decided = sum(np.mean([s <= low or s > high for s in scores]) for scores in (bonafide, spoof)) / 2
        assert coverage == pytest.approx(decided, abs=1e-12)
        assert risk == pytest.approx(wrong / decided if decided else 0, abs=1e-12)
    assert coverage == pytest.approx(1)


def test_refuses_scores_of_one_class():
    for figure in (Cuts, auc_above_chance, risk_coverage):
        with pytest.raises(ValueError, match="no spoof scores"):
            figure([1.0, 2.0], [True, True])
