"""The official tables of ASVspoof 2021 on the page: every attack or vocoder under every codec, coloured by value."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sls_plugin.evaluation.breakdown import OfficialTable
from sls_plugin.report.content import Data
from sls_plugin.report.drawing import highest_shown

CAPTION = "More colour is worse, on one scale for all systems. Pooled cells are measured on pooled trials, not averaged."


@dataclass(frozen=True, slots=True)
class Cell:
    """The text of a cell and its share of the heat colour, from 0 to 1."""

    text: str
    heat: float


@dataclass(frozen=True, slots=True)
class HeatTable:
    """A table of the page whose cells are coloured by their values."""

    title: str
    caption: str
    columns: Sequence[str]
    rows: Mapping[str, Sequence[Cell]]
    data: Data


def heat_tables(systems: Mapping[str, OfficialTable]) -> Iterator[HeatTable]:
    """For each system the table of its equal error rates and, where there is an ASV system, that of its t-DCF."""
    costs = {system: table.min_tdcf for system, table in systems.items() if table.min_tdcf is not None}
    highest_eer = 100 * highest_shown(table.eer for table in systems.values()) or 1.0  # which gets the full colour
    highest_cost = max((float(np.nan_to_num(cost).max()) for cost in costs.values()), default=0) or 1.0
    for number, (system, table) in enumerate(systems.items(), start=1):
        yield _heat_table(f"eer-table-{number}", f"EER (%): {system}", table, 100 * table.eer, 2, highest_eer)
        if costs:
            title = f"min t-DCF (2021 form): {system}"
            yield _heat_table(f"min-tdcf-table-{number}", title, table, costs[system], 4, highest_cost)


def _heat_table(name: str, title: str, table: OfficialTable, values: np.ndarray, digits: int, highest: float) -> HeatTable:
    """The values of one measure, the longer side as rows."""
    down, across = table.rows, table.columns
    if len(down) < len(across):
        down, across, values = across, down, values.T
    rows = {row: [_cell(value, digits, highest) for value in row_values] for row, row_values in zip(down, values, strict=True)}
    return HeatTable(
        title=title,
        caption=CAPTION,
        columns=across,
        rows=rows,
        data=Data(name, ["", *across], [(row, *row_values.tolist()) for row, row_values in zip(down, values, strict=True)]),
    )


def _cell(value: float, digits: int, highest: float) -> Cell:
    return Cell("–", 0) if math.isnan(value) else Cell(f"{value:.{digits}f}", min(1.0, value / highest))
