"""Trials from the columns of a protocol or key: one line each, columns between blanks or in a CSV table."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from sys import intern

from .errors import DataError
from .files import read_lines, split_fields
from .trial import LABEL_SPELLINGS, PHASE_SPELLINGS, Trial

# Names of the columns of labels and scores, in tables of this project and of the organisers of ASVspoof 5.
_HEADER_NAMES = {
    "id": "id", "filename": "id", "file_name": "id", "file": "id",
    "label": "label", "cm-label": "label", "score": "score", "cm-score": "score",
}  # fmt: skip
_SPELLINGS = {"label": LABEL_SPELLINGS, "phase": PHASE_SPELLINGS}


def read_columns(path: Path, columns: Sequence[str], mistaken: Mapping[int, str] | None = None) -> Iterator[Trial]:
    """The trials of a file of columns between blanks or tabs, without their recordings.

    The columns `id` and `label` are fields of the trial, `-` is ignored, every other is a fact of that name. A cell `-`
    is an unknown fact and left out, except an attack, which stays as in the file. `mistaken` says which file has another
    number of columns. Raises DataError on the first line that is not a trial.
    """
    return parse_columns(path, read_lines(path), columns, mistaken)


def parse_columns(
    path: Path, lines: Sequence[str], columns: Sequence[str], mistaken: Mapping[int, str] | None = None
) -> Iterator[Trial]:
    """The trials of the lines of a file, as `read_columns`."""
    rows = ((number, split_fields(line)) for number, line in enumerate(lines, start=1))
    return _trials(path, columns, rows, " ".join(columns).upper(), mistaken or {})


def read_table(path: Path, columns: Mapping[str, str], delimiter: str = ",") -> Iterator[Trial]:
    """The trials of a CSV table with a header; `columns` maps its names to `id`, `label` and facts, others are ignored.

    Cells are read as in `read_columns`, without blanks around them. Raises DataError on a missing column and on the first
    line that is not a trial.
    """
    return parse_table(path, read_lines(path), columns, delimiter)


def parse_table(path: Path, lines: Sequence[str], columns: Mapping[str, str], delimiter: str) -> Iterator[Trial]:
    """The trials of the lines of a CSV table, as `read_table`."""
    header, rows = table_rows(path, lines, columns, delimiter)
    return _trials(path, [columns.get(name, "-") for name in header], rows, delimiter.join(header), {})


def named_columns(line: str, *wanted: str) -> tuple[dict[str, str], str]:
    """The columns `id`, `label` or `score` by their names in a header, and its delimiter; none when it names other columns.

    >>> named_columns("filename,cm-score", "id", "score")
    ({'filename': 'id', 'cm-score': 'score'}, ',')
    """
    for delimiter in ("\t", ","):
        columns = {name: _HEADER_NAMES[name] for name in line.split(delimiter) if _HEADER_NAMES.get(name) in wanted}
        if sorted(columns.values()) == sorted(wanted):
            return columns, delimiter
    return {}, ""


def table_rows(
    path: Path, lines: Sequence[str], used: Iterable[str], delimiter: str
) -> tuple[Sequence[str], Iterator[tuple[int, list[str]]]]:
    """The header of a CSV table, and its rows with their line numbers; the columns `used` are there once.

    Quotation marks are text where no cell can need them: in a table whose every line has the delimiters of the header.
    """
    if len(lines) == 1:
        raise DataError(f"{path}:1: no trial after the header: copy the file again")
    n_delimiters = lines[0].count(delimiter)
    is_plain = all(line.count(delimiter) == n_delimiters for line in lines)
    rows = enumerate((line.split(delimiter) for line in lines), start=1) if is_plain else _csv_rows(path, lines, delimiter)
    _, header = next(rows)
    used = list(used)
    for name in used:
        if header.count(name) != 1:
            what = f"{header.count(name)} columns named {name} instead of one"
            raise DataError(f"{path}:1: {what}: the header names {delimiter.join(used)}")
    return header, _unquoted(path, rows, [header.index(name) for name in used]) if is_plain else rows


def _unquoted(path: Path, rows: Iterable[tuple[int, list[str]]], used: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
    """The rows with the marks around quoted cells removed; raises DataError on a stray mark in a column that is used."""
    for number, cells in rows:
        for index in used:
            cell = cells[index].strip()
            if '"' in cell:
                if len(cell) < 2 or not cell[0] == cell[-1] == '"' or '"' in cell[1:-1].replace('""', ""):
                    raise DataError(f"{path}:{number}: a quotation mark in {cell!r}: quote a cell whole, or not at all")
                cells[index] = cell[1:-1].replace('""', '"')
        yield number, cells


def _csv_rows(path: Path, lines: Sequence[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV table with quoted cells; raises DataError where a stray quotation mark joins several rows."""
    table = csv.reader(lines, delimiter=delimiter, strict=True)
    n_delimiters, first = lines[0].count(delimiter), 1
    try:
        for cells in table:
            for number, line in enumerate(lines[first : table.line_num], start=first + 1):
                if line.count(delimiter) >= n_delimiters:
                    what = f"a cell in quotation marks extends to line {number}, which is a row of its own"
                    raise DataError(f"{path}:{first}: {what}: double a mark that is meant as text")
            yield first, cells
            first = table.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{table.line_num}: {error}: quote a cell whole, or not at all") from None


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
        values = tuple([cells[index].strip() for index in used])
        if values not in known:
            known[values] = _label_and_facts(dict(zip(names, values, strict=True)), f"{path}:{number}")
        label, facts = known[values]
        yield Trial(cells[place].strip(), "", label, facts=facts)


def _label_and_facts(values: dict[str, str], where: str) -> tuple[str, Mapping[str, str]]:
    """The label, empty when there is no such column, and the facts that are known."""
    for name, spellings in _SPELLINGS.items():
        if name in values:
            if values[name] not in spellings:
                raise DataError(f"{where}: unknown {name} {values[name]!r}: write {' or '.join(spellings)}")
            values[name] = spellings[values[name]]
    label = values.pop("label", "")
    return label, {name: intern(value) for name, value in values.items() if value not in ("", "-") or name == "attack"}
