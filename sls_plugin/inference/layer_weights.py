"""The mean weight of each backbone layer in a detector's output, by class."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from protocols import DataError, Trial
from sls_plugin.inference.engine import ScoringEngine


@torch.inference_mode()
def mean_layer_weights(engine: ScoringEngine, trials: Sequence[Trial]) -> dict[str, np.ndarray]:
    """The mean weights of the layers, from the lowest up, over the trials of each class: bonafide, spoof, or unknown.

    Raises DataError when the engine's model has no layer weights, on a recording that cannot be read, and on NaN.
    """
    sums: dict[str, np.ndarray] = {}
    n_trials: Counter[str] = Counter()
    for batch, source, _ in engine.batches(trials):
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
