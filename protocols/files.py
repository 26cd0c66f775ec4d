"""Text files: found below a folder, read line by line, and written whole or not at all."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


def read_lines(path: str | Path) -> list[str]:
    """The lines of a UTF-8 text file, without line ends (LF or CRLF) and without blank lines at the end.

    A blank line between others is kept, so that the caller can refuse it by its number.
    Raises DataError when the file is compressed, not UTF-8, or holds nothing but blanks.
    """
    data = Path(path).read_bytes()
    if data.startswith(b"\x1f\x8b"):
        raise DataError(f"{path}: compressed with gzip: unpack it first")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{number}: not UTF-8: convert the file to UTF-8") from None
    lines = text.replace("\r\n", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DataError(f"{path}: the file is empty: name a file with one trial per line")
    return lines


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path to write to, which replaces `path` at the end unless an error is raised; makes the folder.

    A symbolic link is kept and its target replaced. Raises DataError when `path` exists and is not a regular file.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is a {'folder' if path.is_dir() else 'device or pipe'}: name a file to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.filename == str(temporary):  # report the file that the user named
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
    finally:
        temporary.unlink(missing_ok=True)
