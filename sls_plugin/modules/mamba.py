"""The first Mamba's mixer, and the pre-norm layer around it."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .precision import at_least_float32
from .selective_scan import selective_scan

N_STATES = 16  # per channel
KERNEL = 4  # frames of the causal convolution
EXPANSION = 2  # inner channels per feature
FEATURES_PER_RANK = 16  # dt is projected from n_features / 16 values
DT_RANGE = (1e-3, 1e-1)  # of the initial dt


class MambaMixer(nn.Module):
    """Linear > causal convolution > selective state space, gated by the second half of the first projection > linear.

    Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces" (2023), figure 3; tensor names are
    those of `mamba_ssm`. `depth` is the number of layers that add to the residual stream.
    """

    def __init__(self, n_features: int, depth: int) -> None:
        super().__init__()
        inner, self.dt_rank = EXPANSION * n_features, math.ceil(n_features / FEATURES_PER_RANK)
        self.in_proj = nn.Linear(n_features, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, KERNEL, groups=inner, padding=KERNEL - 1)
        self.x_proj = nn.Linear(inner, self.dt_rank + 2 * N_STATES, bias=False)
        self.dt_proj = nn.Linear(self.dt_rank, inner)
        self.A_log = nn.Parameter(torch.arange(1, N_STATES + 1, dtype=torch.float32).log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, n_features, bias=False)
        self._initialise(depth)

    @torch.no_grad()
    def _initialise(self, depth: int) -> None:
        low, high = map(math.log, DT_RANGE)
        dt = torch.empty_like(self.dt_proj.bias).uniform_(low, high).exp()
        self.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # softplus gives dt
        self.out_proj.weight /= math.sqrt(depth)

    def forward(self, x: Tensor) -> Tensor:
        """B x T x C to B x T x C; the output of a frame depends on this frame and those before it."""
        x, gate = self.in_proj(x).chunk(2, dim=2)  # each B x T x 2C
        x = self.conv1d(x.transpose(1, 2))[:, :, : x.shape[1]].transpose(1, 2)
        x = F.silu(x)
        dt, B, C = self.x_proj(x).split([self.dt_rank, N_STATES, N_STATES], dim=2)
        dt = F.softplus(at_least_float32(self.dt_proj(dt)))  # B x T x 2C
        y = selective_scan(x, dt, -at_least_float32(self.A_log).exp(), B, C) + self.D * x
        return self.out_proj(y * F.silu(gate))


class MambaLayer(nn.Module):
    """RMS norm > mixer: what a layer adds to the residual stream."""

    def __init__(self, n_features: int, depth: int) -> None:
        super().__init__()
        self.mixer = MambaMixer(n_features, depth)
        self.norm = nn.RMSNorm(n_features, eps=1e-5)

    def forward(self, residual: Tensor) -> Tensor:
        """B x T x C to B x T x C, in the type of the weights; the residual stream may be float32."""
        return self.mixer(self.norm(residual.to(self.norm.weight.dtype)))
