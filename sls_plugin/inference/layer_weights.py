"""What a detector that fuses layers listens to: the mean weight of each layer, class by class."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from protocols import DataError, Trial
from sls_plugin.inference.engine import ScoringEngine


@torch.inference_mode()
def mean_layer_weights(engine: ScoringEngine, trials: Sequence[Trial]) -> dict[str, np.ndarray]:
    """The mean weights of the layers, from the lowest on, over the trials of each class: bonafide, spoof, or unknown.

    Raises DataError when the engine's model has no layer weights, on a recording that cannot be read, and on NaN.
    """
    model = engine.model
    if not hasattr(model, "layer_weights"):
        raise DataError(f"{type(model).__name__} weighs no layers: give a checkpoint of SLS")
    if not model.weighs_layers:
        raise DataError(
            f"SLS with --layer-fusion {model.layer_fusion} weighs no layers: give a checkpoint trained with gate or softmax"
        )
    sums: dict[str, np.ndarray] = {}
    n_trials: Counter[str] = Counter()
    for batch, source, _ in engine.batches(trials):
        weights = model.layer_weights(model.states(source)).double().cpu().numpy()  # L x B
        for trial, of_trial in zip(batch, weights.T, strict=True):
            if np.isnan(of_trial).any():
                raise DataError(
                    f"{trial.audio}: trial {trial.id}: the layers' weights are NaN: look for damage with "
                    "`python -m fairseq_ckpt verify` on the checkpoint"
                )
            label = trial.label or "unknown"
            sums[label] = sums.get(label, 0.0) + of_trial
            n_trials[label] += 1
    return {label: sums[label] / n_trials[label] for label in sorted(sums)}
