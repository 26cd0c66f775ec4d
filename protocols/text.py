"""Text files of a corpus, line by line."""

from pathlib import Path

from .errors import DataError


def read_lines(path: str | Path) -> list[str]:
    """The lines of a UTF-8 text file, without line ends (LF or CRLF) and without blank lines at the end.

    Raises DataError when the file is not UTF-8 or holds nothing but blanks. A blank line between others is kept, for
    the caller to refuse with its number.
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
