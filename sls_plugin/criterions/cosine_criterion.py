"""What the criterions on cosines share."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from protocols import SettingError

from .detection_criterion import DetectionCriterion


class CosineCriterion(DetectionCriterion):
    """The mean over clips of a loss on the cosines between their embeddings and trained directions.

    The detector computes the cosines (see `sls_plugin/modules/output_layer.py`), so that its checkpoint alone gives the score.
    """

    def __init__(self, task: Any, cosine_scale: float) -> None:
        super().__init__(task)
        if not (math.isfinite(cosine_scale) and cosine_scale > 0):
            raise SettingError(f"--cosine-scale {cosine_scale}: must be finite and > 0")
        self.scale = cosine_scale

    @abstractmethod
    def losses(self, cosines: Tensor, label: Tensor) -> Tensor:
        """The loss of each clip (B), of its cosines (B x 2: spoof, bona fide) and labels (B)."""

    def forward(self, model: nn.Module, sample: dict[str, Any], reduce: bool = True) -> tuple[Tensor, int, dict]:
        """Sum of the losses, number of clips, and what to log."""
        source, label = sample["net_input"]["source"], sample["label"]
        cosines = model(source)
        loss = self.losses(cosines, label).sum()
        return loss, len(label), self.logging_output(model, cosines, label, loss)

    @staticmethod
    def reduce_metrics(logging_outputs: Sequence[dict[str, Any]]) -> None:
        DetectionCriterion.log_means(logging_outputs, {"loss": "loss", "loss_batch_mean": "loss", "accuracy": "correct"})
