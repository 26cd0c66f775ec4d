"""Gradient reversal: "Unsupervised Domain Adaptation by Backpropagation" (Ganin, Lempitsky, ICML 2015)."""

from typing import Any

import torch
from torch import Tensor


def reverse_gradient(x: Tensor, scale: float) -> Tensor:
    """The identity, whose gradient is multiplied by `-scale` (section 3.1, equations 9 and 10).

    >>> x = torch.ones(2, requires_grad=True)
    >>> reverse_gradient(x, 0.5).sum().backward()
    >>> x.grad
    tensor([-0.5000, -0.5000])
    """
    return _GradientReversal.apply(x, scale)


class _GradientReversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)  # autograd ignores a function that returns its input itself

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.scale * gradient, None
