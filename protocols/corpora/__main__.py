"""`python -m protocols.corpora TRACK`: what a recipe needs to know of the corpus that it scores, as shell variables."""

import argparse
import shlex
import sys

from protocols.corpora import CORPORA, canonical_name


def main() -> int:
    """Print the variables for a shell to evaluate; or, with status 2, one line that says why there are none."""
    parser = argparse.ArgumentParser(prog="python -m protocols.corpora", description="Print what a track needs.")
    parser.add_argument("track", metavar="TRACK", help="a corpus that recipes score, such as asvspoof2021-la")
    name = parser.parse_args().track
    corpus = CORPORA.get(canonical_name(name))
    if corpus is None or corpus.track is None:
        names = (corpus.name for corpus in CORPORA.values() if corpus.track)
        print(f"unknown track '{name}': choose from {', '.join(names)}")
        return 2
    variables = {
        "track_corpus": corpus.name,
        "track_audio_name": corpus.track.audio,
        "track_list_name": corpus.track.protocol,
        "track_keys_name": corpus.track.keys,
    }
    for variable, value in variables.items():
        print(f"{variable}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
