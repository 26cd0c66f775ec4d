"""Bootstrap samples against drawing the trials and measuring them as they are, and what must always hold."""

import naive_metrics
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sls_plugin.metrics.bootstrap import bootstrap_eers, compare_paired, confidence_interval
from sls_plugin.metrics.det import equal_error_rate

# Few values: most scores are tied, within and across classes.
TIED = st.integers(-2, 2).map(float)
FEW = st.lists(TIED, min_size=1, max_size=12)


def shuffled(bonafide, spoof):
    """Scores and labels with the classes mixed, as a key file has them."""
    scores = np.concatenate([bonafide, spoof])
    is_bonafide = np.arange(scores.size) < len(bonafide)
    order = np.random.default_rng(0).permutation(scores.size)
    return scores[order], is_bonafide[order]


def redrawn_eers(scores, is_bonafide, n_samples, seed, measure):
    """The EERs of trials drawn within their class, one sample at a time."""
    bonafide, spoof = scores[is_bonafide], scores[~is_bonafide]
    for sample in range(n_samples):
        generator = np.random.default_rng((seed, sample))
        drawn_bonafide = bonafide[generator.integers(bonafide.size, size=bonafide.size)]
        drawn_spoof = spoof[generator.integers(spoof.size, size=spoof.size)]
        yield measure(drawn_bonafide, drawn_spoof)[0]


def redrawn_speakers_eers(scores, is_bonafide, speakers, n_samples, seed):
    """The EERs of trials of drawn speakers, one sample at a time."""
    names = sorted(set(speakers.tolist()))
    for sample in range(n_samples):
        generator = np.random.default_rng((seed, sample))
        bonafide, spoof = [], []
        while not (bonafide and spoof):
            bonafide, spoof = [], []
            for drawn in generator.integers(len(names), size=len(names)):
                for k in np.flatnonzero(speakers == names[drawn]):
                    (bonafide if is_bonafide[k] else spoof).append(scores[k])
        yield naive_metrics.eer(bonafide, spoof)[0]


@given(FEW, FEW, st.integers(0, 3))
def test_samples_are_those_of_drawing_and_measuring(bonafide, spoof, seed):
    scores, is_bonafide = shuffled(bonafide, spoof)
    found = bootstrap_eers(scores, is_bonafide, 4, seed=seed)
    assert found[:, 0].tolist() == list(redrawn_eers(scores, is_bonafide, 4, seed, naive_metrics.eer))


@pytest.mark.parametrize("decimals", [0, 1, 2, 15])
def test_samples_of_two_large_systems_are_those_of_drawing_and_measuring(decimals):
    generator = np.random.default_rng(1)
    scores, is_bonafide = shuffled(generator.normal(1.5, 1, 700), generator.normal(0, 1, 5000))
    systems = np.round([scores, scores + generator.normal(0, 1, scores.size)], decimals)
    found = bootstrap_eers(systems, is_bonafide, 20, seed=7)
    for of_system, system in zip(found.T, systems, strict=True):
        assert of_system.tolist() == list(redrawn_eers(system, is_bonafide, 20, 7, equal_error_rate))


@given(st.lists(st.tuples(TIED, st.booleans(), st.integers(0, 4)), min_size=2, max_size=25), st.integers(0, 3))
def test_samples_of_speakers_are_those_of_drawing_and_measuring(trials, seed):
    scores, is_bonafide, speakers = map(np.array, zip(*trials, strict=True))
    if is_bonafide.all() or not is_bonafide.any():
        with pytest.raises(ValueError, match=r"no (bona fide|spoof) scores"):
            bootstrap_eers(scores, is_bonafide, 4, speakers, seed)
        return
    found = bootstrap_eers(scores, is_bonafide, 4, speakers, seed)
    assert found[:, 0].tolist() == list(redrawn_speakers_eers(scores, is_bonafide, speakers, 4, seed))


@pytest.fixture(scope="module")
def trials():
    """The scores of three systems on the same trials, the second noisier than the first, the third the first again."""
    generator = np.random.default_rng(3)
    scores, is_bonafide = shuffled(generator.normal(2, 1, 300), generator.normal(0, 1, 900))
    return np.stack([scores, scores + generator.normal(0, 1.5, scores.size), scores]), is_bonafide


def test_a_sample_depends_on_the_seed_and_its_number_only(trials):
    scores, is_bonafide = trials
    samples = bootstrap_eers(scores, is_bonafide, 30)
    assert samples.shape == (30, 3)
    np.testing.assert_array_equal(bootstrap_eers(scores, is_bonafide, 12), samples[:12])
    np.testing.assert_array_equal(bootstrap_eers(scores[1], is_bonafide, 30), samples[:, 1:2])
    np.testing.assert_array_equal(samples[:, 0], samples[:, 2])
    assert (bootstrap_eers(scores, is_bonafide, 30, seed=1) != samples).any()
    assert len(set(samples[:, 0])) > 10


def test_one_speaker_who_says_all_is_drawn_as_he_is(trials):
    scores, is_bonafide = trials
    samples = bootstrap_eers(scores[0], is_bonafide, 5, np.full(is_bonafide.size, 3))
    assert set(samples[:, 0]) == {equal_error_rate(scores[0, is_bonafide], scores[0, ~is_bonafide])[0]}


def test_speakers_that_differ_widen_the_interval():
    generator = np.random.default_rng(5)
    speakers = np.repeat(np.arange(20), 50)
    is_bonafide = np.arange(speakers.size) % 2 == 0
    scores = generator.normal(0, 2, 20)[speakers] + generator.normal(0, 0.5, speakers.size) + 2 * is_bonafide
    of_trials = confidence_interval(bootstrap_eers(scores, is_bonafide, 200))
    of_speakers = confidence_interval(bootstrap_eers(scores, is_bonafide, 200, speakers))
    assert np.ptp(of_speakers) > 2 * np.ptp(of_trials)


def test_intervals_hold_the_true_rate_about_as_often_as_they_say():
    generator, true_eer = np.random.default_rng(11), 0.15865525393145707  # two normals two deviations apart
    is_bonafide = np.arange(600) < 200
    holds = []
    for _ in range(200):
        samples = bootstrap_eers(generator.normal(size=600) + 2 * is_bonafide, is_bonafide, 100)
        low, high = confidence_interval(samples, 0.9)
        holds.append(low <= true_eer <= high)
    assert 0.82 <= np.mean(holds) <= 0.96


def test_interval_is_of_percentiles():
    assert confidence_interval(np.arange(101), 0.9) == pytest.approx((5, 95))
    assert confidence_interval([0.25]) == (0.25, 0.25)


def test_a_system_does_not_differ_from_itself(trials):
    scores, is_bonafide = trials
    samples = bootstrap_eers(scores, is_bonafide, 50)
    same = compare_paired([0.2, 0.2], samples[:, [0, 2]])
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_a_better_system_is_found_better_in_either_order(trials):
    scores, is_bonafide = trials
    eers = [equal_error_rate(of_system[is_bonafide], of_system[~is_bonafide])[0] for of_system in scores[:2]]
    samples = bootstrap_eers(scores[:2], is_bonafide, 199)
    found, turned = compare_paired(eers, samples), compare_paired(eers[::-1], samples[:, ::-1])
    assert found.low < found.difference < found.high < 0
    assert found.p_value == 2 / 200  # no sample says otherwise
    assert (turned.difference, turned.low, turned.high) == pytest.approx((-found.difference, -found.high, -found.low))
    assert turned.p_value == found.p_value


def test_p_value_counts_the_samples_on_the_other_side():
    samples = np.array([[0.1, 0.2]] * 16 + [[0.2, 0.1]] * 2 + [[0.1, 0.1]])
    assert compare_paired([0.1, 0.2], samples).p_value == pytest.approx(2 * (3 + 1) / (19 + 1))


def test_refuses_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="no spoof scores"):
        bootstrap_eers([1, 2], [True, True], 3)
    with pytest.raises(ValueError, match="1 of 2 spoof scores are NaN"):
        bootstrap_eers([[1, 2], [1, np.nan]], [True, False], 3)
    with pytest.raises(ValueError, match=r"scores of shape \(1, 2\), but labels of shape \(3,\)"):
        bootstrap_eers([1, 2], [True, False, True], 3)
    with pytest.raises(ValueError, match=r"2 trials, but speakers of shape \(1,\)"):
        bootstrap_eers([1, 2], [True, False], 3, [0])
    with pytest.raises(ValueError, match="1 of 2 trials have no speaker"):
        bootstrap_eers([1, 2], [True, False], 3, [0, -1])
