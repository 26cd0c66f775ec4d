"""Names of files, trials and attacks as text that no terminal, browser or spreadsheet obeys."""

import re

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # the first characters of a spreadsheet's formulas
# Control characters, marks that reverse the direction of text, and bytes that are not UTF-8; not tabs and line feeds.
_UNSAFE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def escaped(text: str) -> str:
    r"""The text with escape sequences in the place of such characters.

    >>> escaped("\x1b[31mred\u202e.wav")
    '\\x1b[31mred\\u202e.wav'
    """
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def as_cell(text: str) -> str:
    """The text for a cell of a CSV file, with an apostrophe before what a spreadsheet takes for a formula, as OWASP advises.

    >>> as_cell("=1+1.wav"), from_cell(as_cell("=1+1.wav"))
    ("'=1+1.wav", '=1+1.wav')
    """
    return f"'{text}" if text.lstrip("'").startswith(FORMULAS) else text


def from_cell(cell: str) -> str:
    """The text of a cell that `as_cell` made."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULAS) else cell
