"""An evaluation as text for the terminal, at most 100 columns wide."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sls_plugin.evaluation.breakdown import GroupResult, OfficialTable
from sls_plugin.evaluation.evaluation import Evaluation

NAME_WIDTH = 60


def evaluation_text(evaluation: Evaluation, score_file: str | Path) -> str:
    """The counts, the figures, and the official table of the corpus or the rates of each attack and codec."""
    parts = ["\n".join(f"{name:<10}{fact}" for name, fact in _facts(evaluation, score_file).items())]
    if evaluation.table:
        parts += _official_tables(evaluation.table)
    else:
        parts += [
            _group_table(word, results)
            for word, results in (("attack", evaluation.per_attack), ("codec", evaluation.per_condition)) if results
        ]
    return "\n\n".join(parts)


def shortened(name: str, width: int) -> str:
    """The name, or its beginning where it is longer than `width` characters."""
    return name if len(name) <= width else f"{name[: width - 1]}…"


def interval(ci: tuple[float, float], digits: int = 2) -> str:
    """An interval of rates in percent."""
    return f"[{100 * ci[0]:.{digits}f}, {100 * ci[1]:.{digits}f}]"


def _facts(evaluation: Evaluation, score_file: str | Path) -> dict[str, str]:
    """The facts that take one line each."""
    scored = evaluation.scored
    keys = scored.keys
    facts = {
        "scores": shortened(Path(score_file).name, NAME_WIDTH) + (" (negated)" if evaluation.negated else ""),
        "corpus": keys.corpus,
        "phase": keys.phase,
        "trials": f"{len(scored.trials):,}: {scored.bonafide.size:,} bona fide, {scored.spoof.size:,} spoof",
    }
    if scored.n_missing:
        facts["left out"] = f"{scored.n_missing:,} trials of the keys that have no score"
    facts["EER"] = f"{100 * evaluation.eer:.3f} % at threshold {evaluation.eer_threshold:.6g}"
    if evaluation.eer_ci:
        drawn = "speakers" if evaluation.bootstrap.by_speaker else "trials within each class"
        facts["95 %"] = f"{interval(evaluation.eer_ci, 3)} % from {evaluation.bootstrap.n_samples:,} resamples of {drawn}"
    if evaluation.asv_source:
        facts["min t-DCF"] = f"{_number(evaluation.min_tdcf)} (2021 form), {_number(evaluation.min_tdcf_2019)} (2019 form)"
        facts["ASV"] = evaluation.asv_source
    facts["minDCF"] = f"{evaluation.min_dcf:.4f} (costs of ASVspoof 5)"
    facts["actDCF"] = f"{evaluation.act_dcf:.4f}, Cllr {evaluation.cllr:.4f} bits (both take scores as log-likelihood ratios)"
    return facts


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4f}"


def _group_table(word: str, results: Mapping[str, GroupResult]) -> str:
    """A line for each attack or codec."""
    names = {name: shortened(name, NAME_WIDTH) for name in results}
    width = max(map(len, [*names.values(), word]))
    lines = [f"{word:<{width}}{'bona fide':>12}{'spoofs':>12}{'EER (%)':>12}"]
    lines += [
        f"{names[name]:<{width}}{result.n_bonafide:>12,}{result.n_spoof:>12,}{_cell(100 * result.eer, 3):>12}"
        for name, result in results.items()
    ]
    return "\n".join(lines)


def _official_tables(table: OfficialTable) -> list[str]:
    """The table of error rates and, where there is an ASV system, that of the t-DCF; the longer side becomes the rows."""
    parts = [("EER (%)", 100 * table.eer, 2)]
    if table.min_tdcf is not None:
        parts.append(("min t-DCF (2021 form)", table.min_tdcf, 4))
    if len(table.rows) < len(table.columns):
        return [_grid(title, table.columns, table.rows, cells.T, digits) for title, cells, digits in parts]
    return [_grid(title, table.rows, table.columns, cells, digits) for title, cells, digits in parts]


def _grid(title: str, rows: Sequence[str], columns: Sequence[str], cells: np.ndarray, digits: int) -> str:
    """A table whose header has one word of each column's name per line."""
    words = [column.split("_") for column in columns]
    height = max(map(len, words))
    headers = [[""] * (height - len(column)) + column for column in words]
    name_width = max(map(len, rows)) + 1
    widths = [max(7, *map(len, header)) + 2 for header in headers]
    lines = [title]
    lines += [
        " " * name_width + "".join(f"{header[line]:>{width}}" for header, width in zip(headers, widths, strict=True))
        for line in range(height)
    ]
    lines += [
        f"{row:<{name_width}}" + "".join(f"{_cell(cell, digits):>{width}}" for cell, width in zip(values, widths, strict=True))
        for row, values in zip(rows, cells, strict=True)
    ]
    return "\n".join(lines)


def _cell(value: float, digits: int) -> str:
    """A number, or a dash where it is undefined."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
