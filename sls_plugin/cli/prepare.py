"""`sls prepare`: the official files of a corpus to a manifest."""

import argparse
import inspect
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from protocols import (
    DataError,
    Trial,
    asvspoof5,
    asvspoof2019,
    asvspoof2021,
    brspeech_df,
    folder,
    in_the_wild,
    librispeech,
    mlaad,
    trial_list,
    write_manifest,
)
from protocols.published_counts import published_count
from protocols.recordings import SAMPLE_RATE, MissingRecordings, with_durations
from protocols.trial import LABELS

from .arguments import positive

HELP = "write the manifest of a corpus"

EPILOG = """\
what tells the trials of each CORPUS, besides --audio:
  asvspoof2019     --protocol ASVspoof2019.{LA,PA}.cm.{train.trn,dev.trl,eval.trl}.txt
  asvspoof2021-la  --protocol ASVspoof2021.LA.cm.eval.trl.txt, which has no labels, or
                   --keys DIR, the unpacked key package (keys/LA/CM/trial_metadata.txt), or both
  asvspoof2021-df  the same for DF
  asvspoof5        --protocol ASVspoof5.{train,dev.track_1,eval.track_1}.tsv
  in-the-wild      meta.csv beside the recordings; or else --keys FILE (meta.csv or the SLS
                   authors' in_the_wild_key.txt), --protocol in_the_wild.eval.txt, or both
  mlaad            fake/LANGUAGE/MODEL/meta.csv below --audio
  librispeech      SPEAKER/CHAPTER/*.flac below --audio, the folder of a subset such as test-clean
  brspeech-df      --protocol FILE, a line `path label` each; or else subfolders bonafide and spoof
  list             --protocol FILE, a line `path label` or `path` each
  folder           every recording below --audio; its label is told by subfolders bonafide and
                   spoof, or by --label, or unknown

examples:
  sls prepare asvspoof2019 --audio LA/ASVspoof2019_LA_train --dest DATA --split train \\
      --protocol LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.train.trn.txt
  sls prepare asvspoof2021-df --audio ASVspoof2021_DF_eval --keys DF-keys --dest DATA
  sls prepare in-the-wild --audio release_in_the_wild --dest DATA --check
  sls prepare folder --audio recordings --dest DATA
"""

# A reader is given the options that its parameters name; those without a default are required.
CORPORA: dict[str, Callable[..., list[Trial]]] = {
    "asvspoof2019": asvspoof2019.read_trials,
    "asvspoof2021-la": asvspoof2021.read_la_trials,
    "asvspoof2021-df": asvspoof2021.read_df_trials,
    "asvspoof5": asvspoof5.read_trials,
    "in-the-wild": in_the_wild.read_trials,
    "mlaad": mlaad.read_trials,
    "librispeech": librispeech.read_trials,
    "brspeech-df": brspeech_df.read_trials,
    "list": trial_list.read_trials,
    "folder": folder.read_trials,
}
PROTOCOL_OR_KEYS = ("asvspoof2021-la", "asvspoof2021-df")  # these need one of the two, and take both
READER_OPTIONS = ("audio", "protocol", "keys", "label", "allow_missing")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls prepare`."""
    parser.epilog = EPILOG
    parser.add_argument("corpus", metavar="CORPUS", choices=CORPORA, help=f"one of {', '.join(CORPORA)}")
    parser.add_argument("--audio", metavar="DIR", type=Path, required=True, help="folder of the recordings")
    parser.add_argument("--protocol", metavar="FILE", type=Path, help="the corpus's own list of trials")
    parser.add_argument("--keys", metavar="DIR", type=Path, help="the labels: a key file, or a folder that holds it")
    parser.add_argument("--dest", metavar="DATA", type=Path, required=True, help="folder of the manifest")
    parser.add_argument("--split", metavar="NAME", default="eval", help="train, dev or eval (default: %(default)s)")
    parser.add_argument("--label", choices=LABELS, help="the label of all recordings of a folder")
    parser.add_argument("--allow-missing", action="store_true", help="leave out trials without a recording")
    parser.add_argument("--check", action="store_true", help="refuse other numbers of trials than the published ones")
    parser.add_argument("--limit", metavar="N", type=positive, help="the first N trials of each class, for a trial run")
    parser.add_argument("--no-durations", action="store_true", help="leave n_frames at 0 instead of reading headers")


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
    """All trials of the corpus, and what to say of their number."""
    read_trials = CORPORA[args.corpus]
    options = _reader_options(args, inspect.signature(read_trials).parameters)
    listed_in = args.protocol or args.keys or args.audio
    published = published_count(args.corpus, args.audio, args.protocol)
    if args.check and not published:
        raise argparse.ArgumentError(None, f"--check: no count is published of {args.corpus} as listed in {listed_in}")
    try:
        trials = read_trials(**options)
    except MissingRecordings as missing:
        if not published or missing.n_listed != published.n_trials:
            raise
        raise DataError(f"{missing}; {published.unpacking_fault(missing.n_missing)}") from None
    deviation = published.deviation(trials) if published else ""
    if args.check and deviation:
        raise DataError(f"{listed_in}: {deviation}: give the official list and all its recordings, or leave out --check")
    return trials, f" ({deviation})" if deviation else " (as published)" if args.check else ""


def _reader_options(args: argparse.Namespace, parameters: Mapping[str, inspect.Parameter]) -> dict[str, object]:
    """The options given for the reader; refuses one it does not take, asks for one it needs."""
    given = {name: getattr(args, name) for name in READER_OPTIONS if getattr(args, name)}
    for name in READER_OPTIONS:
        option = f"--{name.replace('_', '-')}"
        if name in given and name not in parameters:
            raise argparse.ArgumentError(None, f"{args.corpus} takes no {option}")
        if name not in given and name in parameters and parameters[name].default is inspect.Parameter.empty:
            raise argparse.ArgumentError(None, f"{args.corpus} needs {option}")
    if args.corpus in PROTOCOL_OR_KEYS and not ("protocol" in given or "keys" in given):
        raise argparse.ArgumentError(None, f"{args.corpus} needs --protocol, --keys or both")
    return given


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
