"""MHFA, written plainly in numpy from the paper's facts, float64: one clip, loops in place of layers."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

Array = np.ndarray


def mhfa_head(weights: Mapping[str, Array], states: Sequence[Array]) -> Array:
    """Two logits of a clip's hidden states, each T x C."""
    w = {name.removeprefix("mhfa."): tensor for name, tensor in weights.items()}
    n_frames = len(states[0])
    keys, values = [], []
    for frame in range(n_frames):
        for name, found in (("k", keys), ("v", values)):
            powers = [math.exp(weight) for weight in w[f"weights_{name}"]]
            fused = sum(power / sum(powers) * state[frame] for power, state in zip(powers, states, strict=True))
            found.append(w[f"cmp_linear_{name}.weight"] @ fused + w[f"cmp_linear_{name}.bias"])
    pooled = []
    for row, bias in zip(w["att_head.weight"], w["att_head.bias"], strict=True):
        powers = [math.exp(row @ key + bias) for key in keys]
        pooled.append(sum(power / sum(powers) * value for power, value in zip(powers, values, strict=True)))
    embedding = w["pooling_fc.weight"] @ np.concatenate(pooled) + w["pooling_fc.bias"]
    return w["output.weight"] @ embedding + w["output.bias"]
