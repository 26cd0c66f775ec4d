"""Split the trials of MLAAD, DATA/mlaad.tsv, into mlaad_train.tsv and mlaad_dev.tsv so that no architecture is in both.

python recipes/prosody/split_mlaad.py DATA
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from protocols import DataError, Trial, read_manifest, write_manifest

EVERY = 5  # of the architectures in alphabetical order, each fifth is heard in validation alone
MOST = 20  # trials of each model and language in dev: enough for its error rate, which is measured 50 times


def main() -> int:
    """Exit status 0, or 1 where there is nothing to split."""
    (data,) = map(Path, sys.argv[1:])
    try:
        train, dev = split(read_manifest(data / "mlaad.tsv"))
        write_manifest(data / "mlaad_train.tsv", train)
        write_manifest(data / "mlaad_dev.tsv", dev)
    except DataError as error:
        print(f"split_mlaad.py: error: {error}", file=sys.stderr)
        return 1
    print(f"{len(train):,} trials of {_count(train)} architectures to train on, {len(dev):,} of {_count(dev)} others for dev")
    return 0


def split(trials: Sequence[Trial]) -> tuple[list[Trial], list[Trial]]:
    """Trials to train on and for validation; a synthesis model without a named architecture is one of its own."""
    of_dev = set(sorted({_architecture(trial) for trial in trials})[::EVERY])
    train, dev, taken = [], [], Counter()
    for trial in trials:
        if _architecture(trial) not in of_dev:
            train.append(trial)
        elif taken[model := (trial.facts["language"], trial.facts["attack"])] < MOST:
            taken[model] += 1
            dev.append(trial)
    return train, dev


def _architecture(trial: Trial) -> str:
    return trial.facts.get("architecture") or trial.facts["attack"]


def _count(trials: Sequence[Trial]) -> int:
    return len({_architecture(trial) for trial in trials})


if __name__ == "__main__":
    sys.exit(main())
