"""Score files as Parquet tables, where pyarrow is installed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from protocols import DataError, SettingError


def require_pyarrow(path: Path) -> None:
    """SettingError when a file of this name cannot be written or read here."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ModuleNotFoundError:
        raise SettingError(f"{path}: a Parquet file needs pyarrow: pip install pyarrow, or name a .csv file") from None


def write_parquet(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write rows as a table; none as an empty file, like that of a shard without trials in the other formats."""
    if not rows:
        path.write_bytes(b"")
        return
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))), path)


def read_parquet(path: Path) -> Iterator[tuple[int, str, float]]:
    """The number, id and score of each row; DataError on a file that is no table with these columns."""
    require_pyarrow(path)
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(pyarrow.BufferReader(path.read_bytes()), columns=["id", "score"])
        ids, scores = (table.column(name).cast(kind) for name, kind in (("id", "string"), ("score", "float64")))
    except (pyarrow.ArrowException, KeyError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        problem = str(error).splitlines()[0][:200]
        raise DataError(f"{path}: no Parquet table with the columns id and score ({problem}): score the trials again") from None
    if ids.null_count or scores.null_count:
        raise DataError(f"{path}: {ids.null_count + scores.null_count:,} empty cells: score the trials again")
    return zip(range(1, len(ids) + 1), ids.to_pylist(), scores.to_pylist(), strict=True)
