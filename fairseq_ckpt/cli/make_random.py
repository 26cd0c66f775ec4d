"""`fairseq_ckpt make-random`: a checkpoint to try things with."""

import argparse

from fairseq_ckpt.wav2vec.random_backbone import PRESETS, make_random

HELP = "write a random checkpoint in the layout of xlsr2_300m.pt"
EXAMPLE = "python -m fairseq_ckpt make-random tiny.pt --preset tiny --seed 7"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"example:\n  {EXAMPLE}"
    files = parser.add_argument_group("files")
    files.add_argument("output", metavar="OUT", help="file to write")
    weights = parser.add_argument_group("weights")
    sizes = "tiny: 4 layers of 48 features; 300m: the size of XLS-R 300M (default: %(default)s)"
    weights.add_argument("--preset", choices=PRESETS, default="tiny", help=sizes)
    weights.add_argument("--seed", metavar="N", type=int, default=1, help="seed of the random weights (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    n_parameters = make_random(PRESETS[args.preset], args.output, args.seed)
    print(f"{args.output}: {n_parameters:,} random parameters; useful for tests, knows nothing about speech")
    return 0
