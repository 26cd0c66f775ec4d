"""`sls anchor`: is this installation right? Scores of a public checkpoint against its published error rates."""

import argparse
from pathlib import Path

from protocols.corpora import canonical_name
from protocols.keys import read_keys
from sls_plugin.cli.common import FEWEST_RESAMPLES, add_computing, help_table, resamples
from sls_plugin.evaluation.anchors import CHECKPOINTS, N_TRIALS
from sls_plugin.scores.outputs import refuse_inputs

HELP = "compare scores of a public checkpoint with its published error rates"

EPILOG = f"""\
examples:
  sls anchor sls wild.txt --corpus in-the-wild --keys meta.csv
  sls anchor sls wild.txt --corpus in-the-wild --keys meta.csv \\
      --score MMpaper_model.pth ITW/eval.tsv
  sls anchor aasist la.txt --corpus asvspoof2021-la --keys keys

--score computes SCORES first, as `sls score` does; the same command continues a run that was
stopped.

Where a figure disagrees, the known reasons are tried: the sign of the scores, a part of the
trials, another phase, other clips, another checkpoint of the same authors, ties, and the settings
that `sls score` recorded. Exit status 0: all figures agree. 1: one differs.

public checkpoints:
{help_table({name: checkpoint.title for name, checkpoint in CHECKPOINTS.items()})}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls anchor`."""
    parser.epilog = EPILOG
    files = parser.add_argument_group("files")
    files.add_argument("checkpoint", metavar="NAME", choices=CHECKPOINTS, help="public checkpoint, by its name below")
    files.add_argument("scores", metavar="SCORES", type=Path, help="its score file")
    files.add_argument(
        "--corpus", metavar="CORPUS", type=canonical_name, choices=N_TRIALS, required=True, help=f"one of {', '.join(N_TRIALS)}"
    )
    files.add_argument("--keys", metavar="PATH", type=Path, required=True, help="key file, or a folder that contains it")
    files.add_argument(
        "--score", metavar=("CKPT", "MANIFEST"), nargs=2, help="score this checkpoint on these recordings first, into SCORES"
    )
    add_computing(parser)
    parser.add_argument_group("confidence intervals").add_argument(
        "--bootstrap", metavar="N", type=resamples, default=1000, help="resamples of the trials (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Print the comparison; exit status 1 where a figure differs."""
    if not args.bootstrap:
        raise argparse.ArgumentError(None, f"--bootstrap 0: give at least {FEWEST_RESAMPLES}")
    from sls_plugin.evaluation.anchor_check import check_scores
    from sls_plugin.evaluation.evaluation import Bootstrap
    from sls_plugin.report.anchor_text import anchor_text

    keys = read_keys(args.corpus, args.keys, "all")
    if args.score:
        refuse_inputs(args.scores, keys.files)
        _score(args)
    check = check_scores(args.checkpoint, args.scores, keys, Bootstrap(args.bootstrap))
    print(anchor_text(args.checkpoint, args.scores, check))
    return 0 if check.agrees else 1


def _score(args: argparse.Namespace) -> None:
    from sls_plugin.inference.run import ScoringRun

    checkpoint, manifest = args.score
    ScoringRun(
        checkpoint, [manifest], args.scores, batch_size=args.batch_size, device=args.device, num_workers=args.num_workers,
        resume=True, show_progress=True,
    ).run()  # fmt: skip
