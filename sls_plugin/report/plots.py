"""The plots of errors: at every threshold, and with scores between two thresholds left undecided."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping

import numpy as np
from scipy.special import ndtri

from sls_plugin.metrics.det import det_curve, equal_error_rate
from sls_plugin.metrics.operating_point import risk_coverage
from sls_plugin.report.content import Data
from sls_plugin.report.drawing import (
    HEIGHT,
    MUTED,
    WIDTH,
    LegendEntry,
    Plot,
    highest_shown,
    new_figure,
    page_style,
    series,
    to_svg,
)

DET_TICKS = (
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999
)  # fmt: skip
DET_TICK_DISTANCE = 0.055  # of an axis
DET_CELLS = 300  # per axis: the resolution at which a curve is drawn


@page_style
def det_plot(systems: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Plot:
    """The DET curve of each system, from its bona fide and its spoof scores, on normal-deviate axes.

    Both rates are warped by the inverse of the normal distribution, so that normal scores give a straight line (Martin
    et al., "The DET curve in assessment of detection task performance", Eurospeech 1997).
    """
    curves = {system: det_curve(*scores) for system, scores in systems.items()}
    eers = {system: equal_error_rate(*scores)[0] for system, scores in systems.items()}
    low = DET_TICKS[max(bisect_right(DET_TICKS, min(eers.values()) / 10) - 1, 0)]
    high = DET_TICKS[bisect_left(DET_TICKS, min(max(2 * highest_shown([[*eers.values()]]), 0.4), DET_TICKS[-1]))]

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


@page_style
def risk_coverage_plot(systems: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Plot:
    """The error rate of each system among the trials that it decides, by their share, from scores and labels."""
    curves = {system: risk_coverage(*trials) for system, trials in systems.items()}
    highest = highest_shown(risk[-1:] for _, _, risk in curves.values()) or 1.0
    figure, axes = new_figure(HEIGHT)
    legend, rows = [], []
    for index, (system, (errors, coverage, risk)) in enumerate(curves.items()):
        colour, dash = series(index)
        visible = _visible_points(coverage, np.minimum(risk / highest, 2), cell=1 / DET_CELLS)
        axes.plot(100 * coverage[visible], 100 * risk[visible], color=colour, linestyle=dash, linewidth=1.6)
        legend.append(LegendEntry(system, colour, dash))
        points = (column[visible].tolist() for column in (errors, coverage, risk))
        rows += [(system, *point) for point in zip(*points, strict=True)]
    fewest = min((coverage[0] for _, coverage, risk in curves.values() if risk[-1] <= highest), default=0)
    axes.set(xlim=(100 * fewest - 1, 100), ylim=(0, 108 * highest))
    axes.set_xlabel("trials decided (%)")
    axes.set_ylabel("errors among them (%)")
    axes.grid(color=MUTED, alpha=0.25, linewidth=0.6)
    caption = (
        "Scores between two thresholds are left undecided, so that a limited share of each class is judged wrongly "
        "(sls threshold --max-error); both classes count alike."
    )
    return Plot(
        title="Errors with abstention: risk and coverage",
        caption=caption,
        svg=to_svg(figure, "risk-coverage"),
        legend=legend,
        data=Data("risk-coverage", ["system", "allowed in each class", "share decided", "error rate among them"], rows),
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
