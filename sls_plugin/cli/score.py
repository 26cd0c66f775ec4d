"""`sls score`: recordings to a score file."""

import argparse
import sys
from pathlib import Path

from protocols import DataError

from .arguments import add_batches, usable_device

HELP = "score recordings with a trained detector"
DTYPES = ("float32", "bfloat16", "float16")

EPILOG = """\
examples:
  sls score checkpoint_best.pt recordings/ --output scores.txt
  sls score checkpoint_best.pt DATA/eval.tsv --output scores.txt \\
      --batch-size 32 --device cuda --dtype bfloat16

A higher score means more bona fide. It is the score that the detector's authors write: log p(bona
fide) for SLS and RawNet2, p(bona fide) for xlsr_linear and the prosody encoder, else a logit.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls score`."""
    parser.epilog = EPILOG
    parser.add_argument("checkpoint", metavar="CKPT", help="a detector: checkpoint of this project, or the authors' .pth")
    parser.add_argument(
        "inputs", metavar="INPUT", nargs="+", help="manifest (.tsv), recording, folder (taken recursively), or text list of paths"
    )
    parser.add_argument("--output", metavar="FILE", type=Path, required=True, help="score file to write: `id score` per line")
    add_batches(parser)
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="arithmetic of the model (default: %(default)s)")
    parser.add_argument("--llr", action="store_true", help="write logit differences instead: log-likelihood ratios, uncalibrated")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    parser.add_argument(
        "--skip-broken", action="store_true", help="score the rest, list broken recordings in FILE.errors.tsv, exit with 1"
    )


def run(args: argparse.Namespace) -> int:
    """Score every trial of the inputs, in their order."""
    from sls_plugin.scoring.inputs import read_inputs

    if args.output.exists() and not args.overwrite:
        raise DataError(f"{args.output}: exists already: give --overwrite to replace it, or another --output")
    trials = read_inputs(args.inputs)

    import torch  # slow to import: the problems above are told first
    from tqdm import tqdm

    from sls_plugin.scoring.engine import ScoringEngine, load_detector
    from sls_plugin.scoring.score_file import errors_path, write_errors, write_scores

    device = usable_device(args.device)
    model, segment = load_detector(args.checkpoint)
    engine = ScoringEngine(
        model,
        segment,
        device=device,
        dtype=getattr(torch, args.dtype),
        batch_size=args.batch_size,
        num_workers=args.num_workers,
        llr=args.llr,
        skip_broken=args.skip_broken,
    )
    progress = tqdm(engine.scores(trials), total=len(trials), unit="clip", disable=not sys.stderr.isatty())
    errors_path(args.output).unlink(missing_ok=True)  # of an earlier run
    write_scores(args.output, progress)
    if not engine.broken:
        print(f"{len(trials):,} scores: {args.output}")
        return 0
    errors = write_errors(args.output, engine.broken)
    n_broken = len(engine.broken)
    print(f"{len(trials) - n_broken:,} scores: {args.output}; {n_broken:,} broken, with reasons: {errors}", file=sys.stderr)
    return 1
