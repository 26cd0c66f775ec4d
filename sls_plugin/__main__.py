"""`sls`: from corpora to manifests, scores and figures, from the command line."""

import argparse
import os
import sys
from collections.abc import Sequence

from sls_plugin.cli import calibrate, evaluate, explain, export, merge, models, prepare, report, score
from sls_plugin.cli.common import run_main

# Large pages for large tensors save a tenth of the time on Linux. torch reads this once, when it is imported.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

COMMANDS = {
    "models": models,
    "prepare": prepare,
    "score": score,
    "merge": merge,
    "evaluate": evaluate,
    "calibrate": calibrate,
    "report": report,
    "explain": explain,
    "export": export,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns 0 on success, 1 on a problem with the data, and exits with 2 on wrong usage."""
    _open_closed_streams()
    parser, commands = _parsers()
    args = parser.parse_args(argv)
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
    parser = argparse.ArgumentParser(
        prog="sls",
        description="Detect synthetic speech: corpora to manifests, recordings to scores, scores to figures.",
        epilog="`sls COMMAND --help` explains a command and gives an example.",
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=command.HELP,
            description=f"{command.HELP[0].upper()}{command.HELP[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(subparser)
    return parser, subparsers.choices


if __name__ == "__main__":
    sys.exit(main())
