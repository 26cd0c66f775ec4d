"""What the help of every command looks like, and how it prints, here and in `sls`."""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from difflib import get_close_matches
from types import ModuleType
from typing import Any, NoReturn, TextIO

from protocols.escapes import escaped

WIDTH = 98  # columns of a help text, whatever the terminal's


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Descriptions and examples keep their lines."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=WIDTH)


class Parser(argparse.ArgumentParser):
    """Suggests what was meant by a misspelt option, command or choice."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        words = sys.argv[1:] if args is None else [*args]
        known = [*self._option_string_actions]
        for word in words if self._subparsers is None else ():  # those of a command are its own parser's
            option = word.partition("=")[0]
            if option == "--":
                break
            if option.startswith("--") and not any(name.startswith(option) for name in known):
                near = get_close_matches(option, known, n=1)
                self.error(f"no option {option}" + (f": did you mean {near[0]}?" if near else ": see --help"))
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        refused = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)$", message)
        if refused:
            near = get_close_matches(refused[1], re.findall(r"[\w.-]+", refused[2]), n=1)
            message += f": did you mean {near[0]}?" if near else ""
        super().error(message)


def add_command(subparsers: argparse._SubParsersAction, name: str, command: ModuleType) -> None:
    """Add the parser of a command: a sentence on what it does, its arguments in groups, and examples.

    The module `command` has `HELP` (one line) and `add_arguments(parser)`, which sets `parser.epilog` to the examples.
    """
    parser = subparsers.add_parser(
        name,
        help=command.HELP,
        description=f"{command.HELP[0].upper()}{command.HELP[1:]}.",
        formatter_class=HelpFormatter,
        add_help=False,
    )
    command.add_arguments(parser)
    add_help(parser)


def add_help(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add `--help` in a group of its own, which is returned; called last, it is printed below all other groups."""
    group = parser.add_argument_group("help")
    group.add_argument("-h", "--help", action="help", help="print this text")
    return group


@contextmanager
def escaped_streams() -> Iterator[None]:
    """Whatever is printed meanwhile, names may have no effect on the terminal: their control characters are shown."""
    with redirect_stdout(_EscapedStream(sys.stdout)), redirect_stderr(_EscapedStream(sys.stderr)):
        yield


class _EscapedStream:
    """A stream for text; carriage returns around it are a progress bar's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        inner = text.strip("\r")
        return self._stream.write(text.replace(inner, escaped(inner)) if inner else text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
