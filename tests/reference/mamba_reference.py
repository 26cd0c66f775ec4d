"""XLSR-Mamba's head computed as plainly as possible, one time step after the other, for the tests to compare with.

Xiao, Das, "XLSR-Mamba: A Dual-Column Bidirectional State Space Model for Spoofing Attack Detection", 2024; the state space
model is that of Gu, Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023.
"""

import torch
from torch.nn import functional as F

Weights = dict[str, torch.Tensor]


def step_by_step_scan(x: torch.Tensor, dt: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor) -> torch.Tensor:
    """x, dt (batch, T, D), A (D, N), B, C (batch, T, N) to y (batch, T, D)."""
    state = torch.zeros(x.shape[0], x.shape[2], A.shape[1], dtype=x.dtype, device=x.device)
    outputs = []
    for t in range(x.shape[1]):
        decay = torch.exp(dt[:, t, :, None] * A)
        state = decay * state + (dt[:, t] * x[:, t])[:, :, None] * B[:, t, None, :]
        outputs.append((state * C[:, t, None, :]).sum(dim=2))
    return torch.stack(outputs, dim=1)


def reference_mixer(weights: Weights, prefix: str, x: torch.Tensor) -> torch.Tensor:
    """Frames (batch, T, C) through the mixer whose tensors begin with `prefix`."""

    def weight(name: str) -> torch.Tensor:
        return weights[f"{prefix}.{name}"]

    projected = x @ weight("in_proj.weight").T
    inner = projected.shape[2] // 2
    hidden, gate = projected[:, :, :inner], projected[:, :, inner:]

    kernel = weight("conv1d.weight")[:, 0]  # channel x tap
    n_taps = kernel.shape[1]
    convolved = []
    for t in range(x.shape[1]):
        value = weight("conv1d.bias").expand(x.shape[0], -1)
        for tap in range(n_taps):
            frame = t - (n_taps - 1) + tap
            if frame >= 0:
                value = value + kernel[:, tap] * hidden[:, frame]
        convolved.append(value)
    hidden = torch.stack(convolved, dim=1)
    hidden = hidden * torch.sigmoid(hidden)

    n_states = weight("A_log").shape[1]
    selected = hidden @ weight("x_proj.weight").T
    rank = selected.shape[2] - 2 * n_states
    B, C = selected[:, :, rank:-n_states], selected[:, :, -n_states:]
    dt = F.softplus(selected[:, :, :rank] @ weight("dt_proj.weight").T + weight("dt_proj.bias"))
    scanned = step_by_step_scan(hidden, dt, -torch.exp(weight("A_log")), B, C)
    scanned = scanned + weight("D") * hidden
    return (scanned * gate * torch.sigmoid(gate)) @ weight("out_proj.weight").T


def reference_head(weights: Weights, features: torch.Tensor) -> torch.Tensor:
    """The backbone's last features (batch, T, C) to logits (batch, 2), in evaluation."""
    x = F.linear(features, weights["LL.weight"], weights["LL.bias"])
    spread = torch.sqrt(weights["first_bn.running_var"] + 1e-5)
    x = F.selu((x - weights["first_bn.running_mean"]) / spread * weights["first_bn.weight"] + weights["first_bn.bias"])

    pooled = []
    for direction, pool in (("forward", "f_attention_pool"), ("backward", "b_attention_pool")):
        residual, output = x if direction == "forward" else torch.flip(x, [1]), None
        for number in range(_n_layers(weights, direction)):
            layer = f"conformer.{direction}_layers.{number}"
            if output is not None:
                residual = residual + output
            normed = _rms_norm(residual, weights[f"{layer}.norm.weight"])
            output = reference_mixer(weights, f"{layer}.mixer", normed)
        # The published model forgets the last output, and adds its input as it came, in both directions.
        y = _rms_norm(x + residual, weights["conformer.norm_f.weight"])
        attention = y @ weights[f"conformer.{pool}.weight"][0] + weights[f"conformer.{pool}.bias"]
        share = torch.exp(attention) / torch.exp(attention).sum(dim=1, keepdim=True)
        pooled.append((share[:, :, None] * y).sum(dim=1))

    hidden = F.linear(torch.cat(pooled, dim=1), weights["conformer.LL.weight"], weights["conformer.LL.bias"])
    return F.linear(hidden, weights["conformer.classifier.weight"], weights["conformer.classifier.bias"])


def _n_layers(weights: Weights, direction: str) -> int:
    return len({name.split(".")[2] for name in weights if name.startswith(f"conformer.{direction}_layers.")})


def _rms_norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x / torch.sqrt((x * x).mean(dim=2, keepdim=True) + 1e-5) * weight
