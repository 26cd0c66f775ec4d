"""The Conformer head with temporal-channel modelling, written plainly in numpy from the paper's facts, float64, one clip."""

import math
from collections.abc import Mapping

import numpy as np

Array = np.ndarray
Weights = Mapping[str, Array]
N_HEADS = 4


def conformer_tcm_head(w: Weights, features: Array) -> Array:
    """Two logits of a clip's features, T x C."""
    x = _linear(w, "LL", features)
    mean, variance = w["first_bn.running_mean"][0], w["first_bn.running_var"][0]
    x = (x - mean) / math.sqrt(variance + 1e-5) * w["first_bn.weight"][0] + w["first_bn.bias"][0]
    x = 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))  # SELU
    for t in range(len(x)):
        for column in range(x.shape[1]):
            angle = t / 10_000 ** (2 * (column // 2) / x.shape[1])
            x[t, column] += math.cos(angle) if column % 2 else math.sin(angle)
    x = np.concatenate([w["conformer.class_token"], x])
    for number in range(4):
        x = _block(w, f"conformer.encoder_blocks.{number}.", x)
    return _linear(w, "conformer.fc5", x[0])


def _block(w: Weights, name: str, x: Array) -> Array:
    x = x + 0.5 * _feed_forward(w, f"{name}ff1.", x)
    x = x + _attention(w, f"{name}attn.fn.", _norm(w, f"{name}attn.norm", x))
    x = x + _convolution(w, f"{name}conv.net.", x)
    x = x + 0.5 * _feed_forward(w, f"{name}ff2.", x)
    return _norm(w, f"{name}post_norm", x)


def _feed_forward(w: Weights, name: str, x: Array) -> Array:
    hidden = _linear(w, f"{name}fn.fn.net.0", _norm(w, f"{name}fn.norm", x))
    return _linear(w, f"{name}fn.fn.net.3", hidden * _sigmoid(hidden))


def _attention(w: Weights, name: str, x: Array) -> Array:
    n_tokens, width = x.shape
    heads = []
    for head in range(N_HEADS):
        part = slice(head * width // N_HEADS, (head + 1) * width // N_HEADS)
        token = _linear(w, f"{name}ht_proj", x[:, part].mean(axis=0))
        token = np.concatenate([_gelu(_norm(w, f"{name}ht_norm", piece)) for piece in np.split(token, N_HEADS)])
        heads.append(token + w[f"{name}pos_embed"][0, head])
    x = np.concatenate([x, np.stack(heads)])
    q, k, v = np.split(x @ w[f"{name}qkv.weight"].T, 3, axis=1)
    outputs = []
    for head in range(N_HEADS):
        part = slice(head * width // N_HEADS, (head + 1) * width // N_HEADS)
        scores = q[:, part] @ k[:, part].T / math.sqrt(width // N_HEADS)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        outputs.append(shares / shares.sum(axis=1, keepdims=True) @ v[:, part])
    y = _linear(w, f"{name}proj", np.concatenate(outputs, axis=1))
    first = y[0] + y[n_tokens:].mean(axis=0) + y[1:n_tokens].mean(axis=0)
    return np.concatenate([first[None], y[1:n_tokens]])


def _convolution(w: Weights, name: str, x: Array) -> Array:
    y = _norm(w, f"{name}0", x) @ w[f"{name}2.weight"][:, :, 0].T + w[f"{name}2.bias"]
    values, gates = np.split(y, 2, axis=1)
    y = values * _sigmoid(gates)
    kernel = w[f"{name}4.conv.weight"][:, 0]
    padded = np.pad(y, [(15, 15), (0, 0)])
    y = np.stack([(padded[t : t + 31] * kernel.T).sum(axis=0) for t in range(len(y))]) + w[f"{name}4.conv.bias"]
    y = (y - w[f"{name}5.running_mean"]) / np.sqrt(w[f"{name}5.running_var"] + 1e-5) * w[f"{name}5.weight"] + w[f"{name}5.bias"]
    return (y * _sigmoid(y)) @ w[f"{name}7.weight"][:, :, 0].T + w[f"{name}7.bias"]


def _linear(w: Weights, name: str, x: Array) -> Array:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _norm(w: Weights, name: str, x: Array) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _gelu(x: Array) -> Array:
    return np.array([0.5 * value * (1 + math.erf(value / math.sqrt(2))) for value in x])
