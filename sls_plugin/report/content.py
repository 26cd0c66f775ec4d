"""What a report is made of: systems with their scores, tables, and the numbers behind tables and plots."""

import base64
import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protocols.escapes import as_cell
from sls_plugin.evaluation.evaluation import Evaluation


@dataclass(frozen=True, slots=True)
class Data:
    """The numbers of a plot or table in full precision, shown on the page and offered as a CSV file.

    Rates are fractions; NaN means undefined. Text that a spreadsheet would take for a formula has an apostrophe before it in
    the CSV file.
    """

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float]]

    @property
    def csv_link(self) -> str:
        """The numbers as a data: link to a CSV file."""
        text = io.StringIO()
        rows = ([as_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in (self.columns, *self.rows))
        csv.writer(text, lineterminator="\n").writerows(rows)
        return "data:text/csv;charset=utf-8;base64," + base64.b64encode(text.getvalue().encode()).decode()


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the page: cells as text, and the same numbers in full precision."""

    title: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    data: Data | None = None


@dataclass(frozen=True, slots=True)
class Slider:
    """The errors of one system at thresholds to choose from: (threshold, misses, false alarms), rates in percent.

    `start` is the position of the threshold of the report.
    """

    system: str
    points: Sequence[tuple[float, float, float]]
    start: int


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSystem:
    """The scores of one system without keys."""

    name: str
    ids: Sequence[str]
    scores: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class EvaluatedSystem:
    """One system with its evaluation; a score above the threshold means bona fide."""

    name: str
    evaluation: Evaluation
    threshold: float


def system_names(score_files: Sequence[str | Path]) -> list[str]:
    """The names of the systems: their file names without suffix, or whole paths where these repeat.

    >>> system_names(["sls.txt", "a/aasist.txt", "b/aasist.txt"])
    ['sls', 'a/aasist.txt', 'b/aasist.txt']
    """
    stems = Counter(Path(path).stem for path in score_files)
    return [Path(path).stem if stems[Path(path).stem] == 1 else str(path) for path in score_files]
