"""What the help of every command looks like, here and in `sls`."""

import argparse
from types import ModuleType

WIDTH = 98  # columns of a help text, whatever the terminal's


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Descriptions and examples keep their lines."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=WIDTH)


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
