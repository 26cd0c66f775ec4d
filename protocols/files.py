"""Files: found below a folder, opened, read line by line, and written whole or not at all."""

import gzip
import io
import logging
import os
import re
import signal
import socket
import stat
import sys
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import DataError

logger = logging.getLogger(__name__)

LINE_BREAKS = re.compile("[\0\r\v\f\x1c-\x1f\x85\u2028\u2029]")  # what some program takes for a line end or a blank
MOST_BYTES = 2**30  # of an unpacked table
_BLANKS = re.compile("[ \t]+")


def find_file(path: str | Path, places: Sequence[str], what: str) -> Path:
    """`path` itself unless it is a folder; there, the first of `places` that is a file, the likeliest place first.

    A file may be packed: `key.txt.gz` in the place of `key.txt`. `what` names the thing looked for, e.g. `keys of ASVspoof
    2021 LA`. Raises DataError when no place has a file.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    if found := first_file(path / place for place in places):
        return found
    raise DataError(f"{path}: no {what} in this folder: name the file, or a folder that holds {places[0]}")


def open_regular_file(path: str | Path) -> BinaryIO:
    """The file, open for reading; DataError for a device or pipe, whose end may never come: opening it does not wait."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DataError(f"{path}: a folder, device or pipe: name a file")
    return os.fdopen(descriptor, "rb")


def first_file(paths: Iterable[Path]) -> Path | None:
    """The first path that is a file, itself or packed with gzip."""
    candidates = (candidate for path in paths for candidate in (path, path.with_name(f"{path.name}.gz")))
    return next(filter(Path.is_file, candidates), None)


def read_lines(path: str | Path, ends_in_number: bool = False) -> list[str]:
    """The lines of a UTF-8 text file, without line ends (LF or CRLF) and without blank lines at the end.

    The file may be packed with gzip, and may be a pipe: it is opened once. A blank line between others is kept, so that the
    caller can refuse it by its number. With `ends_in_number` a missing last line end gives a warning.
    Raises DataError when the file is not UTF-8, has other line ends, or holds nothing but blanks.
    """
    data = _unpacked(path, Path(path).read_bytes())
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{number}: not UTF-8: convert the file to UTF-8") from None
    text = text.replace("\r\n", "\n")
    if found := LINE_BREAKS.search(text):
        number = text.count("\n", 0, found.start()) + 1
        remedy = "end lines with LF or CRLF, and separate fields by spaces or tabs"
        raise DataError(f"{path}:{number}: {found[0]!r} within a line: {remedy}")
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DataError(f"{path}: the file is empty: name a file with one trial per line")
    if ends_in_number and not text.endswith("\n"):
        logger.warning("%s: no line end after %r: copy the file again if it was cut off there", path, lines[-1][-60:])
    return lines


def table_suffix(path: str | Path) -> str:
    """The suffix of a text file in lower case, without that of gzip.

    >>> table_suffix("eval.TSV.gz")
    '.tsv'
    """
    path = Path(path)
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def split_fields(line: str) -> list[str]:
    """The fields of a line, between spaces or tabs; other blanks, such as U+00A0, are part of a field."""
    return line.split() if line.isascii() else _BLANKS.split(line.strip(" \t"))


def split_last_field(line: str) -> tuple[str, str]:
    """What stands before the last field of a line, empty when it has no more, and that field.

    >>> split_last_field("two words.wav  spoof")
    ('two words.wav', 'spoof')
    """
    line = line.rstrip(" \t")
    before, _, last = line.rpartition(" ")
    if "\t" in last:
        before, _, last = line.rpartition("\t")
    return before.rstrip(" \t"), last


def _unpacked(path: str | Path, data: bytes) -> bytes:
    """The bytes of a file that may be packed with gzip."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        with gzip.open(io.BytesIO(data)) as file:
            unpacked = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        raise DataError(f"{path}: packed with gzip, and damaged: copy it again") from None
    if len(unpacked) > MOST_BYTES:
        raise DataError(f"{path}: unpacks to more than {MOST_BYTES:,} bytes: unpack it first")
    return unpacked


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path to write to, which replaces `path` at the end unless an error is raised; makes the folder.

    A symbolic link is kept and its target replaced. SIGTERM removes the temporary file; what a process that was killed left
    behind is removed by the next one that writes the same file. Raises DataError when `path` exists and is not a regular file.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is a {'folder' if path.is_dir() else 'device or pipe'}: name a file to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.{socket.gethostname()}."  # a process of another computer may be writing beside this one
    _remove_abandoned(path.parent, prefix)
    temporary = path.with_name(f"{prefix}{os.getpid()}")
    with _terminated_by_an_exception():
        try:
            yield temporary
            os.replace(temporary, path)
        except OSError as error:
            if error.filename == str(temporary):  # report the file that the user named
                raise OSError(error.errno, error.strerror, str(path)) from None
            raise
        finally:
            temporary.unlink(missing_ok=True)


def _remove_abandoned(folder: Path, prefix: str) -> None:
    """Remove the temporary files with this prefix whose processes no longer run."""
    for file in folder.iterdir():
        process = file.name.removeprefix(prefix)
        if file.name.startswith(prefix) and process.isdecimal() and not _is_running(int(process)):
            file.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


@contextmanager
def _terminated_by_an_exception() -> Iterator[None]:
    """Meanwhile SIGTERM raises SystemExit, unless the program handles it, so that a `finally` is reached."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
