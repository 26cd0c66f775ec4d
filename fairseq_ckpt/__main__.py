"""`python -m fairseq_ckpt`: make checkpoints."""

import argparse
import sys
from collections.abc import Sequence

from fairseq_ckpt.presets import PRESETS


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fairseq_ckpt", description="Checkpoints of XLS-R and its detectors.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    make = commands.add_parser("make-random", help="write a random checkpoint in the layout of xlsr2_300m.pt")
    make.add_argument("output", metavar="OUT", help="the file to write")
    make.add_argument("--preset", choices=PRESETS, default="tiny", help="tiny: 4 layers of 48 features; 300m: the true size")
    make.add_argument("--seed", type=int, default=1, help="of the random weights (default: %(default)s)")
    args = parser.parse_args(argv)

    from fairseq_ckpt import random  # slow to import: it brings fairseq

    n_parameters = random.make_random(PRESETS[args.preset], args.output, args.seed)
    print(f"{args.output}: {n_parameters:,} random parameters; useful for tests, knows nothing about speech")
    return 0


if __name__ == "__main__":
    sys.exit(main())
