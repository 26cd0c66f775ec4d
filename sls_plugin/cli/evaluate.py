"""`sls evaluate`: scores and keys to error rates."""

import argparse
import json
import sys
from pathlib import Path

from protocols.atomic import replacing
from protocols.keys import LAYOUTS, PHASES, read_keys

HELP = "compare scores with the keys of a corpus"

EPILOG = """\
examples:
  sls evaluate 2019la scores.txt --keys LA/ASVspoof2019_LA_cm_protocols
  sls evaluate labels scores.txt --keys DATA/eval.tsv --json result.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls evaluate`."""
    parser.epilog = EPILOG
    parser.add_argument(
        "corpus", metavar="CORPUS", choices=LAYOUTS,
        help=f"one of {', '.join(LAYOUTS)}; labels: a manifest, or a list with a line `id label` per trial",
    )
    parser.add_argument("scores", metavar="SCORES", type=Path, help="a file with a line `id score` per trial")
    parser.add_argument("--keys", metavar="PATH", type=Path, required=True, help="key file, or a folder that holds it")
    parser.add_argument(
        "--phase", choices=PHASES, help="trials of this phase (default: eval where the keys tell phases, else all)"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures too, rates as fractions")
    parser.add_argument("--allow-missing", action="store_true", help="leave out trials without a score")
    parser.add_argument("--negate", action="store_true", help="for scores where higher means more spoof")


def run(args: argparse.Namespace) -> int:
    """Print the figures as a table and write them to the JSON file."""
    from sls_plugin.report.evaluation import evaluate
    from sls_plugin.report.text import evaluation_table

    keys = read_keys(args.corpus, args.keys, args.phase)
    evaluation = evaluate(args.scores, keys, args.allow_missing, args.negate)
    for warning in evaluation.warnings:
        print(f"sls evaluate: warning: {warning}", file=sys.stderr)
    print(evaluation_table(evaluation, args.scores, args.negate))
    if args.json:
        figures = {
            "eer": evaluation.eer,
            "eer_threshold": evaluation.eer_threshold,
            "n_bonafide": len(evaluation.bonafide),
            "n_spoof": len(evaluation.spoof),
            "phase": keys.phase,
            "per_attack": {name: result.eer for name, result in evaluation.per_attack.items()},
        }
        if args.allow_missing:
            figures["n_missing"] = evaluation.n_missing
        with replacing(args.json) as temporary:
            temporary.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0
