"""The plots of a report: inline SVG in the colours of the page, and the numbers that each one shows."""

import base64
import csv
import io
import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtri

from sls_plugin.metrics.det import det_curve, equal_error_rate

from .evaluation import AttackResult
from .text import shortened

# What is drawn in one of these colours gets the colour that the page's style sheet gives to the name, light or dark.
INK, MUTED, BONAFIDE, SPOOF = "#010000", "#020000", "#030000", "#040000"
SERIES = ("#050000", "#060000", "#070000", "#080000", "#090000", "#0a0000")
PAGE_COLOURS = {INK: "currentColor", MUTED: "var(--muted)", BONAFIDE: "var(--bonafide)", SPOOF: "var(--spoof)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, start=1)
}
DASHES = ("solid", "dashed", "dotted")

STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "sls",  # the same scores give the same page
    "text.parse_math": False,  # a $ in a name is a $
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}
WIDTH, HEIGHT = 4.6, 3.4  # inches: small, so that the text can be read on a phone

MAX_BINS = 50
ATTACK_WIDTH = 24  # characters
DET_TICKS = (
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999
)  # fmt: skip
DET_TICK_DISTANCE = 0.055  # of an axis
DET_CELLS = 300  # a curve is drawn to this part of an axis


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """A label with the CSS colour and line style of what it stands for."""

    label: str
    colour: str
    dash: str = "solid"


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot of the page: its SVG element and, as columns and rows, the numbers that it shows."""

    name: str
    title: str
    caption: str
    svg: str
    legend: Sequence[LegendEntry]
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float]]

    @property
    def csv_link(self) -> str:
        """The numbers as a data: link to a CSV file, in full precision."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.columns, *self.rows])
        return "data:text/csv;charset=utf-8;base64," + base64.b64encode(text.getvalue().encode()).decode()


@matplotlib.rc_context(STYLE)
def score_histogram(name: str, title: str, classes: Mapping[str, np.ndarray], threshold: float | None) -> Plot:
    """How the scores of each class are spread, as shares of the class, and the threshold.

    `classes` maps `bona fide` and `spoof`, or another word for trials of unknown label, to their scores.
    """
    scores = np.concatenate(list(classes.values()))
    edges = np.histogram_bin_edges(scores, min(MAX_BINS, math.ceil(2 * math.sqrt(scores.size))))
    counts = {label: np.histogram(of_class, edges)[0] for label, of_class in classes.items()}
    colours = {label: {"bona fide": BONAFIDE, "spoof": SPOOF}.get(label, SERIES[0]) for label in classes}

    figure, axes = _figure(HEIGHT)
    for label, count in counts.items():
        shares = 100 * count / count.sum()
        axes.stairs(shares, edges, fill=True, color=colours[label], alpha=0.3, linewidth=0)
        axes.stairs(shares, edges, color=colours[label], linewidth=1.4)
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel("score (higher: more bona fide)")
    axes.set_ylabel("share of the trials (%)" if len(classes) == 1 else "share of the class (%)")
    legend = [LegendEntry(label, PAGE_COLOURS[colours[label]]) for label in classes]
    if threshold is not None:
        axes.axvline(threshold, color=INK, linestyle="dashed", linewidth=1.2)
        legend.append(LegendEntry(f"threshold {threshold:.6g}", PAGE_COLOURS[INK], "dashed"))
    return Plot(
        name=name,
        title=title,
        caption=f"{len(edges) - 1} bins of equal width.",
        svg=_svg(figure, name),
        legend=legend,
        columns=["from", "to", *counts],
        rows=list(zip(*(column.tolist() for column in (edges[:-1], edges[1:], *counts.values())), strict=True)),
    )


@matplotlib.rc_context(STYLE)
def det_plot(systems: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Plot:
    """The DET curve of each system, from its bona fide and its spoof scores, on normal-deviate axes.

    Both rates are warped by the inverse of the normal distribution, so that normal scores give a straight line (Martin
    et al., "The DET curve in assessment of detection task performance", Eurospeech 1997).
    """
    curves = {system: det_curve(*scores) for system, scores in systems.items()}
    eers = {system: equal_error_rate(*scores)[0] for system, scores in systems.items()}
    low = DET_TICKS[max(bisect_right(DET_TICKS, min(eers.values()) / 10) - 1, 0)]
    high = DET_TICKS[bisect_left(DET_TICKS, min(max(2 * max(eers.values()), 0.4), DET_TICKS[-1]))]

    figure, axes = _figure(WIDTH)
    axes.plot(ndtri([low, high]), ndtri([low, high]), color=MUTED, linestyle="dotted", linewidth=1)
    legend, rows = [], []
    for index, (system, (false_rejection, false_acceptance, thresholds)) in enumerate(curves.items()):
        colour, dash = _series(index)
        x, y = (ndtri(np.clip(rates, low, high)) for rates in (false_acceptance, false_rejection))
        visible = _visible_points(x, y, cell=(ndtri(high) - ndtri(low)) / DET_CELLS)
        axes.plot(x[visible], y[visible], color=colour, linestyle=dash, linewidth=1.6, clip_on=False)
        eer = ndtri(np.clip(eers[system], low, high))
        axes.plot(eer, eer, color=colour, marker="o", markersize=5, clip_on=False)
        legend.append(LegendEntry(f"{system}: EER {100 * eers[system]:.2f} %", PAGE_COLOURS[colour], dash))
        points = (column[visible].tolist() for column in (thresholds, false_acceptance, false_rejection))
        rows += [(system, *point) for point in zip(*points, strict=True)]

    shown = _spaced_ticks(low, high)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ndtri(shown), [f"{100 * tick:g}" for tick in shown])
    axes.set(xlim=ndtri([low, high]), ylim=ndtri([low, high]), aspect="equal")
    axes.set_xlabel("spoofs accepted as bona fide (%)")
    axes.set_ylabel("bona fide trials rejected (%)")
    axes.grid(color=MUTED, alpha=0.25, linewidth=0.6)
    return Plot(
        name="det",
        title="Detection error trade-off",
        caption="Normal-deviate axes; a dot marks the EER. Rates beyond an axis are drawn on its end.",
        svg=_svg(figure, "det"),
        legend=legend,
        columns=["system", "threshold", "false acceptance rate", "false rejection rate"],
        rows=rows,
    )


@matplotlib.rc_context(STYLE)
def attack_plot(systems: Mapping[str, Mapping[str, AttackResult]]) -> Plot:
    """The equal error rate of each attack, a bar for each system; the systems are scored on the same trials."""
    attacks = next(iter(systems.values()))
    thickness = 0.8 / len(systems)
    figure, axes = _figure(0.9 + len(attacks) * max(0.24, 0.17 * len(systems)))
    legend = []
    for index, (system, results) in enumerate(systems.items()):
        colour, dash = _series(index)
        rates = [100 * results[attack].eer for attack in attacks]
        centres = np.arange(len(attacks)) + (index + 0.5) * thickness - 0.4
        bars = axes.barh(centres, rates, thickness, color=colour)
        axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
        legend.append(LegendEntry(system, PAGE_COLOURS[colour], dash))
    axes.set_yticks(np.arange(len(attacks)), [shortened(attack, ATTACK_WIDTH) for attack in attacks])
    axes.set_ylim(len(attacks) - 0.4, -0.6)  # the first attack on top
    axes.margins(x=0.12)
    axes.set_xlabel("EER (%)")
    return Plot(
        name="attacks",
        title="Equal error rate by attack",
        caption="The spoofs of one attack against all bona fide trials.",
        svg=_svg(figure, "attacks"),
        legend=legend,
        columns=["attack", "spoofs", *(f"EER of {system}" for system in systems)],
        rows=[
            (attack, result.n_spoof, *(results[attack].eer for results in systems.values()))
            for attack, result in attacks.items()
        ],
    )


def _figure(height: float) -> tuple[Figure, Axes]:
    """An empty figure of the page's width with one pair of axes; height in inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def _series(index: int) -> tuple[str, str]:
    """The colour and line style of a system; the style changes when the colours are used up."""
    return SERIES[index % len(SERIES)], DASHES[index // len(SERIES) % len(DASHES)]


def _spaced_ticks(low: float, high: float) -> list[float]:
    """The ticks between two rates that are far enough from each other for their labels."""
    shown = [low]
    for tick in DET_TICKS:
        if low < tick <= high and ndtri(tick) - ndtri(shown[-1]) > (ndtri(high) - ndtri(low)) * DET_TICK_DISTANCE:
            shown.append(tick)
    return shown


def _visible_points(x: np.ndarray, y: np.ndarray, cell: float) -> np.ndarray:
    """The indices of the points of a curve that are in another cell of the raster than the point before."""
    raster = np.round(np.stack([x, y]) / cell)
    moved = np.any(raster[:, 1:] != raster[:, :-1], axis=0)
    return np.flatnonzero(np.concatenate([[True], moved]))


def _svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element for a page, in its colours and fonts; `name` keeps its ids apart from others."""
    buffer = io.StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=no_metadata)
    svg = re.sub(r'^.*?<svg [^>]*(viewBox="[^"]*")[^>]*>', r"<svg \1>", buffer.getvalue(), flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)

    def for_the_page(tag: re.Match[str]) -> str:
        text = re.sub(r"font-family: [^;]*; ", "", tag[0])
        text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
        return re.sub("|".join(PAGE_COLOURS), lambda colour: PAGE_COLOURS[colour[0]], text)

    return re.sub(r"<[^>]+>", for_the_page, svg)  # only tags: a name between them stays as it is
