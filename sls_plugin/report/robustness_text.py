"""What channels do to a detector, as text for the terminal and as rows of numbers."""

from collections.abc import Sequence
from typing import Any

from sls_plugin.evaluation.robustness import ConditionResult, worst_first
from sls_plugin.report.text import interval, p_value

COLUMNS = (
    "condition", "eer", "eer_low", "eer_high", "difference", "difference_low", "difference_high", "p_value",
    "bonafide_shift", "spoof_shift", "false_rejection", "false_acceptance",
)  # fmt: skip

EXPLANATION = (
    "Shifts of the mean scores are in standard deviations of the clean scores. Rejected bona fide speech and accepted spoofs are "
    "those at the threshold of the clean recordings' equal error rate."
)


def as_row(result: ConditionResult) -> list[Any]:
    """The numbers of a condition, in the order of `COLUMNS`; None where there is no bootstrap."""
    difference = result.difference
    return [
        result.name, result.eer, *(result.eer_ci or (None, None)),
        *((difference.difference, difference.low, difference.high, difference.p_value) if difference else [None] * 4),
        result.bonafide_shift, result.spoof_shift, result.false_rejection, result.false_acceptance,
    ]  # fmt: skip


def robustness_text(results: Sequence[ConditionResult]) -> str:
    """A line per condition, the worst first, at most 100 columns wide."""
    lines = [
        f"{'condition':<20} {'EER %':>6} {'95 %':>15} {'to clean':>9} {'p':>7} {'bona fide':>10} {'spoof':>7} "
        f"{'rejected %':>10} {'accepted %':>10}"
    ]
    for result in worst_first(results):
        cells = [f"{result.name:<20.20}", f"{100 * result.eer:6.2f}", f"{interval_of(result):>15}"]
        cells += [f"{text:>{width}}" for text, width in zip(difference_of(result), (9, 7), strict=True)]
        cells += [f"{result.bonafide_shift:+10.2f}", f"{result.spoof_shift:+7.2f}"]
        cells += [f"{100 * result.false_rejection:10.1f}", f"{100 * result.false_acceptance:10.1f}"]
        lines.append(" ".join(cells))
    return "\n".join(lines)


def interval_of(result: ConditionResult) -> str:
    return "" if result.eer_ci is None else interval(result.eer_ci)


def difference_of(result: ConditionResult) -> tuple[str, str]:
    """The difference to the clean recordings in percent, and its p-value."""
    difference = result.difference
    if difference is None:
        return "", ""
    return f"{100 * difference.difference:+.2f}", p_value(difference.p_value, difference.resolution)
