"""Conformer blocks (Gulati et al., Interspeech 2020) whose attention has a token for each head (Truong et al., Interspeech 2024).

Tensor names are those of the published checkpoints. Inputs and outputs are B x N x C.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KERNEL = 31  # frames of the depthwise convolution
EXPANSION = 4  # of the feed-forward part
CONV_EXPANSION = 2


def sinusoids(n_positions: int, n_channels: int) -> Tensor:
    """Sines in even and cosines in odd columns (Vaswani et al., 2017): positions x channels."""
    frequencies = torch.exp(torch.arange(0, n_channels, 2) * (-math.log(10_000) / n_channels))
    angles = torch.arange(n_positions).unsqueeze(1) * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


class ConformerBlock(nn.Module):
    """Half a feed-forward part, attention, convolution, half a feed-forward part, each beside a residual path; a norm."""

    def __init__(self, n_channels: int, n_heads: int) -> None:
        super().__init__()
        self.ff1 = Halved(PreNorm(n_channels, FeedForward(n_channels)))
        self.attn = PreNorm(n_channels, HeadTokenAttention(n_channels, n_heads))
        self.conv = ConvolutionModule(n_channels)
        self.ff2 = Halved(PreNorm(n_channels, FeedForward(n_channels)))
        self.post_norm = nn.LayerNorm(n_channels)

    def forward(self, x: Tensor) -> Tensor:
        for part in (self.ff1, self.attn, self.conv, self.ff2):
            x = x + part(x)
        return self.post_norm(x)


class HeadTokenAttention(nn.Module):
    """Self-attention over a class token, frames, and a token per head made of all of them: temporal-channel modelling.

    The class token, which is the first, also takes in the means of the head tokens and of the frames.
    """

    def __init__(self, n_channels: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(n_channels, 3 * n_channels, bias=False)
        self.proj = nn.Linear(n_channels, n_channels)
        self.ht_proj = nn.Linear(n_channels // n_heads, n_channels)
        self.ht_norm = nn.LayerNorm(n_channels // n_heads)
        self.pos_embed = nn.Parameter(torch.zeros(1, n_heads, n_channels))

    def forward(self, x: Tensor) -> Tensor:
        n_tokens = x.shape[1]
        x = self._attend(torch.cat([x, self._head_tokens(x)], dim=1))
        first, frames, heads = x.split([1, n_tokens - 1, self.n_heads], dim=1)
        first = first + heads.mean(dim=1, keepdim=True) + frames.mean(dim=1, keepdim=True)
        return torch.cat([first, frames], dim=1)

    def _head_tokens(self, x: Tensor) -> Tensor:
        means = x.unflatten(2, (self.n_heads, -1)).mean(dim=1)  # B x heads x C/heads
        tokens = self.ht_proj(means).unflatten(2, (self.n_heads, -1))  # B x heads x heads x C/heads
        return F.gelu(self.ht_norm(tokens)).flatten(2) + self.pos_embed

    def _attend(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)  # 3 x B x heads x N x C/heads
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, n_channels: int) -> None:
        super().__init__()
        n_hidden = EXPANSION * n_channels
        # The identities are dropout of 0 in the published model; they keep the numbers of the layers.
        self.net = nn.Sequential(nn.Linear(n_channels, n_hidden), nn.SiLU(), nn.Identity(), nn.Linear(n_hidden, n_channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class ConvolutionModule(nn.Module):
    """A norm, a gated linear unit, a depthwise convolution over time, and back to the channels."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        n_inner = CONV_EXPANSION * n_channels
        self.net = nn.Sequential(
            nn.LayerNorm(n_channels), Transposed(), nn.Conv1d(n_channels, 2 * n_inner, 1), nn.GLU(dim=1),
            DepthwiseConvolution(n_inner), nn.BatchNorm1d(n_inner), nn.SiLU(), nn.Conv1d(n_inner, n_channels, 1), Transposed(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class DepthwiseConvolution(nn.Module):
    """Each channel over time with zeros beyond both ends, B x C x T."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_channels, n_channels, KERNEL, padding=KERNEL // 2, groups=n_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Transposed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class PreNorm(nn.Module):
    def __init__(self, n_channels: int, part: nn.Module) -> None:
        super().__init__()
        self.fn = part
        self.norm = nn.LayerNorm(n_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(self.norm(x))


class Halved(nn.Module):
    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.fn = part

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * self.fn(x)
