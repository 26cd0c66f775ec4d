"""`sls`: from corpora to figures, and to the reasons for them, from the command line."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from protocols import UserError
from sls_plugin.cli import calibrate, evaluate, explain, export, merge, models, prepare, report, score

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
    """Run one subcommand: 0 on success, 1 on a problem with the data, told in one line; exits 2 on wrong usage."""
    _open_closed_streams()
    parser, commands = _parsers()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        status = COMMANDS[args.command].run(args)
        sys.stdout.flush()  # here a closed pipe can still be told from a fault
        return status
    except argparse.ArgumentError as error:  # arguments that are only wrong together
        commands[args.command].error(str(error))
    except UserError as error:
        problem = str(error)
    except BrokenPipeError:
        return leave_closed_pipe()
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        problem = f"{error.filename or 'output'}: {error.strerror}"
    except KeyboardInterrupt as interrupt:  # with what is already done, where the command tells it
        print(": ".join(filter(None, (f"sls {args.command}: interrupted", str(interrupt)))), file=sys.stderr)
        return 130
    print(f"sls {args.command}: error: {problem}", file=sys.stderr)
    return 1


def leave_closed_pipe() -> int:
    """The exit status once the reader of a pipe, such as `head`, has seen enough; what is still to be printed leads nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _open_closed_streams() -> None:
    """What a caller has closed (`>&-`) leads nowhere; or else a score file would be opened in its place and written to."""
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
