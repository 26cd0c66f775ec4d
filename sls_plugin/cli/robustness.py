"""`sls robustness`: a detector on recordings that codecs, noise and other channels have changed."""

import argparse
import csv
import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fairseq_ckpt.cli.common import WIDTH
from protocols import DataError, SettingError
from protocols.files import replacing
from protocols.keys import Keys, read_keys
from sls_plugin.cli.common import add_computing, add_resampling, help_table
from sls_plugin.evaluation.robustness import BATTERY, CLEAN

if TYPE_CHECKING:
    from sls_plugin.evaluation.robustness import ConditionResult

HELP = "score recordings clean and through codecs, noise and other channels, and compare the errors"

EPILOG = f"""\
examples:
  sls robustness checkpoint_best.pt DATA/eval.tsv --output robustness/
  sls robustness checkpoint_best.pt DATA/eval.tsv --output robustness/ \\
      --conditions gsm mp3_24 "office=noise:snr=10,dir=OFFICE | codec:opus,kbps=16"

conditions, which are the default:
{help_table(BATTERY)}

DIR/robustness.tsv, .json and .html have the results, DIR/scores/ a score file per condition. The
same command continues a run that was stopped. Channels: sls_plugin/README.md#channels.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls robustness`."""
    parser.epilog = EPILOG
    files = parser.add_argument_group("files")
    files.add_argument("checkpoint", metavar="CKPT", help="checkpoint of this project, or the authors' .pth")
    files.add_argument("manifest", metavar="MANIFEST", type=Path, help="trials of known label, such as DATA/eval.tsv")
    files.add_argument("--output", metavar="DIR", type=Path, required=True, help="folder to write to")
    parser.add_argument_group("channels").add_argument(
        "--conditions", metavar="NAME[=CHAIN]", nargs="+", default=list(BATTERY), help="some of the conditions below, or your own"
    )
    add_computing(parser)
    parser.add_argument_group("broken recordings").add_argument(
        "--skip-broken", action="store_true", help="leave recordings that cannot be read out of all conditions"
    )
    add_resampling(parser, default=1000)


def run(args: argparse.Namespace) -> int:
    """Score every condition, print the table, write it with its page."""
    chains = {CLEAN: None, **_chains(args.conditions)}
    keys = read_keys("labels", args.manifest, None)
    if len({trial.label for trial in keys.trials}) < 2:
        label = keys.trials[0].label
        raise DataError(f"{args.manifest}: all {len(keys.trials):,} trials are {label}: error rates need trials of both classes")
    score_files = {name: _score(args, name, chain) for name, chain in chains.items()}
    results = _results(score_files, keys, args)
    from sls_plugin.report.robustness_text import EXPLANATION, robustness_text

    print(robustness_text(results), textwrap.fill(EXPLANATION, WIDTH), sep="\n\n")
    _write(args, results, chains, keys)
    return 0


def _chains(conditions: Sequence[str]) -> dict[str, str]:
    """The chains by the names of their conditions; SettingError where a name is unknown or a chain wrong."""
    from sls_plugin.data.augmentation.chain import parse_chain

    chains = {}
    for condition in conditions:
        name, is_own, chain = condition.partition("=")
        if not is_own and name not in BATTERY:
            raise SettingError(f"--conditions {name}: no such condition: choose from {', '.join(BATTERY)}, or give NAME=CHAIN")
        if not name.replace("_", "").replace("-", "").isalnum() or name == CLEAN:
            raise SettingError(f"--conditions {condition}: a name has letters, digits, _ and -, and is not {CLEAN}")
        chains[name] = chain or BATTERY[name]
        parse_chain(chains[name])
    return chains


def _score(args: argparse.Namespace, name: str, chain: str | None) -> Path:
    from sls_plugin.inference.run import ScoringRun
    from sls_plugin.scores.score_file import errors_path

    output = args.output / "scores" / f"{name}.txt"
    output.parent.mkdir(parents=True, exist_ok=True)
    print(f"{name}{f': {chain}' if chain else ''}", file=sys.stderr)
    summary = ScoringRun(
        args.checkpoint, [args.manifest], output, batch_size=args.batch_size, device=args.device, num_workers=args.num_workers,
        channel=chain, skip_broken=args.skip_broken, resume=True, show_progress=True,
    ).run()  # fmt: skip
    if summary.n_scores == 0:
        raise DataError(f"{errors_path(output)}: no recording can be read: the reasons are in this file")
    return output


def _results(score_files: Mapping[str, Path], keys: Keys, args: argparse.Namespace) -> "list[ConditionResult]":
    from sls_plugin.evaluation.comparison import on_common_trials
    from sls_plugin.evaluation.evaluation import Bootstrap
    from sls_plugin.evaluation.robustness import compare_with_clean
    from sls_plugin.evaluation.scored_trials import read_scored_trials

    systems = on_common_trials([read_scored_trials(path, keys, args.skip_broken) for path in score_files.values()])
    bootstrap = Bootstrap(args.bootstrap, args.by_speaker) if args.bootstrap else None
    return compare_with_clean(dict(zip(score_files, systems, strict=True)), bootstrap)


def _write(
    args: argparse.Namespace, results: "Sequence[ConditionResult]", chains: Mapping[str, str | None], keys: Keys
) -> None:
    from sls_plugin.report.robustness_text import COLUMNS, as_row

    with replacing(args.output / "robustness.tsv") as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows([COLUMNS, *map(as_row, results)])
    with replacing(args.output / "robustness.json") as temporary:
        rows = [dict(zip(COLUMNS, as_row(result), strict=True)) | {"channel": chains[result.name]} for result in results]
        temporary.write_text(json.dumps({"trials": len(keys.trials), "conditions": rows}, indent=2) + "\n", encoding="utf-8")
    page = args.output / "robustness.html"
    try:
        from sls_plugin.report.robustness_page import robustness_page

        html = robustness_page(results, f"{args.checkpoint} on {len(keys.trials):,} trials of {args.manifest}.", "Robustness")
    except ModuleNotFoundError as error:
        if error.name not in ("matplotlib", "jinja2"):
            raise
        print(f"no page: no {error.name}: pip install 'sls-plugin[report]'", file=sys.stderr)
        return
    with replacing(page) as temporary:
        temporary.write_text(html, encoding="utf-8")
    print(f"page: {page}")
