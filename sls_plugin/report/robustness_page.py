"""What channels do to a detector, as a page."""

from collections.abc import Sequence

import numpy as np

from sls_plugin.evaluation.robustness import CLEAN, ConditionResult, worst_first
from sls_plugin.report.content import Data, Table
from sls_plugin.report.drawing import BONAFIDE, INK, MUTED, SPOOF, LegendEntry, Plot, new_figure, page_style, to_svg
from sls_plugin.report.page import Content, render
from sls_plugin.report.robustness_text import COLUMNS, EXPLANATION, as_row, difference_of, interval_of
from sls_plugin.report.text import in_words


def robustness_page(results: Sequence[ConditionResult], facts: str, title: str) -> str:
    """The HTML page."""
    ordered = worst_first(results)
    data = Data("robustness", COLUMNS, [[np.nan if cell is None else cell for cell in as_row(result)] for result in ordered])
    columns = ["condition", "EER (%)", "95 %", "to clean", "p"]
    columns += ["shift of bona fide", "shift of spoofs", "rejected (%)", "accepted (%)"]
    rows = [
        [
            result.name, f"{100 * result.eer:.2f}", interval_of(result), *difference_of(result), f"{result.bonafide_shift:+.2f}",
            f"{result.spoof_shift:+.2f}", f"{100 * result.false_rejection:.1f}", f"{100 * result.false_acceptance:.1f}",
        ]
        for result in ordered
    ]  # fmt: skip
    return render(
        title,
        [],
        Content(
            facts=facts,
            words=[_in_words(ordered)],
            summary=Table("Errors under each condition", EXPLANATION, columns, rows, data),
            plots=[_plot(ordered)],
        ),
    )


def _in_words(results: Sequence[ConditionResult]) -> str:
    clean, *others = results
    worst = max(others, key=lambda result: result.eer)
    moved = max(others, key=lambda result: result.false_rejection + result.false_acceptance)
    errors = in_words(misses=moved.false_acceptance, false_alarms=moved.false_rejection)
    return (
        f"The equal error rate is {100 * clean.eer:.1f} % on clean recordings, and of the conditions highest under {worst.name}, "
        f"{100 * worst.eer:.1f} %. "
        f"The threshold of the clean recordings errs most under {moved.name}: {errors}."
    )


@page_style
def _plot(results: Sequence[ConditionResult]) -> Plot:
    figure, axes = new_figure(0.9 + 0.22 * len(results))
    places = np.arange(len(results))
    for place, result in zip(places, results, strict=True):
        low, high = result.eer_ci or (result.eer, result.eer)
        colour = INK if result.name == CLEAN else SPOOF if _is_worse(result) else BONAFIDE
        axes.plot([100 * low, 100 * high], [place, place], color=colour)
        axes.plot([100 * result.eer], [place], "o", color=colour, markersize=5)
    axes.axvline(100 * results[0].eer, color=MUTED, linewidth=0.8, linestyle="dotted")
    axes.set_yticks(places, [result.name for result in results])
    axes.set_ylim(len(results) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("EER (%)")
    svg = to_svg(figure, "robustness")
    rows = [(result.name, result.eer, *(result.eer_ci or (np.nan, np.nan))) for result in results]
    return Plot(
        title="Equal error rate under each condition",
        caption="With 95 % intervals. The dotted line is the rate on clean recordings.",
        svg=svg,
        legend=[LegendEntry("worse than clean", SPOOF), LegendEntry("no significant difference, or better", BONAFIDE)],
        data=Data("eer-by-condition", ("condition", "EER", "low", "high"), rows),
    )


def _is_worse(result: ConditionResult) -> bool:
    return result.difference is not None and result.difference.low > 0
