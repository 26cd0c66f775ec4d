"""`sls evaluate`: scores and keys to error rates."""

import argparse
import json
import sys
from pathlib import Path

from protocols.atomic import replacing
from protocols.keys import LAYOUTS, PHASES, read_keys

from .arguments import add_resampling, refuse_inputs

HELP = "compare scores with the keys of a corpus"

EPILOG = """\
examples:
  sls evaluate 2019la scores.txt --keys LA/ASVspoof2019_LA_cm_protocols
  sls evaluate 2021la scores.txt --keys keys --bootstrap 1000
  sls evaluate labels scores.txt --keys DATA/eval.tsv --json result.json

PATH of --keys is the organisers' folder (or one above it) or the key file itself: a protocol of
2019 LA, keys/LA or keys/DF of 2021, in_the_wild_key.txt or meta.csv of In-the-Wild, the track 1
protocol of ASVspoof 5, a manifest, or a list with a line `id label` per trial.
The min t-DCF needs the organisers' ASV scores, which are looked for beside the keys.
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
    add_resampling(parser, default=0)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures too, rates as fractions")
    parser.add_argument("--allow-missing", action="store_true", help="leave out trials without a score")
    parser.add_argument("--negate", action="store_true", help="for scores where higher means more spoof")


def run(args: argparse.Namespace) -> int:
    """Print the figures as text and write them to the JSON file."""
    from sls_plugin.evaluation.evaluation import Bootstrap, evaluate
    from sls_plugin.report.figures import figures
    from sls_plugin.report.text import evaluation_text

    refuse_inputs(args.json, (args.scores, args.keys))
    if args.by_speaker and not args.bootstrap:
        raise argparse.ArgumentError(None, "--by-speaker needs --bootstrap")
    bootstrap = Bootstrap(args.bootstrap, args.by_speaker) if args.bootstrap else None
    keys = read_keys(args.corpus, args.keys, args.phase)
    evaluation = evaluate(args.scores, keys, args.allow_missing, args.negate, bootstrap)
    if args.json:
        with replacing(args.json) as temporary:
            text = json.dumps(figures(evaluation), indent=2, ensure_ascii=False, allow_nan=False)
            temporary.write_text(text + "\n", encoding="utf-8")
    for warning in evaluation.warnings:
        print(f"sls evaluate: warning: {warning}", file=sys.stderr)
    print(evaluation_text(evaluation, args.scores))
    return 0
