"""Error rates by the duration of the utterances."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from protocols.audio_format import SAMPLE_RATE
from sls_plugin.evaluation.scored_trials import ScoredTrials
from sls_plugin.metrics.conditions import eer_table
from sls_plugin.report.content import Data
from sls_plugin.report.drawing import (
    HEIGHT,
    MUTED,
    LegendEntry,
    Plot,
    highest_shown,
    new_figure,
    page_style,
    series,
    to_svg,
)

MAX_BINS = 10
TRIALS_PER_BIN = 50  # at least: fewer give no meaningful error rate


def durations(scored: ScoredTrials) -> np.ndarray:
    """The duration of each trial in seconds; NaN where it is unknown."""
    return np.array([trial.n_frames / SAMPLE_RATE or math.nan for trial in scored.trials])


def duration_edges(seconds: np.ndarray) -> np.ndarray:
    """The edges, in seconds, of bins with about as many trials each; fewer than three edges if two bins cannot be made.

    A bin begins at its lower edge, the duration of a trial, and ends before its upper one; the last bin holds both.
    """
    known = seconds[~np.isnan(seconds)]
    n_bins = min(MAX_BINS, known.size // TRIALS_PER_BIN)
    return np.unique(np.quantile(known, np.linspace(0, 1, n_bins + 1), method="lower")) if n_bins > 1 else np.empty(0)


@page_style
def duration_plot(systems: Mapping[str, ScoredTrials]) -> Plot | None:
    """The equal error rate of each system by utterance duration; None if too few durations are known.

    The systems are scored on the same trials.
    """
    scored = next(iter(systems.values()))
    seconds = durations(scored)
    edges = duration_edges(seconds)
    n_bins = len(edges) - 1
    if n_bins < 2:
        return None
    known = ~np.isnan(seconds)
    bins = np.where(known, np.clip(np.searchsorted(edges, seconds, side="right") - 1, 0, n_bins - 1), -1)
    medians = [float(np.median(seconds[bins == number])) for number in range(n_bins)]
    n_bonafide = np.bincount(bins[known & scored.is_bonafide], minlength=n_bins)
    n_spoof = np.bincount(bins[known & ~scored.is_bonafide], minlength=n_bins)
    eers = {
        system: eer_table(trials.scores, trials.is_bonafide, np.zeros_like(bins), bins, 1, n_bins)[0, :-1]
        for system, trials in systems.items()
    }
    columns = (edges[:-1], edges[1:], medians, n_bonafide, n_spoof, *eers.values())
    figure, legend = _lines(medians, eers)
    return Plot(
        title="Equal error rate by duration",
        caption=" ".join(_sentences(seconds, n_bonafide, n_spoof, eers)),
        svg=to_svg(figure, "durations"),
        legend=legend,
        data=Data(
            "durations",
            ["from (s)", "to (s)", "median (s)", "bona fide", "spoofs", *(f"EER of {system}" for system in eers)],
            list(zip(*(np.asarray(column).tolist() for column in columns), strict=True)),
        ),
    )


def _lines(medians: Sequence[float], eers: Mapping[str, np.ndarray]) -> tuple[Figure, list[LegendEntry]]:
    """The rates of each system, one point for each bin."""
    figure, axes = new_figure(HEIGHT)
    legend = []
    for index, (system, rates) in enumerate(eers.items()):
        colour, dash = series(index)
        axes.plot(medians, 100 * rates, color=colour, linestyle=dash, linewidth=1.6, marker="o", markersize=4)
        legend.append(LegendEntry(system, colour, dash))
    axes.set_ylim(0, 1.08 * 100 * highest_shown(eers.values()) or 1)
    axes.set_xlabel("duration (s)")
    axes.set_ylabel("EER (%)")
    axes.grid(axis="y", color=MUTED, alpha=0.25, linewidth=0.6)
    return figure, legend


def _sentences(
    seconds: np.ndarray, n_bonafide: np.ndarray, n_spoof: np.ndarray, eers: Mapping[str, np.ndarray]
) -> Iterator[str]:
    """What a point represents, and what is not drawn."""
    smallest, largest = (n_bonafide + n_spoof).min(), (n_bonafide + n_spoof).max()
    yield f"A point stands at the median duration of {smallest:,} to {largest:,} trials."
    if n_unknown := np.isnan(seconds).sum():
        yield f"The duration of {n_unknown:,} trials is unknown."
    if n_missing := np.sum((n_bonafide == 0) | (n_spoof == 0)):
        yield f"{n_missing} of {len(n_spoof)} bins have no point: trials of one class are missing."
    if beyond := [system for system, rates in eers.items() if np.nan_to_num(rates).max() > 1.08 * highest_shown(eers.values())]:
        yield f"Some points lie above the axis: {', '.join(beyond)}."
