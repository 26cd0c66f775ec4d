"""`sls threshold`: scores of labelled trials to a decision on others."""

import argparse
from pathlib import Path

from protocols.keys import read_keys
from sls_plugin.cli.common import FEWEST_RESAMPLES, add_corpus, add_trials, finite_number, resamples, share
from sls_plugin.scores.outputs import refuse_inputs, require_free

HELP = "choose the threshold of a detector, and measure how far its verdicts can be trusted"

EPILOG = """\
examples:
  sls threshold dev_scores.txt --keys DATA/dev.tsv --output decision.json
  sls threshold dev_scores.txt --keys DATA/dev.tsv --max-false-alarms 0.01 --output decision.json
  sls threshold dev_scores.txt --keys DATA/dev.tsv --max-error 0.02 --output decision.json
  sls score checkpoint_best.pt recordings/ --decision decision.json --output scores.csv

A false alarm is a bona fide recording that is judged spoof, a miss a spoof that is judged bona
fide. The labelled trials should be new to the detector, and resemble the recordings to be judged.
A detector that is not better than chance on them gets no threshold; of detectors that guess, 1 in
100 passes this test.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls threshold`."""
    parser.epilog = EPILOG
    files = parser.add_argument_group("files")
    files.add_argument("scores", metavar="SCORES", type=Path, help="score file of labelled trials")
    files.add_argument("--keys", metavar="PATH", type=Path, required=True, help="key file, or a folder that contains it")
    add_corpus(files, default="labels")
    files.add_argument("--output", metavar="FILE", type=Path, required=True, help="JSON file for `sls score --decision`")
    files.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    add_trials(parser, "learn from trials")
    point = parser.add_argument_group("the threshold")
    rule = point.add_mutually_exclusive_group()
    rule.add_argument("--eer", action="store_true", help="as many false alarms as misses, as shares (the default)")
    rule.add_argument("--max-false-alarms", metavar="SHARE", type=share, help="judge at most this share of bona fide spoof")
    rule.add_argument(
        "--costs", metavar=("FALSE_ALARM", "MISS"), type=_cost, nargs=2, help="least expected cost, such as --costs 1 10"
    )
    point.add_argument(
        "--max-error", metavar="SHARE", type=share,
        help="judge at most this share of each class wrongly, and leave undecided what lies between (default: decide all)",
    )
    point.add_argument(
        "--prior", metavar="P", type=share, default=0.5,
        help="probability of bona fide before a recording is heard, for --costs and probabilities (default: %(default)s)",
    )
    point.add_argument(
        "--bootstrap", metavar="N", type=resamples, default=1000,
        help="resamples of the intervals, of speakers where they are known (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Learn the decision, write it, and print it."""
    if not args.bootstrap:
        raise argparse.ArgumentError(None, f"--bootstrap 0: give at least {FEWEST_RESAMPLES}")
    refuse_inputs(args.output, (args.scores, args.keys))
    require_free(args.output, args.overwrite)

    from sls_plugin.evaluation.operating_point import Rule, learn_decision  # slow to import
    from sls_plugin.report.text import decision_text
    from sls_plugin.scores.decision import write_decision

    keys = read_keys(args.corpus, args.keys, args.phase)
    refuse_inputs(args.output, keys.files)  # --keys may name their folder
    rule = Rule(args.max_false_alarms, args.costs and tuple(args.costs), args.prior, args.max_error)
    decision = learn_decision(args.scores, keys, rule, args.bootstrap)
    write_decision(args.output, decision)
    print(decision_text(decision))
    print(f"decision: {args.output}")
    return 0


def _cost(text: str) -> float:
    cost = finite_number(text)
    if not 1e-9 <= cost <= 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not a cost from 1e-9 to 1e9")
    return cost
