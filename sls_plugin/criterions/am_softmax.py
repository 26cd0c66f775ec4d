"""AM-softmax: "Additive Margin Softmax for Face Verification" (Wang, Cheng, Liu, Liu, IEEE SPL 2018)."""

import math
from dataclasses import dataclass, field
from typing import Any

from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from torch import Tensor
from torch.nn import functional as F

from protocols import SettingError

from .cosine_criterion import CosineCriterion


@dataclass
class AMSoftmaxConfig(FairseqDataclass):
    """The margin and the scale, by default those that OC-softmax was compared with."""

    margin: float = field(default=0.9, metadata={"help": "how far the cosine with the right direction must exceed the other"})
    cosine_scale: float = field(default=20.0, metadata={"help": "factor of the cosines"})


@register_criterion("am_softmax", dataclass=AMSoftmaxConfig)
class AMSoftmax(CosineCriterion):
    """Cross-entropy of the scaled cosines with the directions of both classes, that of the right class less the margin."""

    output_layer = "cosine"

    def __init__(self, task: Any, margin: float, cosine_scale: float) -> None:
        super().__init__(task, cosine_scale)
        if not (math.isfinite(margin) and margin >= 0):
            raise SettingError(f"--margin {margin}: must be finite and >= 0")
        self.margin = margin

    def losses(self, cosines: Tensor, label: Tensor) -> Tensor:
        less = self.margin * F.one_hot(label, num_classes=2).to(cosines)
        return F.cross_entropy(self.scale * (cosines - less), label, reduction="none")
