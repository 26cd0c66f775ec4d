"""Cross-entropy with a weight per class."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor, nn
from torch.nn import functional as F

from protocols import SettingError


@dataclass
class WeightedCrossEntropyConfig(FairseqDataclass):
    class_weights: str = field(
        default="0.1,0.9",
        metadata={"help": "weights of spoof and bona fide, or 'balanced': N / (2 n_c) of each class c in the training manifest"},
    )


@register_criterion("weighted_cross_entropy", dataclass=WeightedCrossEntropyConfig)
class WeightedCrossEntropy(FairseqCriterion):
    """Weighted cross-entropy; its mean divides by the sum of the weights, over all batches and workers of an update.

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
        self.class_weights = weights

    def forward(self, model: nn.Module, sample: dict[str, Any], reduce: bool = True) -> tuple[Tensor, Tensor, dict]:
        """Sum of weighted losses, sum of weights, and what to log; `scores` (B) beside it when the model is not training."""
        source, layer_weights = sample["net_input"]["source"], ()
        if not model.training and getattr(model, "weighs_layers", False):
            output, layer_weights = model(source, with_layer_weights=True)  # B x 2, L x B
        else:
            output = model(source)  # B x 2
        label = sample["label"]
        weights = output.new_tensor(self.class_weights)
        loss = F.cross_entropy(output, label, weights, reduction="sum")
        sample_size = weights[label].sum()
        logging_output = {
            "loss": loss.detach(),
            "sample_size": sample_size,
            "ntokens": len(label),
            "nsentences": len(label),
            "correct": (output.argmax(dim=1) == label).sum(),
        }
        if not model.training:
            logging_output["scores"] = model.scores(output)
        logging_output |= {f"layer_{number:02}": of_layer.sum() for number, of_layer in enumerate(layer_weights)}
        return loss, sample_size, logging_output

    @staticmethod
    def reduce_metrics(logging_outputs: Sequence[dict[str, Any]]) -> None:
        def total(name: str) -> float:
            return float(sum(log[name] for log in logging_outputs))

        n_trials, weight = total("nsentences"), total("sample_size")
        if n_trials:
            metrics.log_scalar("loss", total("loss") / weight if weight else 0.0, weight, round=6)
            metrics.log_scalar("accuracy", total("correct") / n_trials, n_trials, round=4)
            for name in logging_outputs[0]:
                if name.startswith("layer_"):  # the mean weight of a layer, in validation
                    metrics.log_scalar(name, total(name) / n_trials, n_trials, round=6)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True


def balanced_weights(n_spoof: int, n_bonafide: int) -> str:
    """The setting that gives both classes the same total weight: N / (2 n_c)."""
    total = n_spoof + n_bonafide
    return ",".join(repr(total / (2 * count)) for count in (n_spoof, n_bonafide))


