"""Check that a run on a few clips has learnt: pass or FAIL for each of three things that must happen.

python -m recipes.experiments.sanity.checks RUN START    (folders of the run and of the weights that it started from)
"""

import csv
import json
import sys
from pathlib import Path

from recipes.tools.training_log import read_log

MAX_EER = 0.05
MAX_LOSS_RATIO = 0.5  # last to first epoch
MIN_CHANGE = 0.001  # of the mean weight of a layer, which lies between 0 and 1


def main(run: Path, start: Path) -> int:
    """Exit status 1 when a check fails."""
    outcomes = (loss_falls(run), layer_weights_change(run, start), training_clips_are_separated(run))
    for passed, fact in outcomes:
        print(f"{'pass' if passed else 'FAIL'}  {fact}")
    return int(not all(passed for passed, _ in outcomes))


def loss_falls(run: Path) -> tuple[bool, str]:
    losses = [record["loss"] for record in read_log(run) if record.get("split") == "train"]
    fact = f"the training loss falls below half: {losses[0]:.4f} in the first epoch, {losses[-1]:.4f} in the last"
    return losses[-1] < MAX_LOSS_RATIO * losses[0], fact


def layer_weights_change(run: Path, start: Path) -> tuple[bool, str]:
    before, after = layer_weights(start), layer_weights(run)
    changes = {layer: max(abs(b - a) for a, b in zip(before[layer], after[layer], strict=True)) for layer in before}
    layer = max(changes, key=lambda name: changes[name])
    return changes[layer] > MIN_CHANGE, f"the layer weights change: that of layer {layer} by {changes[layer]:.4f}"


def layer_weights(folder: Path) -> dict[str, list[float]]:
    """The mean weights of each layer, one per class, as `sls explain` writes them."""
    with open(folder / "layers.tsv", encoding="utf-8") as file:
        _, *rows = csv.reader(file, delimiter="\t")
    return {layer: [float(weight) for weight in weights] for layer, *weights in rows}


def training_clips_are_separated(run: Path) -> tuple[bool, str]:
    eer = json.loads((run / "scores" / "train.json").read_text())["eer"]
    return eer < MAX_EER, f"the EER of the training clips is below {100 * MAX_EER:.0f} %: {100 * eer:.2f} %"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
