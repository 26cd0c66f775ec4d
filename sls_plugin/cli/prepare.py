"""`sls prepare`: the official files of a corpus to a manifest."""

import argparse
from collections import Counter
from pathlib import Path

from protocols import Trial, write_manifest
from protocols.audio_format import SAMPLE_RATE
from protocols.corpora import CORPORA, canonical_name
from protocols.preparation import OPTIONS, first_of_each_class, read_corpus
from protocols.recordings import with_durations
from protocols.trial import LABELS
from sls_plugin.cli.common import help_table, positive
from sls_plugin.scores.outputs import refuse_inputs

HELP = "write the manifest of a corpus"

EXAMPLES = """\
examples:
  sls prepare asvspoof2019-la --audio LA/ASVspoof2019_LA_train --dest DATA --split train \\
      --protocol LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.train.trn.txt
  sls prepare asvspoof2021-df --audio ASVspoof2021_DF_eval --keys DF-keys --dest DATA
  sls prepare in-the-wild --audio release_in_the_wild --dest DATA --check
  sls prepare folder --audio recordings --dest DATA
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls prepare`."""
    files = {name: corpus.reader.files for name, corpus in CORPORA.items() if corpus.reader}
    parser.epilog = f"what lists the trials of each CORPUS, besides --audio:\n{help_table(files)}\n\n{EXAMPLES}"
    corpus = parser.add_argument_group("the corpus")
    corpus.add_argument("corpus", metavar="CORPUS", type=canonical_name, choices=files, help=f"one of {', '.join(files)}")
    corpus.add_argument("--audio", metavar="DIR", type=Path, required=True, help="folder of the recordings")
    corpus.add_argument("--protocol", metavar="FILE", type=Path, help="official list of the trials")
    corpus.add_argument("--keys", metavar="DIR", type=Path, help="official labels: key file, or a folder that contains it")
    corpus.add_argument("--label", choices=LABELS, help="label of all recordings of a folder")
    manifest = parser.add_argument_group("the manifest")
    manifest.add_argument("--dest", metavar="DATA", type=Path, required=True, help="folder of the manifest")
    manifest.add_argument("--split", metavar="NAME", default="eval", help="train, dev or eval (default: %(default)s)")
    manifest.add_argument("--limit", metavar="N", type=positive, help="keep the first N trials of each class, for a trial run")
    manifest.add_argument("--no-durations", action="store_true", help="leave n_frames at 0, and read no recording")
    checks = parser.add_argument_group("checks")
    checks.add_argument("--allow-missing", action="store_true", help="leave out trials without a recording")
    checks.add_argument("--check", action="store_true", help="fail unless the numbers of trials are the published ones")


def run(args: argparse.Namespace) -> int:
    """Write the manifest DATA/SPLIT.tsv and print one line that sums it up."""
    if not args.split or Path(args.split).name != args.split:
        raise argparse.ArgumentError(None, f"--split {args.split!r}: give a plain name, such as train, dev or eval")
    manifest = args.dest / f"{args.split}.tsv"
    refuse_inputs(manifest, filter(None, (args.protocol, args.keys)))
    options = {name: value for name in OPTIONS if (value := getattr(args, name))}
    trials, note = read_corpus(CORPORA[args.corpus], args.audio, options, args.check)
    if args.limit:
        trials = first_of_each_class(trials, args.limit)
    if not args.no_durations:
        trials = with_durations(trials)
    write_manifest(manifest, trials)
    print(f"{_summary(trials)}{note}: {manifest}")
    return 0


def _summary(trials: list[Trial]) -> str:
    """How many trials of which label, and how long they are together."""
    counts = Counter(trial.label for trial in trials)
    hours = sum(trial.n_frames for trial in trials) / SAMPLE_RATE / 3600
    unread = sum(trial.n_frames == 0 for trial in trials)
    return (
        f"{len(trials)} trials, {counts['bonafide']} bona fide, {counts['spoof']} spoof, {counts['']} unknown, "
        f"{hours:.2f} hours" + (f" ({unread} of unknown length)" if unread else "")
    )
