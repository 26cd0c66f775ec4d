"""What a detector that fuses layers listens to: the mean weight of each layer, class by class."""

from collections.abc import Sequence

import numpy as np
import torch

from protocols import DataError, Trial

from .engine import ScoringEngine


@torch.inference_mode()
def mean_layer_weights(engine: ScoringEngine, trials: Sequence[Trial]) -> dict[str, np.ndarray]:
    """The mean weights of the layers, from the lowest on, over the trials of each class: bonafide, spoof, or unknown.

    Raises DataError when the engine's model has no layer weights, and on a recording that cannot be read.
    """
    model = engine.model
    if not hasattr(model, "layer_weights"):
        raise DataError(f"{type(model).__name__} weighs no layers: give a checkpoint of SLS")
    of_class: dict[str, list[np.ndarray]] = {}
    for batch, source in engine.batches(trials):
        weights = model.layer_weights(torch.stack(model.states(source))).float().cpu().numpy()  # L x B
        for trial, of_trial in zip(batch, weights.T, strict=True):
            of_class.setdefault(trial.label or "unknown", []).append(of_trial)
    return {label: np.mean(of_class[label], axis=0) for label in sorted(of_class)}
