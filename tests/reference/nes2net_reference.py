"""Nes2Net-X, written plainly in numpy from the paper's facts, float64: one clip, loops in place of layers."""

from collections.abc import Mapping

import numpy as np

Array = np.ndarray
EPSILON = 1e-5


def nes2net_x_head(weights: Mapping[str, Array], features: Array) -> Array:
    """Two logits of a clip's features, T x C."""
    prefix = "Nested_Res2Net_TDNN."
    w = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    chunks = np.split(features.T, 8)  # C/8 x T each
    outputs, before = [], None
    for i in range(7):
        s = chunks[i] if before is None else before + chunks[i]
        s = _block(w, f"Build_in_Res2Nets.{i}.", s)
        before = _norm(w, f"bns.{i}", np.maximum(s, 0))
        outputs.append(before)
    joined = np.concatenate([*outputs, chunks[7]])
    pooled = np.maximum(_norm(w, "bn", joined), 0).mean(axis=1)
    return w["fc.weight"] @ pooled + w["fc.bias"]


def _block(w: Mapping[str, Array], name: str, x: Array) -> Array:
    y = _norm(w, f"{name}bn1", np.maximum(_pointwise(w, f"{name}conv1", x), 0))
    groups = np.split(y, 8)
    columns, outputs = [groups[7]], []
    for i in range(7):
        columns.append(groups[i])
        columns = [
            _norm(w, f"{name}bns.{i}", np.maximum(_dilated(w[f"{name}convs.{i}.weight"], w[f"{name}convs.{i}.bias"], column), 0))
            for column in columns
        ]
        shares = w[f"{name}weighted_sum.{i}"].ravel()
        outputs.append(sum(share * column for share, column in zip(shares, columns, strict=True)))
    y = np.concatenate([*outputs, groups[7]])
    y = _norm(w, f"{name}bn3", np.maximum(_pointwise(w, f"{name}conv3", y), 0))
    squeezed = np.maximum(_pointwise(w, f"{name}se.se.1", y.mean(axis=1, keepdims=True)), 0)
    return x + y / (1 + np.exp(-_pointwise(w, f"{name}se.se.3", squeezed)))


def _pointwise(w: Mapping[str, Array], name: str, x: Array) -> Array:
    return w[f"{name}.weight"][:, :, 0] @ x + w[f"{name}.bias"][:, None]


def _dilated(weight: Array, bias: Array, x: Array) -> Array:
    """Three taps, two frames apart, zeros beyond both ends."""
    padded = np.pad(x, [(0, 0), (2, 2)])
    n_frames = x.shape[1]
    return bias[:, None] + sum(weight[:, :, tap, 0] @ padded[:, 2 * tap : 2 * tap + n_frames] for tap in range(3))


def _norm(w: Mapping[str, Array], name: str, x: Array) -> Array:
    mean, variance, scale, shift = (w[f"{name}.{part}"][:, None] for part in ("running_mean", "running_var", "weight", "bias"))
    return (x - mean) / np.sqrt(variance + EPSILON) * scale + shift
