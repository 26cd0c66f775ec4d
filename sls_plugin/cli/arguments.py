"""Numbers and options that several commands take."""

import argparse
import math
import os
from collections.abc import Iterable
from pathlib import Path

from protocols import DataError
from protocols.audio_format import SAMPLE_RATE

FEWEST_RESAMPLES, MOST_RESAMPLES = 100, 100_000  # fewer have no 95 % interval, more tell nothing new


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


def duration(text: str) -> int:
    """Seconds, up to an hour, as samples at 16 kHz."""
    try:
        n_samples = round(float(text) * SAMPLE_RATE)
    except (ValueError, OverflowError):
        n_samples = 0
    if not 1 <= n_samples <= 3600 * SAMPLE_RATE:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds, of at least a sample and at most an hour")
    return n_samples


def shard_of(text: str) -> tuple[int, int]:
    """A shard I of N, counted from 0."""
    index, _, n_shards = text.partition("/")
    if not (index.isdecimal() and n_shards.isdecimal() and int(index) < int(n_shards)):
        raise argparse.ArgumentTypeError(f"{text} is not I/N with I from 0 to N-1: the shards of 4 are 0/4, 1/4, 2/4, 3/4")
    return int(index), int(n_shards)


def add_resampling(parser: argparse.ArgumentParser, default: int) -> None:
    """The options of a bootstrap."""
    parser.add_argument(
        "--bootstrap", metavar="N", type=_resamples, default=default,
        help="95 %% intervals of the EER from N resamples of the trials, such as 1000; 0 for none (default: %(default)s)",
    )
    parser.add_argument(
        "--by-speaker", action="store_true", help="draw whole speakers instead of trials within each class: wider and safer"
    )


def add_recordings(parser: argparse.ArgumentParser) -> None:
    """The recordings that a detector is run over, and how."""
    parser.add_argument(
        "inputs", metavar="INPUT", nargs="+", help="manifest (.tsv), recording, folder (taken recursively), or text list of paths"
    )
    parser.add_argument("--batch-size", metavar="N", type=positive, default=8, help="clips at a time (default: %(default)s)")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: cuda where there is one)")
    parser.add_argument("--num-workers", metavar="N", type=not_negative, default=2, help="decoders (default: %(default)s)")


def usable_device(name: str | None) -> str:
    """The device named, or the best there is; ArgumentError when it is not there."""
    import torch  # slow to import

    device = name or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and "LOCAL_RANK" in os.environ:  # torchrun starts one process for each GPU
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        torch.empty(0, device=device)
        if torch.device(device).index:
            torch.cuda.set_device(device)  # or pinned memory would belong to the first one
    except (RuntimeError, AssertionError, ValueError):
        raise argparse.ArgumentError(None, f"--device {device}: there is none here") from None
    return device


def refuse_inputs(output: Path | None, inputs: Iterable[Path]) -> None:
    """ArgumentError when a command would replace one of the files that it reads."""
    if output and output.resolve() in {path.resolve() for path in inputs}:
        raise argparse.ArgumentError(None, f"{output} is an input: name another file to write")


def require_free(output: Path, replace: bool) -> None:
    """DataError when there is an output that may not be replaced."""
    if not output.exists():
        return
    if not output.is_file():
        raise DataError(f"{output}: is a folder, device or pipe: name a file to write")
    if not replace:
        raise DataError(f"{output}: exists already: give --overwrite to replace it, or name another file")


def _resamples(text: str) -> int:
    number = not_negative(text)
    if number and not FEWEST_RESAMPLES <= number <= MOST_RESAMPLES:
        raise argparse.ArgumentTypeError(f"{text} resamples: give {FEWEST_RESAMPLES} to {MOST_RESAMPLES:,}, or 0 for none")
    return number


def _whole_number(text: str, lowest: int) -> int:
    if not text.isdecimal() or int(text) < lowest:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least {lowest}")
    return int(text)
