"""`sls calibrate`: scores to log-likelihood ratios; several systems to one."""

import argparse
import sys
from pathlib import Path

from protocols.keys import read_keys
from sls_plugin.cli.common import add_corpus, add_trials
from sls_plugin.scores.outputs import refuse_inputs, require_free

HELP = "turn scores into log-likelihood ratios, and fuse several systems"

EPILOG = """\
examples:
  sls calibrate dev_scores.txt --keys DATA/dev.tsv --apply eval_scores.txt --output eval_llr.txt
  sls calibrate dev_a.txt dev_b.txt --keys DATA/dev.tsv --apply eval_a.txt eval_b.txt \\
      --output fused_llr.txt

A logistic regression on labelled trials, ideally a development set that no system was trained on,
gives each system a weight, and all of them one offset. The weighted sums are natural-log
likelihood ratios of bona fide against spoof: above 0 the recording is more likely bona fide. Other
priors or costs move that threshold.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls calibrate`."""
    parser.epilog = EPILOG
    labelled = parser.add_argument_group("what to learn from")
    labelled.add_argument("scores", metavar="SCORES", type=Path, nargs="+", help="score files of labelled trials, one per system")
    labelled.add_argument("--keys", metavar="PATH", type=Path, required=True, help="key file, or a folder that contains it")
    add_corpus(labelled, default="labels")
    add_trials(parser, "learn from trials")
    converted = parser.add_argument_group("what to convert")
    converted.add_argument(
        "--apply", metavar="SCORES", type=Path, nargs="+", required=True,
        help="scores to convert, of the same systems in the same order",
    )
    converted.add_argument("--output", metavar="FILE", type=Path, required=True, help="score file to write")
    converted.add_argument("--overwrite", action="store_true", help="replace the output if it exists")


def run(args: argparse.Namespace) -> int:
    """Fit on the labelled trials, convert the others, and print what was learned."""
    if len(args.apply) != len(args.scores):
        what = f"--apply has {len(args.apply)} score files for {len(args.scores)} systems"
        raise argparse.ArgumentError(None, f"{what}: give one for each, in the same order")
    refuse_inputs(args.output, (*args.scores, *args.apply, args.keys))
    require_free(args.output, args.overwrite)

    from sls_plugin.evaluation.fusion import learn_fusion  # slow to import
    from sls_plugin.scores.score_file import write_scores

    keys = read_keys(args.corpus, args.keys, args.phase)
    refuse_inputs(args.output, keys.files)  # --keys may name their folder
    fusion = learn_fusion(args.scores, keys)
    for warning in fusion.warnings:
        print(f"sls calibrate: warning: {warning}", file=sys.stderr)
    ratios = fusion.likelihood_ratios(args.apply)
    write_scores(args.output, ratios.items())
    print(fusion.formula)
    print(f"Cllr on {args.keys.name}: {fusion.cllr:.4f} bits; an uninformative system scores 1")
    print(f"{len(ratios):,} log-likelihood ratios: {args.output}")
    return 0
