"""`fairseq_ckpt average`: the mean of several checkpoints."""

import argparse

HELP = "average checkpoints of one model, each counted once; also running means and variances (counters: the highest)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="checkpoints of one model, of this project or its authors")
    parser.add_argument("output", metavar="OUT", help="file to write, in fairseq's layout")


def run(args: argparse.Namespace) -> int:
    from fairseq_ckpt.averaging import average  # slow to import: it brings torch

    average(args.files, args.output)
    print(f"{args.output}: the mean of {len(args.files):,} checkpoints")
    return 0
