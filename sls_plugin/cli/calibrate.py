"""`sls calibrate`: scores to log-likelihood ratios; several systems to one."""

import argparse
import sys
from pathlib import Path

from protocols import DataError
from protocols.corpora import canonical_name
from protocols.keys import PHASES, corpora_with_keys, read_keys
from sls_plugin.scores.outputs import refuse_inputs, require_free

HELP = "turn scores into log-likelihood ratios, and fuse several systems"

EPILOG = """\
examples:
  sls calibrate dev_scores.txt --keys DATA/dev.tsv --apply eval_scores.txt --output eval_llr.txt
  sls calibrate dev_a.txt dev_b.txt --keys DATA/dev.tsv --apply eval_a.txt eval_b.txt \\
      --output fused_llr.txt

A logistic regression on trials of known label, best a development set that nothing was trained on,
gives each system a weight and one offset; the sums are natural-log likelihood ratios of bona fide
against spoof. Above 0 the recording speaks for bona fide; priors and costs move the threshold.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls calibrate`."""
    parser.epilog = EPILOG
    parser.add_argument("scores", metavar="SCORES", type=Path, nargs="+", help="a system's scores of the labelled trials")
    parser.add_argument("--keys", metavar="PATH", type=Path, required=True, help="the labels: key file, or folder that holds it")
    parser.add_argument(
        "--corpus", metavar="CORPUS", type=canonical_name, choices=corpora_with_keys(), default="labels",
        help=f"whose keys they are, one of {', '.join(corpora_with_keys())} (default: labels, that is a manifest or a list)",
    )
    parser.add_argument(
        "--phase", choices=PHASES, help="learn from trials of this phase (default: eval where the keys have phases, else all)"
    )
    parser.add_argument(
        "--apply", metavar="SCORES", type=Path, nargs="+", required=True,
        help="scores to convert, of the same systems in the same order",
    )
    parser.add_argument("--output", metavar="FILE", type=Path, required=True, help="score file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")


def run(args: argparse.Namespace) -> int:
    """Fit on the labelled trials, convert the others, and say what was learnt."""
    if len(args.apply) != len(args.scores):
        what = f"--apply has {len(args.apply)} score files for {len(args.scores)} systems"
        raise argparse.ArgumentError(None, f"{what}: give one for each, in the same order")
    refuse_inputs(args.output, (*args.scores, *args.apply, args.keys))
    require_free(args.output, args.overwrite)
    import numpy as np

    from sls_plugin.evaluation.scored_trials import read_scored_trials
    from sls_plugin.metrics.calibration import fit_calibration
    from sls_plugin.metrics.dcf import cllr
    from sls_plugin.scores.score_file import read_scores, write_scores

    keys = read_keys(args.corpus, args.keys, args.phase)
    systems = [read_scored_trials(path, keys) for path in args.scores]
    bonafide = np.stack([system.bonafide for system in systems], axis=1)
    spoof = np.stack([system.spoof for system in systems], axis=1)
    try:
        calibration = fit_calibration(bonafide, spoof)
    except ValueError as error:
        raise DataError(f"{args.scores[0]}: {error}: give scores of a usual size") from None
    for path, weight in zip(args.scores, calibration.weights, strict=True):
        if weight <= 0:
            why = "is its sign inverted?" if weight < 0 else "its scores tell nothing"
            print(f"sls calibrate: warning: {path} has the weight {weight:.6g}: {why}", file=sys.stderr)

    first, *others = tables = [read_scores(path) for path in args.apply]
    for path, table in zip(args.apply[1:], others, strict=True):
        if differing := first.keys() ^ table.keys():
            what = f"{len(differing):,} trials are only in it or only in {args.apply[0]}, such as {min(differing)!r}"
            raise DataError(f"{path}: {what}: fusion needs the same trials of all systems")
    ratios = calibration.apply(np.array([[table[name] for table in tables] for name in first]))
    write_scores(args.output, zip(first, ratios.tolist(), strict=True))

    formula = " ".join(f"{weight:+.6g} x {path.name}" for path, weight in zip(args.scores, calibration.weights, strict=True))
    print(f"LLR = {calibration.offset:.6g} {formula}")
    learnt = cllr(calibration.apply(bonafide), calibration.apply(spoof))
    print(f"Cllr on {args.keys.name}: {learnt:.4f} bits; a system that knows nothing has 1")
    print(f"{len(first):,} log-likelihood ratios: {args.output}")
    return 0
