"""The mean weight of each backbone layer in a detector's output, by class."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from protocols import DataError, Trial
from protocols.files import replacing
from sls_plugin.inference.device import usable_device
from sls_plugin.inference.engine import ScoringEngine
from sls_plugin.inference.load import load_detector


def layer_weights_of(
    checkpoint: str | Path, trials: Sequence[Trial], batch_size: int = 8, device: str | None = None, num_workers: int = 2
) -> dict[str, np.ndarray]:
    """`mean_layer_weights` of a checkpoint, on the best device there is unless one is named.

    Raises CheckpointError on a file that is no detector, and DataError as `mean_layer_weights` does.
    """
    device = usable_device(device)
    detector = load_detector(checkpoint)
    engine = ScoringEngine(
        detector.model,
        detector.segment,
        device=device,
        dtype=torch.float32,
        batch_size=batch_size,
        num_workers=num_workers,
    )
    return mean_layer_weights(engine, trials)


@torch.inference_mode()
def mean_layer_weights(engine: ScoringEngine, trials: Sequence[Trial]) -> dict[str, np.ndarray]:
    """The mean weights of the layers, from the lowest up, over the trials of each class: bonafide, spoof, or unknown.

    Raises DataError when the engine's model has no layer weights, on a recording that cannot be read, and on NaN.
    """
    sums: dict[str, np.ndarray] = {}
    n_trials: Counter[str] = Counter()
    for batch, source, *_ in engine.batches(trials):
        _, weights = engine.model.forward_with_layer_weights(source)  # L x B
        if weights is None:
            name = type(engine.model).__name__
            raise DataError(f"this {name} has no layer weights: give a checkpoint of SLS with --layer-fusion gate or softmax")
        for trial, trial_weights in zip(batch, weights.T.double().cpu().numpy(), strict=True):
            if np.isnan(trial_weights).any():
                raise DataError(
                    f"{trial.audio}: trial {trial.id}: the layer weights are NaN: check for damage with "
                    "`python -m fairseq_ckpt verify` on the checkpoint"
                )
            label = trial.label or "unknown"
            sums[label] = sums.get(label, 0.0) + trial_weights
            n_trials[label] += 1
    return {label: sums[label] / n_trials[label] for label in sorted(sums)}


def write_layer_weights(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Write a tab-separated table, a row per layer and a column per class."""
    lines = ["\t".join(("layer", *weights))]
    for layer, row in enumerate(zip(*(class_weights.tolist() for class_weights in weights.values()), strict=True)):
        lines.append("\t".join(map(repr, (layer, *row))))
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
