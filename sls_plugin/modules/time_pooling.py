"""Pooling over time: from frames to one vector per clip."""

import torch
from fairseq.dataclass import ChoiceEnum
from torch import Tensor, nn

N_HIDDEN = 128

Pooling = ChoiceEnum(["max", "mean", "attention"])


class TimePooling(nn.Module):
    """The maximum, the mean, or the mean with attention weights over the frames of a clip: B x T x C to B x C.

    Attention weights are the softmax over time of a score per frame, from two linear layers with a tanh between them.
    """

    def __init__(self, pooling: str, n_features: int) -> None:
        super().__init__()
        self.pooling = pooling
        if pooling == "attention":
            self.attention = nn.Sequential(nn.Linear(n_features, N_HIDDEN), nn.Tanh(), nn.Linear(N_HIDDEN, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.pooling == "max":
            return x.amax(dim=1)
        if self.pooling == "mean":
            return x.mean(dim=1)
        return (torch.softmax(self.attention(x), dim=1) * x).sum(dim=1)
