"""Cross-entropy with a weight per class."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional as F

from protocols import SettingError

from .detection_criterion import DetectionCriterion


@dataclass
class WeightedCrossEntropyConfig(FairseqDataclass):
    """The weights of the two classes."""

    class_weights: str = field(
        default="0.1,0.9",
        metadata={"help": "weights of spoof and bona fide, or 'balanced': N / (2 n_c) for each class c of the training manifest"},
    )


@register_criterion("weighted_cross_entropy", dataclass=WeightedCrossEntropyConfig)
class WeightedCrossEntropy(DetectionCriterion):
    """Weighted cross-entropy: the sum of the losses, divided by the sum of the weights over all workers of an update.

    The originals apply it to log-probabilities: log-softmax twice is log-softmax once.
    """

    def __init__(self, task: Any, class_weights: str) -> None:
        super().__init__(task)
        try:
            weights = [float(weight) for weight in class_weights.split(",")]
        except ValueError:
            weights = []
        if len(weights) != 2 or not all(map(math.isfinite, weights)) or min(weights) < 0 or max(weights) == 0:
            raise SettingError(f"--class-weights {class_weights}: give two numbers, SPOOF,BONAFIDE, or 'balanced'")
        self.class_weights_setting = class_weights
        self.class_weights = weights

    @classmethod
    def build_criterion(cls, cfg: DictConfig, task: Any) -> "WeightedCrossEntropy":
        class_weights = cfg.class_weights
        if class_weights == "balanced":
            class_weights = balanced_weights(*task.count_training_classes())
        return cls(task, class_weights)

    def cfg_for_checkpoint(self) -> dict[str, Any]:
        """The numbers that 'balanced' stands for: validation needs no training manifest."""
        return {"class_weights": self.class_weights_setting}

    def forward(self, model: nn.Module, sample: dict[str, Any], reduce: bool = True) -> tuple[Tensor, Tensor, dict]:
        """Sum of the weighted losses, sum of the weights, and what to log."""
        source, label = sample["net_input"]["source"], sample["label"]
        if model.training:
            output, layer_weights = model(source), None  # B x 2
        else:
            output, layer_weights = model.forward_with_layer_weights(source)  # B x 2, L x B
        weights = output.new_tensor(self.class_weights)
        loss = F.cross_entropy(output, label, weights, reduction="sum")
        sample_size = weights[label].sum()
        log = self.logging_output(model, output, label, loss) | {"sample_size": sample_size}
        if not model.training:
            log["batch_mean"] = len(label) * loss.detach() / sample_size if sample_size else loss.detach()
        if layer_weights is not None:
            log |= {f"layer_{number:02}": weights_of_clips.sum() for number, weights_of_clips in enumerate(layer_weights)}
        return loss, sample_size, log

    @staticmethod
    def reduce_metrics(logging_outputs: Sequence[dict[str, Any]]) -> None:
        """`loss` is the mean over class weights; `loss_batch_mean`, on which the originals select, that over batches.

        In the latter each batch is divided by its own class weights and counts by its number of clips.
        """

        def total(name: str) -> float:
            return float(sum(log[name] for log in logging_outputs))

        n_trials, weight = total("nsentences"), total("sample_size")
        mean = total("loss") / weight if weight else 0.0
        metrics.log_scalar("loss", mean, weight, priority=2, round=6)  # without a clip too, otherwise fairseq logs -1
        # A call has the batch of one update in training, which all workers share, and whole batches in validation.
        batch_mean = total("batch_mean") / n_trials if n_trials and "batch_mean" in logging_outputs[0] else mean
        metrics.log_scalar("loss_batch_mean", batch_mean, n_trials, priority=3)
        if n_trials:
            metrics.log_scalar("accuracy", total("correct") / n_trials, n_trials, round=4)
            for name in logging_outputs[0]:
                if name.startswith("layer_"):  # the mean weight of a layer, in validation
                    metrics.log_scalar(name, total(name) / n_trials, n_trials, priority=1000, round=6)


def balanced_weights(n_spoof: int, n_bonafide: int) -> str:
    """The setting that gives both classes the same total weight: N / (2 n_c).

    >>> balanced_weights(n_spoof=30, n_bonafide=10)
    '0.6666666666666666,2.0'
    """
    total = n_spoof + n_bonafide
    return ",".join(repr(total / (2 * count)) for count in (n_spoof, n_bonafide))
