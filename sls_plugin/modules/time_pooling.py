"""Frames to one vector per clip."""

import torch
from fairseq.dataclass import ChoiceEnum
from torch import Tensor, nn

N_HIDDEN = 128

Pooling = ChoiceEnum(["max", "mean", "attention"])


class TimePooling(nn.Module):
    """The maximum, the mean, or a learnt weighted mean over the frames of a clip: B x T x C to B x C.

    Attention scores a frame by two linear layers with a tanh between them; the weights are the scores' softmax over time.
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
