"""The error rate by duration: bins that hold every trial of known length once, and rates of their trials alone."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import Trial
from protocols.keys import Keys
from sls_plugin.evaluation.scored_trials import ScoredTrials
from sls_plugin.metrics.det import equal_error_rate
from sls_plugin.report.durations import TRIALS_PER_BIN, duration_edges, duration_plot


def scored(n_frames, is_bonafide, scores):
    trials = [Trial(str(number), "", "", int(frames)) for number, frames in enumerate(n_frames)]
    keys = Keys("labels", Path("keys.tsv"), "all", trials, frozenset())
    return ScoredTrials(keys, trials, np.asarray(scores, dtype=float), np.asarray(is_bonafide), 0)


@pytest.fixture
def made():
    """Trials of 0.5 to 10 s, of which 100 have no known length, and the scores of two systems."""
    rng = np.random.default_rng(7)
    n_frames = rng.integers(8_000, 160_000, size=1100)
    n_frames[::11] = 0
    is_bonafide = rng.random(1100) < 0.3
    return n_frames, is_bonafide, [rng.normal(size=1100) + distance * is_bonafide for distance in (1, 2)]


def test_rows_are_the_rates_of_the_trials_between_their_edges(made):
    n_frames, is_bonafide, scores = made
    plot = duration_plot({name: scored(n_frames, is_bonafide, of) for name, of in zip("xy", scores, strict=True)})
    assert plot.data.columns == ["from (s)", "to (s)", "median (s)", "bona fide", "spoofs", "EER of x", "EER of y"]
    assert len(plot.data.rows) == 10
    for row, (low, high, median, n_bonafide, n_spoof, *eers) in enumerate(plot.data.rows):
        chosen = [
            trial for trial in range(1100)
            if n_frames[trial] and low <= n_frames[trial] / 16_000 and (n_frames[trial] / 16_000 < high or row == 9)
        ]  # fmt: skip
        assert median == pytest.approx(np.median(n_frames[chosen]) / 16_000, rel=1e-12)
        assert (n_bonafide, n_spoof) == (sum(is_bonafide[chosen]), sum(~is_bonafide[chosen]))
        for eer, of_system in zip(eers, scores, strict=True):
            bonafide, spoof = ([of_system[t] for t in chosen if is_bonafide[t] == label] for label in (True, False))
            assert eer == equal_error_rate(bonafide, spoof)[0]
    assert sum(row[3] + row[4] for row in plot.data.rows) == 1000
    assert "The duration of 100 trials is unknown." in plot.caption


def test_a_bin_without_a_class_has_no_point_and_says_so(made):
    n_frames, is_bonafide, scores = made
    n_frames[n_frames == 0] = 8_000
    plot = duration_plot({"x": scored(n_frames, is_bonafide & (n_frames > 100_000), scores[0])})
    missing = [row for row in plot.data.rows if row[3] == 0]
    assert missing
    assert all(math.isnan(row[5]) for row in missing)
    assert f"{len(missing)} of 10 bins have no point" in plot.caption
    assert "not known" not in plot.caption


@pytest.mark.parametrize("n_frames", [[0] * 500, [64_600] * 500, range(1, 2 * TRIALS_PER_BIN)])
def test_no_plot_without_two_bins(n_frames):
    is_bonafide = np.arange(len(n_frames)) % 2 == 0
    assert duration_plot({"x": scored(n_frames, is_bonafide, np.arange(len(n_frames)))}) is None


@given(st.lists(st.integers(1, 8), min_size=2 * TRIALS_PER_BIN, max_size=600))
def test_no_bin_is_empty_however_many_durations_are_equal(seconds):
    seconds = np.array(seconds, dtype=float)
    edges = duration_edges(seconds)
    assert (edges[0], edges[-1]) == (seconds.min(), seconds.max())
    if len(edges) > 2:
        assert (np.histogram(seconds, edges)[0] > 0).all()
        assert np.histogram(seconds, edges)[0].sum() == seconds.size
