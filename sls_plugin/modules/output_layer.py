"""The last layer of a head: from the embedding of a clip to two outputs."""

import torch
from fairseq.dataclass import ChoiceEnum
from torch import Tensor, nn
from torch.nn import functional as F

from .precision import at_least_float32

OutputLayer = ChoiceEnum(["linear", "cosine", "one_class"])


def build_output_layer(kind: str, n_features: int) -> nn.Module:
    """The layer of this `OutputLayer` from embeddings, B x C, to outputs, B x 2 (spoof, bona fide)."""
    if kind == "linear":
        return nn.Linear(n_features, 2)
    return Cosines(n_features, n_directions=1 if kind == "one_class" else 2)


class Cosines(nn.Module):
    """Cosines between embeddings, B x C, and trained directions; B x 2 (spoof, bona fide), from -1 to 1.

    Each class has a direction; with one direction alone, that of bona fide speech, the output for spoof is 0.
    """

    def __init__(self, n_features: int, n_directions: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_directions, n_features))
        nn.init.normal_(self.weight)  # a direction is as likely as any other

    def forward(self, x: Tensor) -> Tensor:
        x, weight = at_least_float32(x), at_least_float32(self.weight)
        cosines = F.linear(F.normalize(x, dim=1), F.normalize(weight, dim=1)).clamp(-1, 1)  # rounding leads beyond 1
        return F.pad(cosines, (1, 0)) if len(weight) == 1 else cosines
