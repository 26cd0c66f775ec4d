"""Numbers and options that several commands take."""

import argparse
import math


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return _whole_number(text, 1)


def not_negative(text: str) -> int:
    """A whole number of at least 0."""
    return _whole_number(text, 0)


def finite_number(text: str) -> float:
    """A number that scores can be compared with."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number")
    return number


def add_resampling(parser: argparse.ArgumentParser, default: int) -> None:
    """The options of a bootstrap; 0 resamples mean none."""
    parser.add_argument(
        "--bootstrap", metavar="N", type=not_negative, default=default,
        help="95 %% intervals of the EER from N resamples of the trials, such as 1000 (default: %(default)s)",
    )
    parser.add_argument(
        "--by-speaker", action="store_true", help="draw whole speakers instead of trials within each class: wider and safer"
    )


def _whole_number(text: str, lowest: int) -> int:
    if not text.isdecimal() or int(text) < lowest:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least {lowest}")
    return int(text)
