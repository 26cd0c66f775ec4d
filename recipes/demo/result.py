"""Print the EER of the demo on the kinds of spoof seen in training and on unseen ones.

python recipes/demo/result.py DATA SCORES    (DATA holds train.tsv and eval.tsv)
"""

import sys
from pathlib import Path

import numpy as np

from protocols import read_manifest
from sls_plugin.metrics.det import equal_error_rate
from sls_plugin.scores.score_file import read_scores


def main(data: Path, score_file: Path) -> None:
    scores = read_scores(score_file)
    training_attacks = {trial.facts.get("attack") for trial in read_manifest(data / "train.tsv") if trial.label == "spoof"}
    bonafide, seen, unseen = [], [], []
    for trial in read_manifest(data / "eval.tsv"):
        spoof = seen if trial.facts.get("attack") in training_attacks else unseen
        (bonafide if trial.label == "bonafide" else spoof).append(scores[trial.id])
    for name, spoof in (("all", seen + unseen), ("seen in training", seen), ("unseen", unseen)):
        if spoof:
            eer, _ = equal_error_rate(np.array(bonafide), np.array(spoof))
            print(f"EER {100 * eer:6.2f} %  {name}: {len(bonafide)} bona fide, {len(spoof)} spoof")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
