"""Adam with the weight decay added to the gradient (L2), as the published recipes train."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer, register_optimizer
from omegaconf import II
from torch import nn

from protocols import SettingError

DEFAULT_OPTIONS = {"lr_scale": 1.0, "frozen_updates": 0}


def set_parameter_options(parameters: Iterable[nn.Parameter], **options: float) -> None:
    """Give parameters options of their own, which only `l2_adam` and `adamw` know.

    `lr_scale` is a factor on the learning rate; during the first `frozen_updates` updates a parameter and its moments stay
    as they are.
    """
    for parameter in parameters:
        parameter.optim_overrides = {"optimizer": options}  # the attribute that fairseq's composite optimizer reads


def require_parameter_options(optimizer: FairseqOptimizer, parameters: Iterable[nn.Parameter]) -> None:
    """Raise SettingError if parameters have options that the optimizer does not know."""
    knows_options = DEFAULT_OPTIONS.keys() <= optimizer.param_groups[0].keys()
    if not knows_options and any(hasattr(parameter, "optim_overrides") for parameter in parameters):
        options = "--head-lr-scale, --discriminator-lr-scale and --freeze-backbone-updates"
        raise SettingError(f"{options} need --optimizer l2_adam or adamw")


@dataclass
class AdamConfig(FairseqDataclass):
    """The settings of Adam that do not depend on how weights decay."""

    adam_betas: str = field(default="(0.9, 0.999)", metadata={"help": "decay rates of the first and second moments"})
    adam_eps: float = field(default=1e-8, metadata={"help": "added to the denominator for numerical stability"})
    lr: list[float] = II("optimization.lr")


@dataclass
class L2AdamConfig(AdamConfig):
    """The weight decay of the published recipes."""

    weight_decay: float = field(default=1e-4, metadata={"help": "L2 penalty, added to the gradient"})


@register_optimizer("l2_adam", dataclass=L2AdamConfig)
class L2Adam(FairseqOptimizer):
    """`torch.optim.Adam`; fairseq's own `adam` decays the weights separately from the gradient, which is AdamW.

    Single parameters may have options of their own: see `set_parameter_options`.
    """

    algorithm = torch.optim.Adam

    def __init__(self, cfg: AdamConfig, params: Iterable[nn.Parameter]) -> None:
        super().__init__(cfg)
        groups = defaultdict(list)
        for parameter in params:
            overrides = getattr(parameter, "optim_overrides", {}).get("optimizer", {})
            groups[tuple((DEFAULT_OPTIONS | overrides).items())].append(parameter)
        self._optimizer = self.algorithm(
            [{"params": parameters, "updates": 0, **dict(group)} for group, parameters in groups.items()],
            **self.optimizer_config,
        )
        self.set_lr(cfg.lr[0])

    @property
    def optimizer_config(self) -> dict[str, Any]:
        betas = tuple(float(beta) for beta in self.cfg.adam_betas.strip("()[] ").split(","))
        return {"lr": self.cfg.lr[0], "betas": betas, "eps": self.cfg.adam_eps, "weight_decay": self.cfg.weight_decay}

    @property
    def supports_flat_params(self) -> bool:
        return False  # one flat tensor would lose the parameters' own settings

    def get_lr(self) -> float:
        """The learning rate of a parameter whose scale is 1."""
        return self.param_groups[0]["lr"] / self.param_groups[0]["lr_scale"]

    def set_lr(self, lr: float) -> None:
        for group in self.param_groups:
            group["lr"] = lr * group["lr_scale"]

    def load_state_dict(self, state_dict: dict[str, Any], optimizer_overrides: dict[str, Any] | None = None) -> None:
        """Loads moments and counts from the checkpoint; the options of single parameters stay those of this run."""
        settings = [{name: group[name] for name in DEFAULT_OPTIONS} for group in self.param_groups]
        theirs, ours = ([len(group["params"]) for group in groups] for groups in (state_dict["param_groups"], self.param_groups))
        if theirs != ours:
            raise SettingError("other parameters are trained, scaled or frozen than in the checkpoint: add --reset-optimizer")
        super().load_state_dict(state_dict, optimizer_overrides)
        for group, own in zip(self.param_groups, settings, strict=True):
            group.update(own)

    def step(self, closure: Callable | None = None, scale: float = 1.0, groups: Any = None) -> None:
        for group in self.param_groups:
            if group["updates"] < group["frozen_updates"]:
                for parameter in group["params"]:
                    parameter.grad = None  # even a zero gradient would decay the weights
            group["updates"] += 1
        super().step(closure, scale, groups)
