"""Decisions that are learned: against plain resampling, on known populations, and where none may be learned."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from protocols import DataError, Trial, write_manifest
from protocols.keys import read_keys
from sls_plugin.evaluation.operating_point import Rule, learn_decision
from sls_plugin.metrics.calibration import fit_calibration
from sls_plugin.metrics.operating_point import fewest_trials
from sls_plugin.scores.score_file import write_scores

EQUAL = Rule()


@pytest.fixture
def learn(tmp_path):
    """Learns from scores and labels, perhaps with speakers."""

    def from_scores(scores, is_bonafide, rule=EQUAL, speakers=None, n_resamples=20):
        facts = [{}] * len(scores) if speakers is None else [{"speaker": str(speaker)} if speaker else {} for speaker in speakers]
        trials = [
            Trial(f"t{number}", "t.wav", "bonafide" if label else "spoof", facts=fact)
            for number, (label, fact) in enumerate(zip(is_bonafide, facts, strict=True))
        ]
        write_manifest(tmp_path / "dev.tsv", trials)
        write_scores(tmp_path / "dev.txt", [(trial.id, float(score)) for trial, score in zip(trials, scores, strict=True)])
        return learn_decision(tmp_path / "dev.txt", read_keys("labels", tmp_path / "dev.tsv"), rule, n_resamples)

    return from_scores


def population(n, distance=2.0, seed=0, n_spoof=None):
    """Scores of bona fide trials around `distance` and of spoofs around 0, both of deviation 1: the LLR is known."""
    rng = np.random.default_rng(seed)
    is_bonafide = np.arange(n + (n_spoof or n)) < n
    return rng.normal(size=is_bonafide.size).round(7) + distance * is_bonafide, is_bonafide


def test_the_calibration_and_the_thresholds_of_a_known_population(learn):
    scores, is_bonafide = population(4000)
    decision = learn(scores, is_bonafide)
    assert decision.calibration.weight == pytest.approx(2, abs=0.15)
    assert decision.calibration.offset == pytest.approx(-2, abs=0.15)
    assert decision.threshold == pytest.approx(1, abs=0.05)
    assert decision.auc == pytest.approx(norm.cdf(2 / math.sqrt(2)), abs=0.01)
    assert decision.errors.misses.value == pytest.approx(norm.sf(1), abs=0.02)
    costly = learn(scores, is_bonafide, Rule(costs=(1, 10), prior=0.8))
    assert costly.threshold == pytest.approx((2 + math.log(10 * 0.2 / 0.8)) / 2, abs=0.1)
    strict = learn(scores, is_bonafide, Rule(max_false_alarms=0.05))
    assert strict.threshold == pytest.approx(2 + norm.ppf(0.05), abs=0.1)
    assert 0.04 < strict.errors.false_alarms.value <= 0.05


def test_the_threshold_for_costs_is_cheapest_on_fresh_trials(learn):
    decision = learn(*population(2000), Rule(costs=(1, 5), prior=0.6))
    scores, is_bonafide = population(50_000, seed=1)

    def cost(threshold):
        return 0.6 * np.mean(scores[is_bonafide] <= threshold) + 5 * 0.4 * np.mean(scores[~is_bonafide] > threshold)

    assert cost(decision.threshold) < min(cost(decision.threshold + step) for step in (-0.5, 0.5))


def test_intervals_are_the_quantiles_of_learning_again(learn):
    scores, is_bonafide = population(60, n_spoof=90)
    decision = learn(scores, is_bonafide, n_resamples=100)
    found = []
    for sample in range(100):
        generator = np.random.default_rng((0, sample))
        bonafide, spoof = (scores[of][generator.integers(of.sum(), size=of.sum())] for of in (is_bonafide, ~is_bonafide))
        calibration = fit_calibration(bonafide, spoof)
        every = np.unique(scores)
        cuts = [-np.inf, *((every[1:] + every[:-1]) / 2), np.inf]
        closest = min(cuts, key=lambda cut: abs(np.mean(bonafide <= cut) - np.mean(spoof > cut)))
        found.append((closest, calibration.weights[0], calibration.offset))
    low, high = np.quantile(found, [0.025, 0.975], axis=0)
    calibration = decision.calibration
    expected = (decision.threshold_interval, calibration.weight_interval, calibration.offset_interval)
    np.testing.assert_allclose(np.transpose([low, high]), expected, rtol=1e-6)


def test_intervals_hold_the_threshold_of_the_population(learn):
    held = 0
    for seed in range(20):
        low, high = learn(*population(50, seed=seed), n_resamples=100).threshold_interval
        held += low <= 1 <= high
    assert held >= 17


def test_a_band_limits_the_errors_of_each_class_on_fresh_trials(learn):
    decision = learn(*population(2000), Rule(max_error=0.05))
    assert decision.spoof_up_to < decision.threshold < decision.bonafide_above
    fresh, fresh_is_bonafide = population(20_000, seed=5)
    verdicts = np.array([decision.verdict(score).verdict for score in fresh])
    assert np.mean(verdicts[fresh_is_bonafide] == "spoof") < 0.07
    assert np.mean(verdicts[~fresh_is_bonafide] == "bonafide") < 0.07
    errors = decision.errors
    for share, happens in (
        (errors.false_alarms, verdicts[fresh_is_bonafide] == "spoof"),
        (errors.misses, verdicts[~fresh_is_bonafide] == "bonafide"),
        (errors.undecided_bonafide, verdicts[fresh_is_bonafide] == "undecided"),
    ):  # fmt: skip
        assert share.interval[0] <= happens.mean() <= share.interval[1]


def test_a_detector_that_is_good_enough_decides_all(learn):
    decision = learn(*population(200, distance=9), Rule(max_error=0.05))
    assert decision.spoof_up_to == decision.threshold == decision.bonafide_above
    assert decision.errors.misses.count == decision.errors.undecided_spoof.count == 0
    assert decision.errors.misses.interval[1] > 0.01  # of 200 spoofs not more can be known


def test_classes_that_are_apart_are_cut_in_the_middle(learn):
    scores = [*range(10), *range(20, 30)]
    assert learn(scores, [score >= 20 for score in scores]).threshold == 14.5


@pytest.mark.parametrize(
    ("n_speakers", "resampled"), [(12, "speakers"), (5, "speakers"), (4, "trials")], ids=["many", "just enough", "few"]
)
def test_speakers_are_resampled_where_there_are_enough(learn, n_speakers, resampled):
    scores, is_bonafide = population(60)
    speakers = [1 + number % n_speakers for number in range(120)]
    decision = learn(scores, is_bonafide, speakers=speakers)
    assert (decision.source.resampled, decision.source.n_speakers) == (resampled, n_speakers if n_speakers > 4 else None)
    assert learn(scores, is_bonafide, speakers=[None, *speakers[1:]]).source.resampled == "trials"


def test_trials_that_say_the_same_of_a_speaker_widen_the_intervals(learn):
    rng = np.random.default_rng(8)
    speakers = [1 + number // 20 for number in range(400)]
    is_bonafide = np.arange(400) % 2 == 0
    scores = (rng.normal(size=21)[speakers] + rng.normal(size=400) * 0.3).round(7) + 2 * is_bonafide
    by_speaker, by_trial = learn(scores, is_bonafide, speakers=speakers), learn(scores, is_bonafide)
    for errors in ("false_alarms", "misses"):
        widths = [np.ptp(getattr(decision.errors, errors).interval) for decision in (by_speaker, by_trial)]
        assert widths[0] > 1.3 * widths[1]
    assert np.ptp(by_speaker.threshold_interval) > 1.3 * np.ptp(by_trial.threshold_interval)


def test_detectors_that_guess_get_no_threshold(learn):
    passed = 0
    for seed in range(40):
        try:
            learn(*population(30, distance=0, seed=seed))
            passed += 1
        except DataError:
            continue
    assert passed <= 2  # 1 in 100


def test_the_refusal_says_how_far_from_chance(learn):
    with pytest.raises(DataError) as error:
        learn(*population(30, distance=0))
    assert "dev.txt: no threshold: not better than chance here (AUC 0." in str(error.value)
    assert str(error.value).endswith("required < 0.01): use another detector, or more labelled recordings")


def test_an_inverted_detector_is_told_so(learn):
    scores, is_bonafide = population(50)
    with pytest.raises(DataError, match=r"required < 0\.01\): negate them if higher means more spoof"):
        learn(-scores, is_bonafide)


def test_too_few_trials_are_refused(learn):
    with pytest.raises(DataError, match="9 trials of a class: a threshold needs at least 10 of each"):
        learn(*population(9, n_spoof=50))
    scores, is_bonafide = population(50, n_spoof=98)
    assert fewest_trials(0.02) == 49
    learn(scores, is_bonafide, Rule(max_false_alarms=0.02, max_error=0.02))
    with pytest.raises(DataError, match=r"50 bona fide trials, and --max-false-alarms 0\.01 needs at least 99: label more"):
        learn(scores, is_bonafide, Rule(max_false_alarms=0.01))
    with pytest.raises(DataError, match=r"98 spoofs, and --max-error 0\.01 needs at least 99"):
        learn(*population(99, n_spoof=98), Rule(max_error=0.01))
