"""`python -m fairseq_ckpt`: inspect, convert, verify, average, download and make checkpoints."""

import argparse
import sys
from collections.abc import Sequence

from fairseq_ckpt.cli import average, convert, download, inspect_checkpoint, make_random, verify
from fairseq_ckpt.errors import CheckpointError

COMMANDS = {
    "inspect": inspect_checkpoint,
    "convert": convert,
    "verify": verify,
    "average": average,
    "download": download,
    "make-random": make_random,
}
WIDTH = 96  # columns of the help, whatever the terminal's


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Examples keep their lines."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=24, width=WIDTH)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: 0 on success, 1 on a problem with a checkpoint, reported in one line; exits with 2 on wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m fairseq_ckpt",
        description="Checkpoints of XLS-R and its detectors.",
        epilog="example:\n  python -m fairseq_ckpt inspect MMpaper_model.pth",
        formatter_class=HelpFormatter,
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=command.HELP,
            description=f"{command.HELP[0].upper()}{command.HELP[1:]}.",
            epilog=f"example:\n  python -m fairseq_ckpt {name} {command.EXAMPLE}",
            formatter_class=HelpFormatter,
        )
        command.add_arguments(subparser)
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
