"""Weights that anyone can make again: each tensor is drawn from the CRC-32 of its own state-dict name.

The outputs of the original detectors in `reference/golden/heads.json` were computed with these weights.
"""

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn


def synthetic_tensor(name: str, shape: Sequence[int]) -> torch.Tensor:
    """The float32 (num_batches_tracked: int64) tensor of this shape for the name, without `ssl_model.` or `module.`."""
    shape = tuple(shape)
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.long)
    r = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        values = 0.5 + r**2
    elif name.endswith("running_mean"):
        values = 0.1 * r
    elif name.endswith("A_log"):
        values = np.broadcast_to(np.log(np.arange(1, shape[-1] + 1)), shape)
    elif name.endswith("mixer.D"):
        values = np.ones(shape)
    elif name.endswith("dt_proj.bias"):
        values = -4 + 0.5 * r
    elif len(shape) == 1 and name.endswith("weight"):
        values = 1 + 0.1 * r
    elif len(shape) == 1:
        values = 0.1 * r
    else:
        values = r / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(values.astype(np.float32))


def fill_outside_backbone(model: nn.Module) -> None:
    """Give every tensor outside `ssl_model.` its synthetic values; the backbone and a table of positions stay as they are."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            plain_name = name.removeprefix("module.")
            if not plain_name.startswith("ssl_model.") and not plain_name.endswith("positional_emb"):
                tensor.copy_(synthetic_tensor(plain_name, tensor.shape))
