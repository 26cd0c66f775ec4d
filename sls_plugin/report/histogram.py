"""The distribution of the scores of each class."""

import math
from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import logit

from sls_plugin.report.content import Data
from sls_plugin.report.drawing import (
    BONAFIDE,
    HEIGHT,
    INK,
    SERIES,
    SPOOF,
    LegendEntry,
    Plot,
    new_figure,
    page_style,
    to_svg,
)

MAX_BINS = 50
CROWDED = 0.25  # of the trials of a class in one bin: their distribution cannot be seen
LARGEST_LOG_ODDS = 30.0


@page_style
def score_histogram(name: str, title: str, classes: Mapping[str, np.ndarray], threshold: float | None) -> Plot:
    """A histogram of the scores of each class, as shares of the class, and the threshold.

    `classes` maps `bona fide` and `spoof`, or another word for trials of unknown label, to their scores.
    """
    axis, caption, as_drawn = _score_axis(classes)
    drawn = {label: as_drawn(class_scores) for label, class_scores in classes.items()}
    edges = _bin_edges(drawn)
    counts = {label: np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] for label, values in drawn.items()}
    colours = {label: {"bona fide": BONAFIDE, "spoof": SPOOF}.get(label, SERIES[0]) for label in classes}

    figure, axes = new_figure(HEIGHT)
    for label, count in counts.items():
        shares = 100 * count / count.sum()
        axes.stairs(shares, edges, fill=True, color=colours[label], alpha=0.3, linewidth=0)
        axes.stairs(shares, edges, color=colours[label], linewidth=1.4)
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel(f"{axis} (higher: more bona fide)")
    axes.set_ylabel("share of the trials (%)" if len(classes) == 1 else "share of the class (%)")
    legend = [LegendEntry(label, colours[label]) for label in classes]
    if threshold is not None:
        axes.axvline(float(as_drawn(np.array(threshold))), color=INK, linestyle="dashed", linewidth=1.2)
        legend.append(LegendEntry(f"threshold {threshold:.6g}", INK, "dashed"))
    rows = zip(*(column.tolist() for column in (edges[:-1], edges[1:], *counts.values())), strict=True)
    return Plot(
        title=title,
        caption=" ".join([f"{len(edges) - 1} bins of equal width.", *caption, *_beyond(drawn, edges)]),
        svg=to_svg(figure, name),
        legend=legend,
        data=Data(name, [f"{axis} from", "to", *counts], list(rows)),
    )


def _score_axis(classes: Mapping[str, np.ndarray]) -> tuple[str, list[str], Callable[[np.ndarray], np.ndarray]]:
    """What the axis shows, what to say of it, and a function from scores to it: the scores, or their log-odds.

    Probabilities and their logarithms, the published scores of some detectors, are all but equal for most trials of a class.
    """
    scores = np.concatenate(list(classes.values()))
    if not _is_crowded(classes, _equal_bins(scores)):
        return "score", [], lambda values: values
    if scores.max() <= 0:
        return "log-odds", ["The scores are taken for logarithms of probabilities p; drawn is log(p / (1 - p))."], _log_odds
    if scores.min() >= 0 and scores.max() <= 1:
        sentence = "The scores are taken for probabilities p; drawn is log(p / (1 - p))."
        return "log-odds", [sentence], lambda values: np.clip(logit(values.clip(0, 1)), -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)
    return "score", [], lambda values: values


def _log_odds(log_probabilities: np.ndarray) -> np.ndarray:
    values = np.minimum(log_probabilities, 0)
    with np.errstate(divide="ignore"):
        return np.minimum(values - np.log(-np.expm1(values)), LARGEST_LOG_ODDS)


def _bin_edges(classes: Mapping[str, np.ndarray]) -> np.ndarray:
    """The edges of bins of all values; of the middle 98 % where the others crowd a class into one bin."""
    values = np.concatenate(list(classes.values()))
    edges = _equal_bins(values)
    low, high = np.quantile(values, [0.01, 0.99])
    if low == high or not _is_crowded(classes, edges):
        return edges
    of_most = _equal_bins(values, (low, high))
    return of_most if _fullest(classes, of_most) < _fullest(classes, edges) / 2 else edges


def _equal_bins(values: np.ndarray, ends: tuple[float, float] | None = None) -> np.ndarray:
    return np.histogram_bin_edges(values, min(MAX_BINS, math.ceil(2 * math.sqrt(values.size))), ends)


def _is_crowded(classes: Mapping[str, np.ndarray], edges: np.ndarray) -> bool:
    """Whether a bin holds too many trials of a class, and there are bins enough to avoid it."""
    return len(edges) > 10 and _fullest(classes, edges) > CROWDED


def _fullest(classes: Mapping[str, np.ndarray], edges: np.ndarray) -> float:
    """The largest share of a class in one bin."""
    return max(np.histogram(values, edges)[0].max() / values.size for values in classes.values())


def _beyond(classes: Mapping[str, np.ndarray], edges: np.ndarray) -> list[str]:
    """A sentence where trials lie beyond the bins."""
    n_beyond = sum(int(((values < edges[0]) | (values > edges[-1])).sum()) for values in classes.values())
    return [f"{n_beyond:,} trials beyond them are counted in the first and the last."] if n_beyond else []
