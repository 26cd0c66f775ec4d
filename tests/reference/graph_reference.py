"""AASIST, RawGAT-ST, RawNet2 and XLS-R + AASIST in evaluation, one clip at a time, with loops over taps, nodes and steps.

In float64 numpy, from the published tensors by name; nothing here is meant to be fast.
"""

import math
from collections.abc import Mapping

import numpy as np

Array = np.ndarray
Weights = Mapping[str, Array]


# The layers


def selu(x: Array) -> Array:
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return scale * np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))


def leaky_relu(x: Array) -> Array:
    return np.where(x > 0, x, 0.3 * x)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def linear(w: Weights, name: str, x: Array) -> Array:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def norm(w: Weights, name: str, x: Array, axis: int = 0) -> Array:
    """Batch norm with its running statistics; the channels lie on `axis`."""
    shape = [-1 if number == axis else 1 for number in range(x.ndim)]
    mean, var, weight, bias = (w[f"{name}.{key}"].reshape(shape) for key in ("running_mean", "running_var", "weight", "bias"))
    return (x - mean) / np.sqrt(var + 1e-5) * weight + bias


def conv(w: Weights, name: str, x: Array, pad: tuple[int, int]) -> Array:
    """Convolution of an image, channels x height x width; a one-dimensional one has height 1."""
    weight = w[f"{name}.weight"]
    if weight.ndim == 3:
        weight = weight[:, :, np.newaxis, :]
    height, width = weight.shape[2:]
    x = np.pad(x, ((0, 0), (pad[0], pad[0]), (pad[1], pad[1])))
    out_height, out_width = x.shape[1] - height + 1, x.shape[2] - width + 1
    out = np.zeros((weight.shape[0], out_height, out_width))
    for row in range(height):
        for column in range(width):
            seen = x[:, row : row + out_height, column : column + out_width]
            out += np.tensordot(weight[:, :, row, column], seen, axes=1)
    return out + w[f"{name}.bias"][:, np.newaxis, np.newaxis]


def max_pool(x: Array, height: int, width: int) -> Array:
    rows, columns = x.shape[-2] // height, x.shape[-1] // width
    x = x[..., : rows * height, : columns * width]
    return x.reshape(*x.shape[:-2], rows, height, columns, width).max(axis=(-3, -1))


# The front-end


def filters(n_filters: int, n_taps: int) -> Array:
    """Band-pass filters between neighbouring points of the mel scale from 0 to 8 kHz, tap by tap."""
    top = 2595 * math.log10(1 + 8000 / 700)
    points = [700 * (10 ** (top * i / n_filters / 2595) - 1) for i in range(n_filters + 1)]
    bank = np.zeros((n_filters, n_taps))
    for i in range(n_filters):
        for tap in range(n_taps):
            n = tap - (n_taps - 1) / 2
            window = 0.54 - 0.46 * math.cos(2 * math.pi * tap / (n_taps - 1))
            bank[i, tap] = window * (_low_pass(points[i + 1], n) - _low_pass(points[i], n))
    return bank


def _low_pass(cutoff: float, n: float) -> float:
    x = 2 * math.pi * cutoff * n / 16000
    return 2 * cutoff / 16000 * (math.sin(x) / x if x else 1.0)


def bands(waveform: Array, n_filters: int, n_taps: int) -> Array:
    """Magnitudes of the filters' outputs, filters x time."""
    return np.abs([np.correlate(waveform, filter_, mode="valid") for filter_ in filters(n_filters, n_taps)])


def residual_block(w: Weights, name: str, x: Array, activation, one_dimensional: bool = False) -> Array:
    first, second, shortcut = ((0, 1), (0, 1), (0, 0)) if one_dimensional else ((1, 1), (0, 1), (0, 1))
    out = conv(w, f"{name}.conv1", x, first)  # bn1 is passed by, as in the published code
    out = activation(norm(w, f"{name}.bn2", out))
    out = conv(w, f"{name}.conv2", out, second)
    if f"{name}.conv_downsample.weight" in w:
        x = conv(w, f"{name}.conv_downsample", x, shortcut)
    return out + x


def encoder(w: Weights, name: str, x: Array, pool: int) -> Array:
    for number in range(6):
        x = max_pool(residual_block(w, f"{name}.{number}.0", x, selu), 1, pool)
    return x


def spectrogram(w: Weights, waveform: Array) -> Array:
    image = max_pool(bands(waveform, 70, 129)[np.newaxis], 3, 3)
    return selu(norm(w, "first_bn", image))


# Graphs: nodes x features


def attend(scores: Array, nodes: Array, w: Weights, with_attention: str, without: str, own: Array) -> Array:
    return linear(w, with_attention, softmax(scores, axis=-1) @ nodes) + linear(w, without, own)


def graph_attention(w: Weights, name: str, nodes: Array, temperature: float) -> Array:
    scores = np.zeros((len(nodes), len(nodes)))
    for i, a in enumerate(nodes):
        for j, b in enumerate(nodes):
            scores[i, j] = np.tanh(linear(w, f"{name}.att_proj", a * b)) @ w[f"{name}.att_weight"][:, 0] / temperature
    nodes = attend(scores, nodes, w, f"{name}.proj_with_att", f"{name}.proj_without_att", nodes)
    return selu(norm(w, f"{name}.bn", nodes, axis=1))


def heterogeneous_attention(w: Weights, name: str, one: Array, two: Array, master: Array) -> tuple[Array, Array, Array]:
    nodes = np.concatenate([linear(w, f"{name}.proj_type1", one), linear(w, f"{name}.proj_type2", two)])
    scores = np.zeros((len(nodes), len(nodes)))
    heard = np.zeros(len(nodes))
    for i, a in enumerate(nodes):
        heard[i] = np.tanh(linear(w, f"{name}.att_projM", a * master)) @ w[f"{name}.att_weightM"][:, 0] / 100
        for j, b in enumerate(nodes):
            kinds = {(True, True): "11", (False, False): "22"}.get((i < len(one), j < len(one)), "12")
            scores[i, j] = np.tanh(linear(w, f"{name}.att_proj", a * b)) @ w[f"{name}.att_weight{kinds}"][:, 0] / 100
    master = attend(heard, nodes, w, f"{name}.proj_with_attM", f"{name}.proj_without_attM", master)
    nodes = attend(scores, nodes, w, f"{name}.proj_with_att", f"{name}.proj_without_att", nodes)
    nodes = selu(norm(w, f"{name}.bn", nodes, axis=1))
    return nodes[: len(one)], nodes[len(one) :], master


def graph_pool(w: Weights, name: str, nodes: Array, ratio: float, fewest: int = 1) -> Array:
    scores = sigmoid(linear(w, f"{name}.proj", nodes))[:, 0]
    ranked = sorted(range(len(nodes)), key=lambda node: -scores[node])[: max(int(len(nodes) * ratio), fewest)]
    return np.array([scores[node] * nodes[node] for node in ranked])


def spectro_temporal_graphs(w: Weights, of_bands: Array, of_frames: Array, ratios: tuple[float, float, float]) -> Array:
    """AASIST's logits (spoof, bona fide); ratios of spectral, temporal and joint pooling."""
    s = graph_pool(w, "pool_S", graph_attention(w, "GAT_layer_S", of_bands + w["pos_S"][0], 2), ratios[0])
    t = graph_pool(w, "pool_T", graph_attention(w, "GAT_layer_T", of_frames, 2), ratios[1])
    branches = []
    for branch in (1, 2):
        layer = f"HtrgGAT_layer_ST{branch}"
        t1, s1, m1 = heterogeneous_attention(w, f"{layer}1", t, s, w[f"master{branch}"][0, 0])
        t1, s1 = (graph_pool(w, f"pool_h{kind}{branch}", x, ratios[2]) for kind, x in (("T", t1), ("S", s1)))
        t2, s2, m2 = heterogeneous_attention(w, f"{layer}2", t1, s1, m1)
        branches.append((t1 + t2, s1 + s2, m1 + m2))
    t, s, m = (np.maximum(one, two) for one, two in zip(*branches, strict=True))
    return linear(w, "out_layer", np.concatenate([np.abs(t).max(0), t.mean(0), np.abs(s).max(0), s.mean(0), m]))


# The detectors


def aasist(w: Weights, waveform: Array, ratios: tuple[float, float, float]) -> Array:
    image = np.abs(encoder(w, "encoder", spectrogram(w, waveform), pool=3))
    return spectro_temporal_graphs(w, image.max(axis=2).T, image.max(axis=1).T, ratios)


def xlsr_aasist_head(w: Weights, features: Array) -> Array:
    """From the backbone's final features, frames x 1024."""
    image = max_pool(linear(w, "LL", features).T[np.newaxis], 3, 3)
    image = encoder(w, "encoder", selu(norm(w, "first_bn", image)), pool=1)
    image = selu(norm(w, "first_bn1", image))
    weights = norm(w, "attention.2", selu(conv(w, "attention.0", image, (0, 0))))
    weights = conv(w, "attention.3", weights, (0, 0))
    of_bands, of_frames = ((image * softmax(weights, axis)).sum(axis=axis).T for axis in (2, 1))
    return spectro_temporal_graphs(w, of_bands, of_frames, (0.5, 0.5, 0.5))


def rawgat_st(w: Weights, waveform: Array) -> Array:
    image = spectrogram(w, waveform)
    of_bands = np.abs(encoder(w, "encoder_T", image, pool=3)).max(axis=2).T
    of_frames = np.abs(encoder(w, "encoder_S", image, pool=3)).max(axis=1).T
    of_bands = graph_pool(w, "pool_T", graph_attention(w, "GAT_layer_T", of_bands, 1), 0.64, 2)
    of_frames = graph_pool(w, "pool_S", graph_attention(w, "GAT_layer_S", of_frames, 1), 0.81, 2)
    joint = (linear(w, "proj_T", of_bands.T) * linear(w, "proj_S", of_frames.T)).T
    joint = graph_pool(w, "pool_ST", graph_attention(w, "GAT_layer_ST", joint, 1), 0.64, 2)
    return linear(w, "out_layer", linear(w, "proj_ST", joint)[:, 0])


def rawnet2(w: Weights, waveform: Array) -> Array:
    """Log-probabilities."""
    x = selu(norm(w, "first_bn", max_pool(bands(waveform, 20, 1025), 1, 3)))[:, np.newaxis]  # channels x 1 x time
    for number in range(6):
        x = max_pool(residual_block(w, f"block{number}.0", x, leaky_relu, one_dimensional=True), 1, 3)
        gate = sigmoid(linear(w, f"fc_attention{number}.0", x.mean(axis=(1, 2))))[:, np.newaxis, np.newaxis]
        x = x * gate + gate
    steps = selu(norm(w, "bn_before_gru", x))[:, 0].T
    for layer in range(3):
        steps = gru(w, layer, steps)
    logits = linear(w, "fc2_gru", linear(w, "fc1_gru", steps[-1]))
    return logits - np.log(np.exp(logits).sum())


def gru(w: Weights, layer: int, steps: Array) -> Array:
    state = np.zeros(w[f"gru.weight_hh_l{layer}"].shape[1])
    states = []
    for step in steps:
        reset_i, update_i, new_i = np.split(w[f"gru.weight_ih_l{layer}"] @ step + w[f"gru.bias_ih_l{layer}"], 3)
        reset_h, update_h, new_h = np.split(w[f"gru.weight_hh_l{layer}"] @ state + w[f"gru.bias_hh_l{layer}"], 3)
        update = sigmoid(update_i + update_h)
        state = (1 - update) * np.tanh(new_i + sigmoid(reset_i + reset_h) * new_h) + update * state
        states.append(state)
    return np.array(states)
