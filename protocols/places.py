"""Where an official file lies below a folder that the user names."""

from collections.abc import Sequence
from pathlib import Path

from .errors import DataError


def find_file(path: str | Path, places: Sequence[str], what: str) -> Path:
    """`path` itself unless it is a folder; there, the first of `places` that is a file, the likeliest place first.

    `what` names the thing looked for, e.g. `keys of ASVspoof 2021 LA`. Raises DataError when no place has a file.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    for place in places:
        if (path / place).is_file():
            return path / place
    raise DataError(f"{path}: no {what} in this folder: name the file, or a folder that holds {places[0]}")
