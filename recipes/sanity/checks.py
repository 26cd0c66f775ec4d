"""Say of a run on few clips whether training works: pass or fail for each of three things that must happen.

python recipes/sanity/checks.py RUN START    (folders of the run and of the weights that it began with)
"""

import csv
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from training_log import read_log

HIGHEST_EER = 0.05
LEAST_FALL = 0.5  # of the loss of the first epoch
LEAST_MOVE = 0.001  # of the mean weight of a layer, which is between 0 and 1


def main(run: Path, start: Path) -> int:
    """Exit status 1 when a check fails."""
    outcomes = (loss_falls(run), layer_weights_move(run, start), clips_are_told_apart(run))
    for passed, fact in outcomes:
        print(f"{'pass' if passed else 'FAIL'}  {fact}")
    return int(not all(passed for passed, _ in outcomes))


def loss_falls(run: Path) -> tuple[bool, str]:
    losses = [record["loss"] for record in read_log(run) if record.get("split") == "train"]
    fact = f"the training loss falls below half: {losses[0]:.4f} in the first epoch, {losses[-1]:.4f} in the last"
    return losses[-1] < LEAST_FALL * losses[0], fact


def layer_weights_move(run: Path, start: Path) -> tuple[bool, str]:
    before, after = layer_weights(start), layer_weights(run)
    moves = {layer: max(abs(b - a) for a, b in zip(before[layer], after[layer], strict=True)) for layer in before}
    layer = max(moves, key=lambda name: moves[name])
    return moves[layer] > LEAST_MOVE, f"the layer weights move from their start: that of layer {layer} by {moves[layer]:.4f}"


def layer_weights(folder: Path) -> dict[str, list[float]]:
    """The mean weights of each layer, class by class, as `sls explain` wrote them."""
    with open(folder / "layers.tsv", encoding="utf-8") as file:
        _, *rows = csv.reader(file, delimiter="\t")
    return {layer: [float(weight) for weight in weights] for layer, *weights in rows}


def clips_are_told_apart(run: Path) -> tuple[bool, str]:
    eer = json.loads((run / "scores" / "train.json").read_text())["eer"]
    return eer < HIGHEST_EER, f"the EER of the clips trained on is below {100 * HIGHEST_EER:.0f} %: {100 * eer:.2f} %"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
