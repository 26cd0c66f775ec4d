"""`sls merge`: the score files of shards to one."""

import argparse
from pathlib import Path

from protocols import DataError
from sls_plugin.cli.common import print_summary
from sls_plugin.scores.outputs import refuse_inputs, refuse_recordings, require_free

HELP = "join the score files of shards into one"

EPILOG = """\
examples:
  sls merge scores.0.txt scores.1.txt scores.2.txt --output scores.txt
  sls merge scores.{0..15}.txt --output scores.txt --manifest DATA/eval.tsv
  sls merge scores.txt --decision decision.json --output verdicts.csv

Files that `sls score --shard` wrote must belong together: the same checkpoint, trials and
settings, and no shard missing. With --manifest, files of other programs are checked too: no trial
is missing, unknown or repeated, and the output is in the order of the manifest. Broken recordings
that --skip-broken left out are listed in FILE.errors.tsv, and the exit status is 1, as with
`sls score`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls merge`."""
    parser.epilog = EPILOG
    files = parser.add_argument_group("files")
    files.add_argument("scores", metavar="SCORES", type=Path, nargs="+", help="score files, in the order of their trials")
    files.add_argument(
        "--manifest", metavar="INPUT", nargs="+", help="what was scored, as given to `sls score`"
    )
    files.add_argument(
        "--output", metavar="FILE", type=Path, required=True,
        help="score file to write: `id score` per line, or a table named .csv, .jsonl or .parquet",
    )
    files.add_argument(
        "--decision", metavar="FILE", type=Path,
        help="result of `sls threshold`: add llr, probability (of bona fide) and verdict to the table",
    )
    files.add_argument("--overwrite", action="store_true", help="replace the output if it exists")


def run(args: argparse.Namespace) -> int:
    """Check the files, join them, and print what was written."""
    from sls_plugin.inference.inputs import read_inputs
    from sls_plugin.scores.decision import read_decision
    from sls_plugin.scores.formats import is_table, require_format
    from sls_plugin.scores.merge import in_order, merge_outcomes
    from sls_plugin.scores.run_metadata import metadata_path, write_metadata
    from sls_plugin.scores.score_file import errors_path, read_warnings, warnings_path, write_outcomes
    from sls_plugin.scores.timeline import merge_timelines, timeline_path

    beside = (path_beside(args.output) for path_beside in (errors_path, warnings_path, timeline_path, metadata_path))
    for path in (args.output, *beside):
        refuse_inputs(path, (*args.scores, *map(Path, args.manifest or ()), *filter(None, [args.decision])))
    require_free(args.output, args.overwrite)
    require_format(args.output, verdicts=args.decision is not None)
    decision = read_decision(args.decision) if args.decision else None
    trials = read_inputs(args.manifest) if args.manifest else None
    refuse_recordings(args.output, trials or ())
    paths, record = in_order(args.scores, is_checked=trials is not None)
    earlier = record.pop("decision", None) if record else None
    if decision:
        decision.require_same_scores(record, args.decision)
        record = record and record | {"decision": decision.sha256}
    elif earlier and is_table(args.output):
        raise DataError(f"{paths[0]}: has verdicts: give the --decision that they are from, or name an output .txt")
    outcomes = merge_outcomes(paths, trials and [trial.id for trial in trials])
    merge_timelines(paths, args.output, outcomes)
    warnings = {name: words for path in paths for name, words in read_warnings(path).items()}
    in_order_of_trials = {name: warnings[name] for name in outcomes if name in warnings}
    numbers = write_outcomes(args.output, outcomes.items, decision, in_order_of_trials)
    if record:
        write_metadata(args.output, record)
    return print_summary(args.output, *numbers)
