"""Split the trials of MLAAD, DATA/mlaad.tsv, into mlaad_train.tsv and mlaad_dev.tsv so that no architecture is in both.

python -m recipes.experiments.prosody.split_mlaad DATA
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from protocols import Trial, read_manifest, write_manifest
from recipes.tools.command import exit_status

DEV_EVERY = 5  # every fifth architecture in alphabetical order is for validation
MAX_DEV_TRIALS = 20  # of each model and language: enough for an error rate that is measured 50 times


def write_split(data: Path) -> None:
    """Write both manifests. Raises DataError when there is nothing to split."""
    train, dev = split(read_manifest(data / "mlaad.tsv"))
    write_manifest(data / "mlaad_train.tsv", train)
    write_manifest(data / "mlaad_dev.tsv", dev)
    for name, trials in (("train", train), ("dev", dev)):
        print(f"{name}: {len(trials):,} trials, {len(set(map(_architecture, trials)))} architectures")


def split(trials: Sequence[Trial]) -> tuple[list[Trial], list[Trial]]:
    """Trials for training and for validation; a synthesis model of unnamed architecture counts as one of its own."""
    dev_architectures = set(sorted(set(map(_architecture, trials)))[::DEV_EVERY])
    train, dev, n_dev = [], [], Counter()
    for trial in trials:
        if _architecture(trial) not in dev_architectures:
            train.append(trial)
        elif n_dev[model := (trial.facts["language"], trial.facts["attack"])] < MAX_DEV_TRIALS:
            n_dev[model] += 1
            dev.append(trial)
    return train, dev


def _architecture(trial: Trial) -> str:
    return trial.facts.get("architecture") or trial.facts["attack"]


if __name__ == "__main__":
    sys.exit(exit_status("split_mlaad.py", write_split, Path(sys.argv[1])))
