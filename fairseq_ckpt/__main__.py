"""`python -m fairseq_ckpt`: inspect, convert, verify, average, download and make checkpoints."""

import argparse
import sys
from collections.abc import Sequence

from fairseq_ckpt.cli import average, convert, download, inspect_checkpoint, make_random, verify
from fairseq_ckpt.cli.common import HelpFormatter, Parser, add_command, add_help, escaped_streams
from fairseq_ckpt.errors import CheckpointError

COMMANDS = {
    "inspect": inspect_checkpoint,
    "convert": convert,
    "verify": verify,
    "average": average,
    "download": download,
    "make-random": make_random,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: 0 on success, 1 on a problem with a checkpoint, reported in one line; exits with 2 on wrong usage."""
    with escaped_streams():
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    parser = Parser(
        prog="python -m fairseq_ckpt",
        description="Inspect, check and convert the checkpoints of XLS-R and its detectors.",
        epilog="example:\n  python -m fairseq_ckpt inspect MMpaper_model.pth",
        formatter_class=HelpFormatter,
        add_help=False,
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    add_help(parser)
    for name, command in COMMANDS.items():
        add_command(subparsers, name, command)
    args = parser.parse_args(argv)
    try:
        return COMMANDS[args.command].run(args)
    except argparse.ArgumentError as error:
        subparsers.choices[args.command].error(str(error))
    except CheckpointError as error:
        problem = str(error)
    except OSError as error:
        if error.filename is None:
            raise
        problem = f"{error.filename}: {error.strerror}"
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print(f"error: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
