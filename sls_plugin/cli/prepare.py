"""`sls prepare`: the official files of a corpus to a manifest."""

import argparse
import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from protocols import Trial, asvspoof2019, folder, write_manifest
from protocols.recordings import SAMPLE_RATE, with_durations
from protocols.trial import LABELS

HELP = "write the manifest of a corpus"

EPILOG = """\
examples:
  sls prepare asvspoof2019 --audio LA/ASVspoof2019_LA_train \\
      --protocol LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.train.trn.txt --dest DATA --split train
  sls prepare folder --audio recordings --dest DATA
"""

# A reader is given the options that its parameters name; those without a default are required.
CORPORA: dict[str, Callable[..., list[Trial]]] = {
    "asvspoof2019": asvspoof2019.read_trials,
    "folder": folder.read_trials,
}
READER_OPTIONS = ("audio", "protocol", "label", "allow_missing")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls prepare`."""
    parser.epilog = EPILOG
    parser.add_argument("corpus", metavar="CORPUS", choices=CORPORA, help=f"one of {', '.join(CORPORA)}")
    parser.add_argument("--audio", metavar="DIR", type=Path, required=True, help="folder of the recordings")
    parser.add_argument("--protocol", metavar="FILE", type=Path, help="the corpus's own list of trials")
    parser.add_argument("--dest", metavar="DATA", type=Path, required=True, help="folder of the manifest")
    parser.add_argument("--split", metavar="NAME", default="eval", help="train, dev or eval (default: %(default)s)")
    parser.add_argument("--label", choices=LABELS, help="the label of all recordings of a folder")
    parser.add_argument("--allow-missing", action="store_true", help="leave out trials without a recording")
    parser.add_argument("--no-durations", action="store_true", help="leave n_frames at 0 instead of reading headers")


def run(args: argparse.Namespace) -> int:
    """Write the manifest DATA/SPLIT.tsv and print one line that sums it up."""
    read_trials = CORPORA[args.corpus]
    trials = read_trials(**_reader_options(args, inspect.signature(read_trials).parameters))
    if not args.no_durations:
        trials = with_durations(trials)
    manifest = args.dest / f"{args.split}.tsv"
    write_manifest(manifest, trials)
    print(f"{_summary(trials)}: {manifest}")
    return 0


def _reader_options(args: argparse.Namespace, parameters: Mapping[str, inspect.Parameter]) -> dict[str, object]:
    """The options given for the reader; refuses one it does not take, asks for one it needs."""
    given = {name: getattr(args, name) for name in READER_OPTIONS if getattr(args, name)}
    for name in READER_OPTIONS:
        option = f"--{name.replace('_', '-')}"
        if name in given and name not in parameters:
            raise argparse.ArgumentError(None, f"{args.corpus} takes no {option}")
        if name not in given and name in parameters and parameters[name].default is inspect.Parameter.empty:
            raise argparse.ArgumentError(None, f"{args.corpus} needs {option}")
    return given


def _summary(trials: list[Trial]) -> str:
    """How many trials of which label, and how long they are together."""
    counts = Counter(trial.label for trial in trials)
    hours = sum(trial.n_frames for trial in trials) / SAMPLE_RATE / 3600
    unread = sum(trial.n_frames == 0 for trial in trials)
    return (
        f"{len(trials)} trials, {counts['bonafide']} bona fide, {counts['spoof']} spoof, {counts['']} unknown, "
        f"{hours:.2f} hours" + (f" ({unread} of unknown length)" if unread else "")
    )
