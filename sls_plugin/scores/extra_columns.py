"""Score files of other programs that have more columns than `id score`: the last one need not be the score."""

from collections.abc import Iterable, Mapping
from itertools import zip_longest
from pathlib import Path

from protocols import DataError
from protocols.files import split_fields, split_last_field
from protocols.numbers import parse_number
from protocols.trial import LABEL_SPELLINGS
from sls_plugin.scores.run_metadata import read_metadata

FEWEST_VALUES = 3  # of a column of scores: labels have two


def refuse_extra_columns(path: Path, scores: Mapping[str, float]) -> None:
    """DataError when every id looks like `id number` or `id label`; for scores whose ids no key or manifest confirms.

    Ids whose part before the number repeats, as in `call 1` and `call 2`, are names. So is every id of a file that has the
    run record of `sls score` beside it.
    """
    starts = set()
    for name in scores:
        start, last = split_last_field(name)
        if not start or start in starts or (last not in LABEL_SPELLINGS and parse_number(last) is None):
            return
        starts.add(start)
    if scores and read_metadata(path) is None:
        what = f"{len(scores):,} ids look like `id number` or `id label`, the first is {next(iter(scores))!r}"
        raise DataError(f"{path}: {what}: {column_remedy(f'{name} {score!r}' for name, score in scores.items())}")


def column_remedy(lines: Iterable[str]) -> str:
    """How to make `id score` of lines with more columns: which columns are numbers, and which can only be the score.

    >>> column_remedy(["a -1.5 1", "b 2.5 0", "c 0.5 1"])
    "a line is `id score`, but column 2 has numbers, column 3 has at most two numbers: use `awk '{print $1, $2}'`"
    """
    columns = list(zip_longest(*map(split_fields, lines), fillvalue=""))
    values = {column: set(map(parse_number, set(cells))) for column, cells in enumerate(columns[1:], start=2)}
    numbers = [column for column in values if None not in values[column]]
    scores = [column for column in numbers if len(values[column]) >= FEWEST_VALUES]
    kinds = [f"column {column} has {'numbers' if column in scores else 'at most two numbers'}" for column in numbers]
    what = f"a line is `id score`, but {', '.join(kinds) or 'no other column has numbers'}"
    return f"{what}: use `awk '{{print $1, ${scores[0]}}}'`" if len(scores) == 1 else f"{what}: keep the id and the score only"
