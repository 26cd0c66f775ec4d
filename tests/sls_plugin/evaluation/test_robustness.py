"""Errors and shifts under each condition, against plain loops."""

import numpy as np
import pytest

from protocols import Trial
from protocols.keys import Keys
from sls_plugin.data.augmentation.chain import parse_chain
from sls_plugin.evaluation.evaluation import Bootstrap
from sls_plugin.evaluation.robustness import BATTERY, CLEAN, compare_with_clean, worst_first
from sls_plugin.evaluation.scored_trials import ScoredTrials
from sls_plugin.metrics.det import equal_error_rate

N = 400
IS_BONAFIDE = np.arange(N) % 2 == 0


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    trials = [Trial(f"t{number}", f"{number}.wav", label="bonafide" if number % 2 == 0 else "spoof") for number in range(N)]
    return Keys("labels", tmp_path_factory.mktemp("keys") / "eval.tsv", "all", trials, frozenset())


def scored(keys: Keys, scores: np.ndarray) -> ScoredTrials:
    return ScoredTrials(keys, keys.trials, scores, IS_BONAFIDE, 0)


@pytest.fixture(scope="module")
def systems(keys: Keys) -> dict[str, ScoredTrials]:
    rng = np.random.default_rng(1)
    clean = rng.standard_normal(N) + 2 * IS_BONAFIDE
    return {
        CLEAN: scored(keys, clean),
        "same": scored(keys, clean.copy()),
        "lower": scored(keys, clean - 1),
        "noisy": scored(keys, clean + 2 * rng.standard_normal(N)),
        "lost": scored(keys, rng.standard_normal(N)),
    }


def test_rates_and_shifts_are_those_of_a_plain_loop(systems: dict[str, ScoredTrials]) -> None:
    clean = systems[CLEAN]
    threshold = equal_error_rate(clean.bonafide, clean.spoof)[1]
    for result in compare_with_clean(systems, None):
        scores = systems[result.name].scores
        missed = sum(1 for score, real in zip(scores, IS_BONAFIDE, strict=True) if real and score <= threshold)
        accepted = sum(1 for score, real in zip(scores, IS_BONAFIDE, strict=True) if not real and score > threshold)
        assert (result.false_rejection, result.false_acceptance) == (missed / (N / 2), accepted / (N / 2))
        assert result.eer == equal_error_rate(scores[IS_BONAFIDE], scores[~IS_BONAFIDE])[0]
        spread = clean.scores[IS_BONAFIDE].std()
        assert result.bonafide_shift == pytest.approx((scores[IS_BONAFIDE].mean() - clean.scores[IS_BONAFIDE].mean()) / spread)
        assert (result.eer_ci, result.difference) == (None, None)


def test_a_shift_alone_leaves_the_eer_and_moves_the_errors_of_a_fixed_threshold(systems: dict[str, ScoredTrials]) -> None:
    clean, _, lower, *_ = compare_with_clean(systems, None)
    assert lower.eer == clean.eer
    assert lower.false_rejection > clean.false_rejection + 0.2
    assert lower.false_acceptance < clean.false_acceptance


def test_what_is_steady_and_what_is_not_are_told_apart(systems: dict[str, ScoredTrials]) -> None:
    results = {result.name: result for result in compare_with_clean(systems, Bootstrap(300))}
    assert results[CLEAN].difference is None
    for name in ("same", "lower"):
        assert (results[name].difference.low, results[name].difference.high) == (0, 0)  # paired: no spread at all
        assert results[name].difference.p_value == 1
    for name in ("noisy", "lost"):
        assert results[name].difference.low > 0.02
        low, high = results[name].eer_ci
        assert low < results[name].eer < high
    assert [result.name for result in worst_first(list(results.values()))][:3] == [CLEAN, "lost", "noisy"]


def test_the_battery_has_twenty_conditions_that_can_be_made_here() -> None:
    assert len(BATTERY) == 20
    waveform = np.sin(0.3 * np.arange(4_000, dtype=np.float32))
    for chain in BATTERY.values():
        assert np.isfinite(parse_chain(chain)(waveform, np.random.RandomState(1))).all()
