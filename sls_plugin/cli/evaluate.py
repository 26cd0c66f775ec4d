"""`sls evaluate`: scores and keys to error rates."""

import argparse
import json
import sys
from pathlib import Path

from protocols.corpora import CORPORA, canonical_name
from protocols.files import replacing
from protocols.keys import read_keys
from sls_plugin.cli.common import add_resampling, add_trials, help_table
from sls_plugin.scores.outputs import refuse_inputs

HELP = "compute the error rates of scores from the keys of a corpus"

EXAMPLES = """\
examples:
  sls evaluate asvspoof2019-la scores.txt --keys LA/ASVspoof2019_LA_cm_protocols
  sls evaluate asvspoof2021-la scores.txt --keys keys --bootstrap 1000
  sls evaluate labels scores.txt --keys DATA/eval.tsv --json result.json
"""

KEYS = """\
what --keys takes for each CORPUS, as the file itself, the organisers' folder or one above it:
{}
The min t-DCF also needs the organisers' ASV scores, which are read from beside the keys.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls evaluate`."""
    files = {name: corpus.keys.files for name, corpus in CORPORA.items() if corpus.keys}
    parser.epilog = f"{EXAMPLES}\n{KEYS.format(help_table(files))}"
    group = parser.add_argument_group("files")
    group.add_argument("corpus", metavar="CORPUS", type=canonical_name, choices=files, help=f"one of {', '.join(files)}")
    group.add_argument("scores", metavar="SCORES", type=Path, help="file with a line `id score` per trial")
    group.add_argument("--keys", metavar="PATH", type=Path, required=True, help="key file, or a folder that contains it")
    group.add_argument("--json", metavar="FILE", type=Path, help="also write the figures as JSON, rates as fractions")
    trials = add_trials(parser, "evaluate trials")
    trials.add_argument("--allow-missing", action="store_true", help="leave out trials without a score")
    trials.add_argument("--negate", action="store_true", help="negate all scores, if higher means more spoof")
    add_resampling(parser, default=0)


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
    refuse_inputs(args.json, keys.files)  # --keys may name their folder
    evaluation = evaluate(args.scores, keys, args.allow_missing, args.negate, bootstrap)
    if args.json:
        with replacing(args.json) as temporary:
            text = json.dumps(figures(evaluation), indent=2, ensure_ascii=False, allow_nan=False)
            temporary.write_text(text + "\n", encoding="utf-8")
    for warning in evaluation.warnings:
        print(f"sls evaluate: warning: {warning}", file=sys.stderr)
    print(evaluation_text(evaluation, args.scores))
    return 0
