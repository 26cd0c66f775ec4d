"""`sls merge`: the score files of shards to one."""

import argparse
from pathlib import Path

from sls_plugin.cli.common import print_summary
from sls_plugin.scores.outputs import refuse_inputs, require_free

HELP = "join the score files of shards into one"

EPILOG = """\
examples:
  sls merge scores.0.txt scores.1.txt scores.2.txt --output scores.txt
  sls merge scores.{0..15}.txt --output scores.txt --manifest DATA/eval.tsv

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
    files.add_argument("--output", metavar="FILE", type=Path, required=True, help="score file to write: `id score` per line")
    files.add_argument("--overwrite", action="store_true", help="replace the output if it exists")


def run(args: argparse.Namespace) -> int:
    """Check the files, join them, and print what was written."""
    from sls_plugin.inference.inputs import read_inputs
    from sls_plugin.scores.merge import in_order, merge_outcomes
    from sls_plugin.scores.run_metadata import write_metadata
    from sls_plugin.scores.score_file import write_outcomes
    from sls_plugin.scores.timeline import merge_timelines

    refuse_inputs(args.output, (*args.scores, *map(Path, args.manifest or ())))
    require_free(args.output, args.overwrite)
    trials = read_inputs(args.manifest) if args.manifest else None
    paths, record = in_order(args.scores)
    outcomes = merge_outcomes(paths, trials and [trial.id for trial in trials])
    merge_timelines(paths, args.output, outcomes)
    numbers = write_outcomes(args.output, outcomes.items)
    if record:
        write_metadata(args.output, record)
    return print_summary(args.output, *numbers)
