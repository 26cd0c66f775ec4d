"""What all commands share: numbers and options, tables in their help, how an error ends them, the summary of a score file."""

import argparse
import errno
import math
import os
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from fairseq_ckpt.cli.common import WIDTH
from protocols import SettingError, UserError
from protocols.audio_format import samples_of
from protocols.corpora import canonical_name
from protocols.keys import PHASES, corpora_with_keys
from sls_plugin.data.cores import n_cores

FEWEST_RESAMPLES, MOST_RESAMPLES = 100, 100_000  # fewer have no 95 % interval, more add nothing


def run_main(prog: str, command: Callable[[], int], usage: Callable[[str], NoReturn]) -> int:
    """The exit status of a command; an error becomes one line on standard error.

    0 on success, 1 on a problem with the data, 2 on wrong usage, 130 when interrupted.
    """
    try:
        status = command()
        sys.stdout.flush()  # here a closed pipe can still be distinguished from other errors
        return status
    except (argparse.ArgumentError, SettingError) as error:  # arguments that are only wrong together, or on this machine
        usage(str(error))
    except UserError as error:
        problem = str(error)
    except BrokenPipeError:
        return exit_on_broken_pipe()
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        problem = f"{error.filename or 'output'}: {error.strerror}"
    except KeyboardInterrupt as interrupt:  # with what is already done, where the command says so
        print(": ".join(filter(None, (f"{prog}: interrupted", str(interrupt)))), file=sys.stderr)
        return 130
    print(f"{prog}: error: {problem}", file=sys.stderr)
    return 1


def exit_on_broken_pipe() -> int:
    """The exit status once the reader of a pipe, such as `head`, has closed it; further output goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def print_summary(output: Path, n_scores: int, n_broken: int) -> int:
    """Print what was written; returns the exit status, 1 where broken recordings have no score."""
    from sls_plugin.scores.score_file import errors_path
    from sls_plugin.scores.timeline import timeline_path

    written = f"{n_scores:,} scores: {output}"
    if timeline_path(output).exists():
        written += f"; of their windows: {timeline_path(output)}"
    if not n_broken:
        print(written)
        return 0
    print(f"{written}; {n_broken:,} broken, with reasons: {errors_path(output)}", file=sys.stderr)
    return 1


def help_table(texts: Mapping[str, str]) -> str:
    """A line or more for each name, in the width of a help text: the name, and its text beside it."""
    width = max(map(len, texts)) + 4
    wrapper = textwrap.TextWrapper(WIDTH, subsequent_indent=" " * width, break_on_hyphens=False)
    lines = []
    for name, text in texts.items():
        wrapper.initial_indent = f"  {name}".ljust(width)
        lines.append(wrapper.fill(text))
    return "\n".join(lines)


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


def share(text: str) -> float:
    """A number between 0 and 1, both excluded, such as a rate or a probability."""
    number = finite_number(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1: write 1 % as 0.01")
    return number


def resamples(text: str) -> int:
    """A number of resamples that have a 95 % interval, or 0 for none."""
    number = not_negative(text)
    if number and not FEWEST_RESAMPLES <= number <= MOST_RESAMPLES:
        raise argparse.ArgumentTypeError(f"{text} resamples: give {FEWEST_RESAMPLES} to {MOST_RESAMPLES:,}, or 0 for none")
    return number


def duration(text: str) -> float:
    """Seconds: at least one sample at 16 kHz, at most an hour."""
    try:
        seconds = float(text)
        samples_of(seconds)
    except (ValueError, SettingError):
        message = f"{text} is not a number of seconds, of at least a sample and at most an hour"
        raise argparse.ArgumentTypeError(message) from None
    return seconds


def shard_of(text: str) -> tuple[int, int]:
    """A shard I of N, counted from 0."""
    index, _, n_shards = text.partition("/")
    if not (index.isdecimal() and n_shards.isdecimal() and int(index) < int(n_shards)):
        raise argparse.ArgumentTypeError(f"{text} is not I/N with I from 0 to N-1: the 4 shards of a run are 0/4, 1/4, 2/4, 3/4")
    return int(index), int(n_shards)


def add_resampling(parser: argparse.ArgumentParser, default: int) -> None:
    """The options of a bootstrap."""
    group = parser.add_argument_group("confidence intervals")
    group.add_argument(
        "--bootstrap", metavar="N", type=resamples, default=default,
        help="95 %% intervals of the EER from N resamples of the trials, such as 1000; 0 for none (default: %(default)s)",
    )
    group.add_argument(
        "--by-speaker", action="store_true", help="resample whole speakers, not single trials: wider and safer intervals"
    )


def add_trials(parser: argparse.ArgumentParser, phase: str) -> argparse._ArgumentGroup:
    """The choice among the trials of the keys; returns the group, for further options. `phase` says what phases are for."""
    group = parser.add_argument_group("trials")
    group.add_argument(
        "--phase", choices=PHASES, help=f"{phase} of this phase (default: eval where the keys have phases, else all)"
    )
    return group


def add_corpus(group: argparse._ArgumentGroup, default: str | None) -> None:
    """The corpus that the keys belong to, as an option."""
    names = corpora_with_keys()
    group.add_argument(
        "--corpus", metavar="CORPUS", type=canonical_name, choices=names, default=default,
        help=f"corpus of the keys: {', '.join(names)} (default: labels, a manifest or a list)",
    )


def add_recordings(group: argparse._ArgumentGroup) -> None:
    """The recordings that a detector is run on."""
    group.add_argument(
        "inputs", metavar="INPUT", nargs="+", help="manifest (.tsv), recording, folder with its subfolders, or text list of paths"
    )


def add_computing(parser: argparse.ArgumentParser) -> None:
    """Where and in what portions a detector computes."""
    group = parser.add_argument_group("computing")
    group.add_argument("--batch-size", metavar="N", type=positive, default=8, help="clips per batch (default: %(default)s)")
    group.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1, ... (default: cuda where there is one)")
    n_workers = min(2, n_cores())
    group.add_argument(
        "--num-workers", metavar="N", type=not_negative, default=n_workers, help="processes that decode (default: %(default)s)"
    )


def _whole_number(text: str, lowest: int) -> int:
    if not text.isdecimal() or int(text) < lowest:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least {lowest}")
    return int(text)
