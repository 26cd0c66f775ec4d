"""`sls prepare`: the official files of a corpus to a manifest."""

import argparse
from collections import Counter, defaultdict
from pathlib import Path

from protocols import DataError, Trial, write_manifest
from protocols.audio_format import SAMPLE_RATE
from protocols.corpora import CORPORA, canonical_name
from protocols.corpus import Reader
from protocols.recordings import MissingRecordings, with_durations
from protocols.trial import LABELS
from sls_plugin.cli.common import help_table, positive

HELP = "write the manifest of a corpus"

EXAMPLES = """\
examples:
  sls prepare asvspoof2019-la --audio LA/ASVspoof2019_LA_train --dest DATA --split train \\
      --protocol LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.train.trn.txt
  sls prepare asvspoof2021-df --audio ASVspoof2021_DF_eval --keys DF-keys --dest DATA
  sls prepare in-the-wild --audio release_in_the_wild --dest DATA --check
  sls prepare folder --audio recordings --dest DATA
"""

READER_OPTIONS = ("protocol", "keys", "label", "allow_missing")  # beside --audio, which every reader takes


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
    trials, note = _read_trials(args)
    if args.limit:
        trials = _first_of_each_class(trials, args.limit)
    if not args.no_durations:
        trials = with_durations(trials)
    manifest = args.dest / f"{args.split}.tsv"
    write_manifest(manifest, trials)
    print(f"{_summary(trials)}{note}: {manifest}")
    return 0


def _read_trials(args: argparse.Namespace) -> tuple[list[Trial], str]:
    """All trials of the corpus, and a note on their number."""
    corpus = CORPORA[args.corpus]
    options = _reader_options(args, corpus.reader)
    listed_in = args.protocol or args.keys or args.audio
    published = corpus.published_count(args.audio, args.protocol)
    if args.check and not published:
        raise argparse.ArgumentError(None, f"--check: no count is published of {args.corpus} as listed in {listed_in}")
    try:
        trials = corpus.reader.read(audio=args.audio, **options)
    except MissingRecordings as missing:
        if not published or missing.n_listed != published.n_trials:
            raise
        raise DataError(f"{missing}; {published.unpacking_fault(missing.n_missing)}") from None
    deviation = published.deviation(trials) if published else ""
    if args.check and deviation:
        raise DataError(f"{listed_in}: {deviation}: give the official list and all its recordings, or leave out --check")
    return trials, f" ({deviation})" if deviation else " (as published)" if args.check else ""


def _reader_options(args: argparse.Namespace, reader: Reader) -> dict[str, object]:
    """The options given for the reader; ArgumentError on one that it does not take, and without one that it needs."""
    given = {name: value for name in READER_OPTIONS if (value := getattr(args, name))}
    for name in given:
        if name not in reader.options:
            raise argparse.ArgumentError(None, f"{args.corpus} takes no {_flag(name)}")
    for name in reader.required:
        if name not in given:
            raise argparse.ArgumentError(None, f"{args.corpus} needs {_flag(name)}")
    if reader.one_of and not given.keys() & set(reader.one_of):
        raise argparse.ArgumentError(None, f"{args.corpus} needs {', '.join(map(_flag, reader.one_of))} or both")
    return given


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _first_of_each_class(trials: list[Trial], limit: int) -> list[Trial]:
    """The first trials of each label, unknown ones being a class of their own, in the order of the corpus."""
    taken: dict[str, int] = defaultdict(int)
    first = []
    for trial in trials:
        if taken[trial.label] < limit:
            taken[trial.label] += 1
            first.append(trial)
    return first


def _summary(trials: list[Trial]) -> str:
    """How many trials of which label, and how long they are together."""
    counts = Counter(trial.label for trial in trials)
    hours = sum(trial.n_frames for trial in trials) / SAMPLE_RATE / 3600
    unread = sum(trial.n_frames == 0 for trial in trials)
    return (
        f"{len(trials)} trials, {counts['bonafide']} bona fide, {counts['spoof']} spoof, {counts['']} unknown, "
        f"{hours:.2f} hours" + (f" ({unread} of unknown length)" if unread else "")
    )
