"""Numbers in text files."""


def parse_number(text: str) -> float | None:
    """The number that a field holds, in ASCII digits; None when it is no number. May be NaN or infinite.

    >>> parse_number("-1e-3"), parse_number("1_000"), parse_number("١٢")
    (-0.001, None, None)
    """
    if not text.isascii() or "_" in text:  # float() takes digits of other scripts, and 12_3, which is the end of an id
        return None
    try:
        return float(text)
    except ValueError:
        return None
