"""`fairseq_ckpt make-random`: a checkpoint to try things with."""

import argparse

from fairseq_ckpt.presets import PRESETS

HELP = "write a random checkpoint in the layout of xlsr2_300m.pt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", metavar="OUT", help="the file to write")
    parser.add_argument("--preset", choices=PRESETS, default="tiny", help="tiny: 4 layers of 48 features; 300m: the true size")
    parser.add_argument("--seed", type=int, default=1, help="of the random weights (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    from fairseq_ckpt.random import make_random  # slow to import: it brings fairseq

    n_parameters = make_random(PRESETS[args.preset], args.output, args.seed)
    print(f"{args.output}: {n_parameters:,} random parameters; useful for tests, knows nothing about speech")
    return 0
