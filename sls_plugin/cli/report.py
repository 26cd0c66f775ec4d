"""`sls report`: scores, and keys where there are any, to one HTML file."""

import argparse
from pathlib import Path

from protocols.files import replacing
from protocols.keys import read_keys
from sls_plugin.cli.common import add_corpus, add_resampling, add_trials, finite_number
from sls_plugin.scores.outputs import refuse_inputs

HELP = "write an HTML report on one or several score files"

EPILOG = """\
examples:
  sls report scores.txt --keys DATA/eval.tsv --output report.html
  sls report baseline.txt ours.txt --corpus asvspoof2021-la --keys keys --output report.html
  sls report scores.txt --threshold=-2.5 --output report.html
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls report`."""
    parser.epilog = EPILOG
    files = parser.add_argument_group("files")
    files.add_argument("scores", metavar="SCORES", type=Path, nargs="+", help="files with a line `id score` per trial")
    files.add_argument("--keys", metavar="PATH", type=Path, help="key file, or a folder that contains it")
    add_corpus(files, default=None)
    files.add_argument("--output", metavar="FILE", type=Path, required=True, help="HTML file to write")
    trials = add_trials(parser, "report on trials")
    trials.add_argument(
        "--allow-missing", action="store_true", help="leave out trials that some system has no score for"
    )
    add_resampling(parser, default=1000)
    page = parser.add_argument_group("the page")
    page.add_argument(
        "--threshold", metavar="SCORE", type=finite_number,
        help="higher scores count as bona fide (default: the EER threshold; none without keys)",
    )
    page.add_argument(
        "--title", metavar="TEXT", default="Detection of synthetic speech", help="heading (default: %(default)s)"
    )
    page.add_argument("--note", metavar="TEXT", action="append", default=[], help="sentence below the heading; repeatable")


def run(args: argparse.Namespace) -> int:
    """Write the report and print its path."""
    _check(args)
    try:
        from sls_plugin.evaluation.evaluation import Bootstrap
        from sls_plugin.report.page import build_report
    except ModuleNotFoundError as error:
        if error.name not in ("matplotlib", "jinja2"):
            raise
        raise SystemExit(f"sls report: error: no {error.name}: pip install 'sls-plugin[report]'") from None

    keys = read_keys(args.corpus or "labels", args.keys, args.phase) if args.keys else None
    refuse_inputs(args.output, keys.files if keys else ())  # --keys may name their folder
    bootstrap = Bootstrap(args.bootstrap, args.by_speaker) if args.bootstrap else None
    page = build_report(args.scores, keys, args.threshold, args.title, args.note, args.allow_missing, bootstrap)
    with replacing(args.output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(f"report on {len(args.scores)} score file{'s' if len(args.scores) > 1 else ''}: {args.output}")
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse options that make no sense together."""
    for option in ("corpus", "phase", "allow_missing", "by_speaker"):
        if getattr(args, option) and not args.keys:
            raise argparse.ArgumentError(None, f"--{option.replace('_', '-')} needs --keys")
    if args.by_speaker and not args.bootstrap:
        raise argparse.ArgumentError(None, "--by-speaker needs --bootstrap")
    refuse_inputs(args.output, [*args.scores, *filter(None, [args.keys])])
    if len({path.resolve() for path in args.scores}) < len(args.scores):
        raise argparse.ArgumentError(None, "a score file is given twice")
