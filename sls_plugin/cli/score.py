"""`sls score`: recordings to a score file."""

import argparse
from pathlib import Path

from sls_plugin.cli.common import add_computing, add_recordings, duration, print_summary, shard_of

HELP = "score recordings with a trained detector"

EPILOG = """\
examples:
  sls score checkpoint_best.pt recordings/ --output scores.txt
  sls score checkpoint_best.pt DATA/eval.tsv --output scores.txt \\
      --batch-size 32 --device cuda --dtype bfloat16

several GPUs, of one or more machines that share the folder of the output:
  torchrun --nproc-per-node 4 -m sls_plugin score checkpoint_best.pt DATA/eval.tsv \\
      --output scores.txt --resume

a Slurm array (sbatch --array=0-15), merged afterwards:
  sls score checkpoint_best.pt DATA/eval.tsv --resume --output scores.$SLURM_ARRAY_TASK_ID.txt \\
      --shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT
  sls merge scores.{0..15}.txt --output scores.txt --manifest DATA/eval.tsv

long recordings, a window of 4.04 s every 2 s; their scores go to scores.txt.timeline.tsv:
  sls score checkpoint_best.pt interview.flac --windows 4.04 --hop 2 --output scores.txt

A higher score means more bona fide. It is the score that the detector's authors publish:
log p(bona fide) for SLS and RawNet2, p(bona fide) for xlsr_linear and the prosody encoder, else a
logit.

Scores are kept in FILE.partial until all trials are scored; --resume continues a run that was
stopped, and gives the same scores. FILE.run.json records the checkpoint, trials and settings.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls score`."""
    parser.epilog = EPILOG
    files = parser.add_argument_group("files")
    files.add_argument(
        "checkpoint", metavar="CKPT", help="checkpoint of this project, the authors' .pth, or .onnx of `sls export`"
    )
    add_recordings(files)
    files.add_argument("--output", metavar="FILE", type=Path, required=True, help="score file to write: `id score` per line")
    add_computing(parser)
    model = parser.add_argument_group("the score")
    model.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), default="float32",
        help="arithmetic of the model; half precision is first compared with float32 on 4 clips (default: %(default)s)",
    )
    model.add_argument("--llr", action="store_true", help="write uncalibrated log-likelihood ratios (logit differences) instead")
    windows = parser.add_argument_group("long recordings")
    windows.add_argument(
        "--windows", metavar="SECONDS", type=duration,
        help="score whole recordings, in windows of this length (default with --hop: the detector's own clip)",
    )
    windows.add_argument(
        "--hop", metavar="SECONDS", type=duration, help="step from one window to the next (default with --windows: half a window)"
    )
    windows.add_argument(
        "--windows-score", choices=("mean", "min"), default="mean",
        help="the score of a recording: the mean or the lowest score of its windows (default: %(default)s)",
    )
    runs = parser.add_argument_group("large runs")
    runs.add_argument(
        "--shard", metavar="I/N", type=shard_of, default=(0, 1), help="score only part I, from 0, of N; merge with `sls merge`"
    )
    again = runs.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="continue a run that was stopped, or start one")
    again.add_argument("--overwrite", action="store_true", help="start again, and replace the output if it exists")
    runs.add_argument(
        "--skip-broken", action="store_true", help="score the rest, list broken recordings in FILE.errors.tsv, exit with 1"
    )


def run(args: argparse.Namespace) -> int:
    """Score every trial of the inputs, in their order; under torchrun, each process its share."""
    from sls_plugin.inference.run import ScoringRun

    scoring = ScoringRun(
        args.checkpoint,
        args.inputs,
        args.output,
        batch_size=args.batch_size,
        device=args.device,
        num_workers=args.num_workers,
        dtype=args.dtype,
        llr=args.llr,
        window=args.windows,
        hop=args.hop,
        windows_score=args.windows_score,
        shard=args.shard,
        resume=args.resume,
        overwrite=args.overwrite,
        skip_broken=args.skip_broken,
        show_progress=True,
    )
    summary = scoring.run()
    if summary.is_share:
        return 0
    if summary.n_scores is None:
        print(f"nothing left to do: {args.output}")
        return int(scoring.has_broken)
    return print_summary(args.output, summary.n_scores, summary.n_broken)
