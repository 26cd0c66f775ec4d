"""`sls`: from corpora to manifests, scores and figures, from the command line."""

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

from fairseq_ckpt.cli.common import HelpFormatter, Parser, add_command, add_help, escaped_streams
from sls_plugin.cli import (
    anchor,
    audit,
    calibrate,
    evaluate,
    explain,
    export,
    merge,
    models,
    options,
    prepare,
    report,
    robustness,
    score,
    submit,
    threshold,
)
from sls_plugin.cli.common import help_table, run_main

# Large pages for large tensors save a tenth of the time on Linux. torch reads this once, when it is imported.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

GROUPS = {
    "data": {"prepare": prepare, "audit": audit},
    "scoring": {"score": score, "merge": merge},
    "evaluation": {
        "evaluate": evaluate, "calibrate": calibrate, "threshold": threshold, "report": report, "robustness": robustness,
        "anchor": anchor, "submit": submit,
    },
    "models": {"models": models, "options": options, "explain": explain, "export": export},
}
COMMANDS: dict[str, ModuleType] = {name: command for group in GROUPS.values() for name, command in group.items()}

EXAMPLE = """example:
  sls score checkpoint_best.pt recordings/ --output scores.txt

`sls COMMAND --help` explains a command and gives examples.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns 0 on success, 1 on a problem with the data, and exits with 2 on wrong usage."""
    _open_closed_streams()
    with escaped_streams(), _messages():
        return _run(argv)


@contextmanager
def _messages() -> Iterator[None]:
    """Print messages as they are, unless the caller has configured logging; libraries, which name modules, find it configured."""
    before = logging.root.handlers[:]
    logging.basicConfig(format="%(message)s")
    try:
        yield
    finally:
        logging.root.handlers[:] = before  # a later call may have another standard error


def _run(argv: Sequence[str] | None) -> int:
    parser, commands = _parsers()
    args = parser.parse_args(argv)
    if args.version:
        import sls_plugin

        print(f"sls {sls_plugin.__version__}")
        return 0
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    command = COMMANDS[args.command]
    return run_main(f"sls {args.command}", lambda: command.run(args), commands[args.command].error)


def _open_closed_streams() -> None:
    """Replace standard streams that the caller has closed (`>&-`), or a score file would be opened in their place."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser of `sls` and those of its subcommands."""
    parser = Parser(
        prog="sls",
        usage="sls COMMAND ...",
        description="Detect synthetic speech: corpora to manifests, recordings to scores, scores to figures.",
        epilog=f"{_command_tables()}\n\n{EXAMPLE}",
        formatter_class=HelpFormatter,
        add_help=False,
    )
    subparsers = parser.add_subparsers(dest="command", prog="sls", help=argparse.SUPPRESS)
    add_help(parser).add_argument("--version", action="store_true", help="print the version")
    for name, command in COMMANDS.items():
        add_command(subparsers, name, command)
    return parser, subparsers.choices


def _command_tables() -> str:
    """The commands, grouped by what they are for."""
    texts = {group: help_table({name: command.HELP for name, command in commands.items()}) for group, commands in GROUPS.items()}
    return "\n\n".join(f"{group}:\n{text}" for group, text in texts.items())


if __name__ == "__main__":
    sys.exit(main())
