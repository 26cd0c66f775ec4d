"""The numbers behind a plot or a table, to be read on the page and taken away as a CSV file."""

import base64
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Data:
    """Columns and rows in full precision; rates are fractions, NaN is what is not defined."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float]]

    @property
    def csv_link(self) -> str:
        """The numbers as a data: link to a CSV file."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.columns, *self.rows])
        return "data:text/csv;charset=utf-8;base64," + base64.b64encode(text.getvalue().encode()).decode()
