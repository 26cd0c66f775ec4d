"""OC-softmax: "One-Class Learning Towards Synthetic Voice Spoofing Detection" (Zhang, Jiang, Duan, IEEE SPL 2021)."""

from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from torch import Tensor
from torch.nn import functional as F

from protocols import SettingError

from .cosine_criterion import CosineCriterion


@dataclass
class OCSoftmaxConfig(FairseqDataclass):
    """The margins and the scale; the published ones by default."""

    margin_bonafide: float = field(default=0.9, metadata={"help": "cosine above which bona fide speech costs little"})
    margin_spoof: float = field(default=0.2, metadata={"help": "cosine below which spoofed speech costs little"})
    cosine_scale: float = field(default=20.0, metadata={"help": "factor of the cosines"})


@register_criterion("oc_softmax", dataclass=OCSoftmaxConfig)
class OCSoftmax(CosineCriterion):
    """Softplus of the scaled distance to the margin of the class, of the cosine with the direction of bona fide speech.

    Bona fide speech is drawn together around that direction; spoofed speech, which has no common direction, away from it.
    """

    output_layer = "one_class"

    def __init__(self, task: Any, margin_bonafide: float, margin_spoof: float, cosine_scale: float) -> None:
        super().__init__(task, cosine_scale)
        if not -1 <= margin_spoof < margin_bonafide <= 1:
            margins = f"--margin-spoof {margin_spoof} and --margin-bonafide {margin_bonafide}"
            raise SettingError(f"{margins}: must be cosines, from -1 to 1, the first below the second")
        self.margin_bonafide, self.margin_spoof = margin_bonafide, margin_spoof

    def losses(self, cosines: Tensor, label: Tensor) -> Tensor:
        cosine = cosines[:, 1]
        excess = torch.where(label == 1, self.margin_bonafide - cosine, cosine - self.margin_spoof)
        return F.softplus(self.scale * excess)

    def decisions(self, output: Tensor) -> Tensor:
        """Midway between the margins: a cosine of 0 is that of a spoof."""
        return (output[:, 1] > (self.margin_bonafide + self.margin_spoof) / 2).long()
