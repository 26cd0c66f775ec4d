"""`fairseq_ckpt average`: the mean of several checkpoints."""

import argparse

HELP = "average checkpoints of one model, with BatchNorm's running means and variances"
EXAMPLE = "python -m fairseq_ckpt average checkpoint8.pt checkpoint9.pt checkpoint10.pt average.pt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"example:\n  {EXAMPLE}"
    group = parser.add_argument_group("files")
    group.add_argument("files", metavar="FILE", nargs="+", help="checkpoint of this project or of the original authors")
    group.add_argument("output", metavar="OUT", help="file to write, in fairseq's layout; may be one of the above")


def run(args: argparse.Namespace) -> int:
    from fairseq_ckpt.averaging import average  # slow to import: it brings torch

    average(args.files, args.output)
    print(f"{args.output}: the mean of {len(args.files):,} checkpoints")
    return 0
