"""`sls submit`: scores to the files that a leaderboard takes."""

import argparse
import sys
from pathlib import Path

from protocols.keys import read_keys
from sls_plugin.cli.common import add_corpus
from sls_plugin.scores.outputs import refuse_inputs, require_free

HELP = "write scores in the format of a leaderboard"

LEADERBOARDS = ("speech-df-arena", "anti-spoofing-arena", "asvspoof5")

EPILOG = """\
examples:
  sls submit anti-spoofing-arena la.txt --corpus asvspoof2021-la --keys keys --output arena/
  sls submit speech-df-arena wild.txt --corpus in-the-wild --keys meta.csv --output scores/ours/
  sls submit asvspoof5 scores.txt --keys ASVspoof5.eval.track_1.tsv --output submission/

what is written for each leaderboard:
  speech-df-arena      SET.txt with a line `id score` per trial, and SET.csv with their labels
  anti-spoofing-arena  SET/scores.txt, and SET/submission.yaml with its EER and hash; all phases
  asvspoof5            score.tsv with the columns filename and cm-score, and submission.zip

Every trial of the keys needs one score, finite and higher for bona fide speech. `sls evaluate`
reads the files back. Of a corpus without official keys give a manifest as --keys, and --set.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls submit`."""
    parser.epilog = EPILOG
    files = parser.add_argument_group("files")
    files.add_argument(
        "leaderboard", metavar="LEADERBOARD", choices=LEADERBOARDS, help=f"one of {', '.join(LEADERBOARDS)}"
    )
    files.add_argument("scores", metavar="SCORES", type=Path, help="score file of one corpus")
    files.add_argument("--keys", metavar="PATH", type=Path, required=True, help="key file, or a folder that contains it")
    add_corpus(files, default=None)
    files.add_argument("--output", metavar="DIR", type=Path, required=True, help="folder to write to")
    files.add_argument("--overwrite", action="store_true", help="replace files that exist")
    trials = parser.add_argument_group("trials")
    trials.add_argument("--set", metavar="NAME", help="name of the corpus on the leaderboard (default: that of --corpus)")
    trials.add_argument("--negate", action="store_true", help="negate all scores, if higher means more spoof")


def run(args: argparse.Namespace) -> int:
    """Check the scores, write the files, and say what to do with them."""
    from sls_plugin.evaluation.scored_trials import read_scored_trials
    from sls_plugin.evaluation.submission import LEADERBOARDS, require_right_sign, submission_files, write_files

    leaderboard = LEADERBOARDS[args.leaderboard]
    corpus = args.corpus or ("asvspoof5" if args.leaderboard == "asvspoof5" else "labels")
    set_name = leaderboard.set_name(corpus, args.set)
    keys = read_keys(corpus, args.keys, leaderboard.phase)
    scored = read_scored_trials(args.scores, keys, negate=args.negate)
    require_right_sign(args.scores, scored, args.negate)
    files = submission_files(leaderboard, scored, set_name)
    paths = [args.output / name for name in files]
    for path in paths:
        refuse_inputs(path, (args.scores, *keys.files))
        require_free(path, args.overwrite)
    write_files(args.output, files)

    n_trials, n_expected = len(scored.trials), leaderboard.n_trials(set_name)
    if n_expected not in (None, n_trials):
        what = f"the keys have {n_trials:,} trials, and {set_name} has {n_expected:,}"
        print(f"sls submit: warning: {what}: the leaderboard will refuse the files", file=sys.stderr)
    print(f"{set_name} of {leaderboard.title}: {n_trials:,} trials, {leaderboard.figures(scored)}")
    for path in paths:
        print(f"written: {path}")
    print(f"next: {leaderboard.next_step}")
    return 0
