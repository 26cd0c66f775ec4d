"""AdamW, with options for single parameters as `l2_adam` has them."""

from dataclasses import dataclass, field

import torch
from fairseq.optim import register_optimizer

from .l2_adam import AdamConfig, L2Adam


@dataclass
class AdamWConfig(AdamConfig):
    """The weight decay of PyTorch."""

    weight_decay: float = field(default=0.01, metadata={"help": "decay of the weights, apart from the gradient"})


@register_optimizer("adamw", dataclass=AdamWConfig)
class AdamW(L2Adam):
    """`torch.optim.AdamW` (Loshchilov and Hutter, 2019).

    fairseq's own `adam` is the same for one learning rate; here the head may have another than the backbone.
    """

    algorithm = torch.optim.AdamW
