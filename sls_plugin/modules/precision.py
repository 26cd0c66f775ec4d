"""Number formats."""

import torch
from torch import Tensor


def at_least_float32(tensor: Tensor) -> Tensor:
    """The tensor in float32, or in float64 if it is float64 already."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
