"""The formats of score files: lines `id score`, tables with a header, JSON lines, Parquet."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from protocols import SettingError
from protocols.columns import named_columns, table_rows
from protocols.escapes import as_cell, from_cell
from protocols.files import split_last_field, table_suffix
from protocols.numbers import parse_number
from sls_plugin.scores.parquet import require_pyarrow, write_parquet

Record = tuple[int, str, float]  # line number, id and score of a trial; an empty id where the line is malformed
Row = tuple[Any, ...]  # the id and score of a trial, in a table perhaps more: text, and numbers that get 9 significant digits

TABLES = (".csv", ".jsonl", ".parquet")
NOT_WRITTEN = (".json", ".tsv", ".xls", ".xlsx", ".ods", ".gz", ".zip", ".npy", ".pkl")  # names that promise another format


def is_table(path: Path) -> bool:
    """Whether a score file of this name can have more columns than the id and the score."""
    return path.suffix.lower() in TABLES


def require_format(path: Path, verdicts: bool) -> None:
    """SettingError when a score file of this name cannot be written here, or cannot hold the verdicts of a decision."""
    if verdicts and not is_table(path):
        raise SettingError(f"--decision adds columns, and {path} has none: name an output {', '.join(TABLES)}")
    if path.suffix.lower() in NOT_WRITTEN:
        raise SettingError(f"{path}: scores are not written as {path.suffix}: name an output .txt, {', '.join(TABLES)}")
    if path.suffix.lower() == ".parquet":
        require_pyarrow(path)


@contextmanager
def row_writer(path: Path, temporary: Path, columns: Sequence[str]) -> Iterator[Callable[[Row], None]]:
    """A function that writes a row to `temporary`, in the format of files named like `path`; no rows leave an empty file."""
    if path.suffix.lower() == ".parquet":
        rows: list[Row] = []
        yield lambda row: rows.append(tuple(_rounded(value) for value in row))
        write_parquet(temporary, columns, rows)
        return
    header, to_line = _line_format(path, columns)
    headers = iter([header])  # before the first row
    with open(temporary, "w", encoding="utf-8", newline="\n") as file:
        yield lambda row: file.write(next(headers, "") + to_line(row))


def _line_format(path: Path, columns: Sequence[str]) -> tuple[str, Callable[[Row], str]]:
    """The header of a score file of this name, and a function from a row to its line."""
    match path.suffix.lower():
        case ".csv":
            return ",".join(columns) + "\n", _csv_line
        case ".jsonl":
            return "", lambda row: json.dumps(dict(zip(columns, map(_rounded, row), strict=True)), ensure_ascii=False) + "\n"
        case _:
            return "", lambda row: f"{row[0]} {row[1]:.9g}\n"


def _rounded(value: str | float) -> str | float:
    return value if isinstance(value, str) else float(f"{value:.9g}")


def parse_lines(path: Path, lines: Sequence[str]) -> Iterator[Record]:
    """The trials of a score file: JSON by its suffix, a table by its header, otherwise `id score`."""
    columns, delimiter = named_columns(lines[0], "id", "score")
    if table_suffix(path) == ".jsonl":
        return ((number, *_parse_json(line)) for number, line in enumerate(lines, start=1))
    if columns:
        header, rows = table_rows(path, lines, columns, delimiter)
        return _parse_rows(rows, len(header), *(header.index(name) for name in sorted(columns, key=columns.__getitem__)))
    return ((number, *parse_line(line)) for number, line in enumerate(lines, start=1))


def parse_line(line: str) -> tuple[str, float]:
    """The id and score of a line `id score`; an empty id when it is malformed."""
    name, field = split_last_field(line)
    score = parse_number(field)
    return ("", math.nan) if score is None else (name, score)


def _parse_rows(rows: Iterator[tuple[int, list[str]]], width: int, id_place: int, score_place: int) -> Iterator[Record]:
    for number, cells in rows:
        score = parse_number(cells[score_place]) if len(cells) == width else None
        yield (number, "", math.nan) if score is None else (number, from_cell(cells[id_place]), score)


def _parse_json(line: str) -> tuple[str, float]:
    try:
        match json.loads(line):
            case {"id": str(name), "score": float() | int() as score} if not isinstance(score, bool):
                return name, float(score)
    except ValueError:
        pass
    return "", math.nan


def _csv_line(row: Row) -> str:
    line = io.StringIO()
    cells = (as_cell(value) if isinstance(value, str) else f"{value:.9g}" for value in row)
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()
