"""The plots of scores: their distribution, and the errors at every threshold."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping

import numpy as np
from scipy.special import ndtri

from sls_plugin.metrics.det import det_curve, equal_error_rate
from sls_plugin.report.content import Data
from sls_plugin.report.drawing import (
    BONAFIDE,
    HEIGHT,
    INK,
    MUTED,
    SERIES,
    SPOOF,
    WIDTH,
    LegendEntry,
    Plot,
    new_figure,
    page_style,
    series,
    to_svg,
)

MAX_BINS = 50
DET_TICKS = (
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999
)  # fmt: skip
DET_TICK_DISTANCE = 0.055  # of an axis
DET_CELLS = 300  # per axis: the resolution at which a curve is drawn


@page_style
def score_histogram(name: str, title: str, classes: Mapping[str, np.ndarray], threshold: float | None) -> Plot:
    """A histogram of the scores of each class, as shares of the class, and the threshold.

    `classes` maps `bona fide` and `spoof`, or another word for trials of unknown label, to their scores.
    """
    scores = np.concatenate(list(classes.values()))
    edges = np.histogram_bin_edges(scores, min(MAX_BINS, math.ceil(2 * math.sqrt(scores.size))))
    counts = {label: np.histogram(class_scores, edges)[0] for label, class_scores in classes.items()}
    colours = {label: {"bona fide": BONAFIDE, "spoof": SPOOF}.get(label, SERIES[0]) for label in classes}

    figure, axes = new_figure(HEIGHT)
    for label, count in counts.items():
        shares = 100 * count / count.sum()
        axes.stairs(shares, edges, fill=True, color=colours[label], alpha=0.3, linewidth=0)
        axes.stairs(shares, edges, color=colours[label], linewidth=1.4)
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel("score (higher: more bona fide)")
    axes.set_ylabel("share of the trials (%)" if len(classes) == 1 else "share of the class (%)")
    legend = [LegendEntry(label, colours[label]) for label in classes]
    if threshold is not None:
        axes.axvline(threshold, color=INK, linestyle="dashed", linewidth=1.2)
        legend.append(LegendEntry(f"threshold {threshold:.6g}", INK, "dashed"))
    rows = zip(*(column.tolist() for column in (edges[:-1], edges[1:], *counts.values())), strict=True)
    return Plot(
        title=title,
        caption=f"{len(edges) - 1} bins of equal width.",
        svg=to_svg(figure, name),
        legend=legend,
        data=Data(name, ["from", "to", *counts], list(rows)),
    )


@page_style
def det_plot(systems: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Plot:
    """The DET curve of each system, from its bona fide and its spoof scores, on normal-deviate axes.

    Both rates are warped by the inverse of the normal distribution, so that normal scores give a straight line (Martin
    et al., "The DET curve in assessment of detection task performance", Eurospeech 1997).
    """
    curves = {system: det_curve(*scores) for system, scores in systems.items()}
    eers = {system: equal_error_rate(*scores)[0] for system, scores in systems.items()}
    low = DET_TICKS[max(bisect_right(DET_TICKS, min(eers.values()) / 10) - 1, 0)]
    high = DET_TICKS[bisect_left(DET_TICKS, min(max(2 * max(eers.values()), 0.4), DET_TICKS[-1]))]

    figure, axes = new_figure(WIDTH)
    axes.plot(ndtri([low, high]), ndtri([low, high]), color=MUTED, linestyle="dotted", linewidth=1)
    legend, rows = [], []
    for index, (system, (false_rejection, false_acceptance, thresholds)) in enumerate(curves.items()):
        colour, dash = series(index)
        x, y = (ndtri(np.clip(rates, low, high)) for rates in (false_acceptance, false_rejection))
        visible = _visible_points(x, y, cell=(ndtri(high) - ndtri(low)) / DET_CELLS)
        axes.plot(x[visible], y[visible], color=colour, linestyle=dash, linewidth=1.6, clip_on=False)
        eer = ndtri(np.clip(eers[system], low, high))
        axes.plot(eer, eer, color=colour, marker="o", markersize=5, clip_on=False)
        legend.append(LegendEntry(f"{system}: EER {100 * eers[system]:.2f} %", colour, dash))
        points = (column[visible].tolist() for column in (thresholds, false_acceptance, false_rejection))
        rows += [(system, *point) for point in zip(*points, strict=True)]

    ticks = _spaced_ticks(low, high)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ndtri(ticks), [f"{100 * tick:g}" for tick in ticks])
    axes.set(xlim=ndtri([low, high]), ylim=ndtri([low, high]), aspect="equal")
    axes.set_xlabel("spoofs accepted as bona fide (%)")
    axes.set_ylabel("bona fide trials rejected (%)")
    axes.grid(color=MUTED, alpha=0.25, linewidth=0.6)
    return Plot(
        title="Detection error trade-off",
        caption="Normal-deviate axes; a dot marks the EER. Rates beyond an axis are drawn at its end.",
        svg=to_svg(figure, "det"),
        legend=legend,
        data=Data("det", ["system", "threshold", "false acceptance rate", "false rejection rate"], rows),
    )


def _spaced_ticks(low: float, high: float) -> list[float]:
    """The ticks between two rates, far enough apart for their labels."""
    ticks = [low]
    for tick in DET_TICKS:
        if low < tick <= high and ndtri(tick) - ndtri(ticks[-1]) > (ndtri(high) - ndtri(low)) * DET_TICK_DISTANCE:
            ticks.append(tick)
    return ticks


def _visible_points(x: np.ndarray, y: np.ndarray, cell: float) -> np.ndarray:
    """The indices of the curve's points that are in another grid cell than the previous point."""
    grid = np.round(np.stack([x, y]) / cell)
    moved = np.any(grid[:, 1:] != grid[:, :-1], axis=0)
    return np.flatnonzero(np.concatenate([[True], moved]))
