"""Gradient reversal: "Unsupervised Domain Adaptation by Backpropagation" (Ganin, Lempitsky, ICML 2015)."""

from typing import Any

import torch
from torch import Tensor


def reverse_gradient(x: Tensor, scale: float) -> Tensor:
    """`x` itself, any shape; its gradient comes back times `-scale` (section 3.1, equations 9 and 10)."""
    return _GradientReversal.apply(x, scale)


class _GradientReversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)  # autograd forgets a function that returns its very input

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.scale * gradient, None
