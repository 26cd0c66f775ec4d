"""Trials from the columns of a protocol or key: one line each, columns between blanks or in a CSV table."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from sys import intern
from typing import Any

from .errors import DataError
from .files import read_lines
from .trial import LABEL_SPELLINGS, PHASE_SPELLINGS, Trial

_SPELLINGS = {"label": LABEL_SPELLINGS, "phase": PHASE_SPELLINGS}


def read_columns(path: Path, columns: Sequence[str], mistaken: Mapping[int, str] | None = None) -> Iterator[Trial]:
    """The trials of a file of columns between blanks or tabs, without their recordings.

    The columns `id` and `label` are fields of the trial, `-` is ignored, every other is a fact of that name. A cell `-`
    is an unknown fact and left out, except an attack, which stays as in the file. `mistaken` says which file has another
    number of columns. Raises DataError on the first line that is not a trial.
    """
    rows = ((number, line.split()) for number, line in enumerate(read_lines(path), start=1))
    return _trials(path, columns, rows, " ".join(columns).upper(), mistaken or {})


def read_table(path: Path, columns: Mapping[str, str], delimiter: str = ",") -> Iterator[Trial]:
    """The trials of a CSV table with a header; `columns` maps its names to `id`, `label` and facts, others are ignored.

    Cells are read as in `read_columns`. Raises DataError on a missing column and on the first line that is not a trial.
    """
    lines = read_lines(path)
    if len(lines) == 1:
        raise DataError(f"{path}:1: no trial after the header: copy the file again")
    table = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = next(table)
        for name in columns:
            if header.count(name) != 1:
                what = f"{header.count(name)} columns named {name} instead of one"
                raise DataError(f"{path}:1: {what}: the header names {delimiter.join(columns)}")
        rows = _rows(path, lines, table, delimiter)
        yield from _trials(path, [columns.get(name, "-") for name in header], rows, delimiter.join(header), {})
    except csv.Error as error:
        raise DataError(f"{path}:{table.line_num}: {error}: quote a cell whole, or not at all") from None


def _rows(path: Path, lines: Sequence[str], table: Any, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows below a CSV header with their line numbers; raises DataError where a stray quotation mark joins several rows."""
    n_delimiters, first = lines[0].count(delimiter), 2
    for cells in table:
        for number, line in enumerate(lines[first : table.line_num], start=first + 1):
            if line.count(delimiter) >= n_delimiters:
                what = f"a cell in quotation marks extends to line {number}, which is a row of its own"
                raise DataError(f"{path}:{first}: {what}: double a mark that is meant as text")
        yield first, cells
        first = table.line_num + 1


def _trials(
    path: Path, columns: Sequence[str], rows: Iterable[tuple[int, Sequence[str]]], line: str, mistaken: Mapping[int, str]
) -> Iterator[Trial]:
    """The trials of numbered rows; `line` is what a line of the file looks like."""
    place = columns.index("id")
    used = [index for index, name in enumerate(columns) if name not in ("id", "-")]
    names = [columns[index] for index in used]
    # Most lines repeat the label and facts of another: these are checked once and shared.
    known: dict[tuple[str, ...], tuple[str, Mapping[str, str]]] = {}
    for number, cells in rows:
        if len(cells) != len(columns):
            remedy = mistaken.get(len(cells)) or f"a line is `{line}`"
            raise DataError(f"{path}:{number}: {len(cells)} columns instead of {len(columns)}: {remedy}")
        values = tuple([cells[index] for index in used])
        if values not in known:
            known[values] = _label_and_facts(dict(zip(names, values, strict=True)), f"{path}:{number}")
        label, facts = known[values]
        yield Trial(cells[place], "", label, facts=facts)


def _label_and_facts(values: dict[str, str], where: str) -> tuple[str, Mapping[str, str]]:
    """The label, empty when there is no such column, and the facts that are known."""
    for name, spellings in _SPELLINGS.items():
        if name in values:
            if values[name] not in spellings:
                raise DataError(f"{where}: unknown {name} {values[name]!r}: write {' or '.join(spellings)}")
            values[name] = spellings[values[name]]
    label = values.pop("label", "")
    return label, {name: intern(value) for name, value in values.items() if value not in ("", "-") or name == "attack"}
