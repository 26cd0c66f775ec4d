"""The contract of the criterions that train detectors."""

from collections.abc import Mapping, Sequence
from typing import Any

from fairseq.criterions import FairseqCriterion
from fairseq.logging import metrics
from torch import Tensor, nn


class DetectionCriterion(FairseqCriterion):
    """A loss on the output of a detector for waveforms and their labels."""

    output_layer = "linear"  # the `--output-layer` of the detectors that it trains

    def cfg_for_checkpoint(self) -> dict[str, Any]:
        """Settings that replace those of the training run in its checkpoints."""
        return {}

    def decisions(self, output: Tensor) -> Tensor:
        """The classes (B) that the `accuracy` counts, of a detector's output, B x 2."""
        return output.argmax(dim=1)

    def logging_output(self, model: nn.Module, output: Tensor, label: Tensor, loss: Tensor) -> dict[str, Any]:
        """What every criterion logs for a batch; the `scores` (B) too when the model is not training."""
        log = {
            "loss": loss.detach(),
            "ntokens": len(label),
            "nsentences": len(label),
            "correct": (self.decisions(output) == label).sum(),
        }
        return log if model.training else log | {"scores": model.scores(output)}

    @staticmethod
    def log_means(logging_outputs: Sequence[dict[str, Any]], names: Mapping[str, str]) -> None:
        """Log means over the trials; `names` are those to log, and those of the sums that the outputs hold."""
        n_trials = sum(int(log["nsentences"]) for log in logging_outputs)
        for name, summed in names.items():
            if summed in logging_outputs[0]:  # without a clip too, otherwise fairseq logs a loss of -1
                total = sum(float(log[summed]) for log in logging_outputs)
                metrics.log_scalar(name, total / max(n_trials, 1), n_trials, priority=2, round=6)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
