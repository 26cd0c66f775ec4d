"""The exponential moving average of a model's weights, for fairseq's --store-ema."""

from collections.abc import Mapping

import torch
from omegaconf import DictConfig
from torch import Tensor, nn


class WeightAverage:
    """After every `ema_update_freq` updates: average = decay * average + (1 - decay) * weights, in float32.

    Running means and variances of BatchNorm are averaged too, counters are copied. Until `ema_start_update` the average is the
    weights. The methods are those that fairseq's trainer calls. fairseq's own class copies the module, which weight
    normalisation does not allow, and multiplies counters.
    """

    def __init__(self, model: nn.Module, cfg: DictConfig, device: torch.device | None = None) -> None:
        self.cfg = cfg
        self.decay = cfg.ema_decay
        self.tensors = {name: _as_kept(tensor).clone() for name, tensor in model.state_dict().items()}

    def step(self, model: nn.Module, updates: int) -> None:
        """Take in the weights after so many updates."""
        if updates % self.cfg.ema_update_freq:
            return
        self.decay = 0.0 if updates < self.cfg.ema_start_update else self.cfg.ema_decay
        for name, tensor in model.state_dict().items():
            average = self.tensors[name]
            if average.is_floating_point():
                average.mul_(self.decay).add_(_as_kept(tensor), alpha=1 - self.decay)
            else:
                average.copy_(tensor)

    def get_decay(self) -> float:
        return self.decay

    def get_model(self) -> "WeightAverage":
        """What has the `state_dict` of the average."""
        return self

    def state_dict(self) -> dict[str, Tensor]:
        return self.tensors

    def restore(self, state_dict: Mapping[str, Tensor], build_fp32_params: bool = False) -> None:
        """Continue from the average of a checkpoint."""
        for name, tensor in self.tensors.items():
            tensor.copy_(state_dict[name])


def _as_kept(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    return tensor.float() if tensor.is_floating_point() else tensor
