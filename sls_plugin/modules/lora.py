"""Low-rank adapters: "LoRA: Low-Rank Adaptation of Large Language Models" (Hu et al., ICLR 2022, arXiv 2106.09685)."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from protocols import SettingError


class Adapter(nn.Module):
    """A change of a weight, out x in, by a product of two thin matrices; at first none at all.

    The paper's factor alpha / rank is 1.
    """

    def __init__(self, n_out: int, n_in: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.empty(rank, n_in))
        self.up = nn.Parameter(torch.zeros(n_out, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.up @ self.down


def add_adapter(linear: nn.Linear, rank: int) -> None:
    """Adapt the weight of a linear layer; whoever reads `linear.weight` gets the adapted one.

    Its tensors are `parametrizations.weight.original`, `parametrizations.weight.0.down` and `.up`.
    """
    if not 1 <= rank <= min(linear.weight.shape):
        raise SettingError(f"--lora-rank {rank}: must be from 1 to {min(linear.weight.shape):,}, or 0 for none")
    parametrize.register_parametrization(linear, "weight", Adapter(*linear.weight.shape, rank))


def adapters(model: nn.Module) -> Iterator[Adapter]:
    """All adapters of a model."""
    return (module for module in model.modules() if isinstance(module, Adapter))


def merge_adapters(model: nn.Module) -> None:
    """Add the adapters of a model to the weights, for inference: the same outputs, at the cost of a network without them.

    Not for a deep copy, with which its original, whose class it shares, would lose its weights.
    """
    for module in list(model.modules()):
        if parametrize.is_parametrized(module, "weight") and isinstance(module.parametrizations.weight[0], Adapter):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
