"""The contract of the criterions that train detectors."""

from typing import Any

from fairseq.criterions import FairseqCriterion
from torch import Tensor, nn


class DetectionCriterion(FairseqCriterion):
    """A loss on the output of a detector for waveforms and their labels."""

    def cfg_for_checkpoint(self) -> dict[str, Any]:
        """Settings that replace those of the training run in its checkpoints."""
        return {}

    @staticmethod
    def logging_output(model: nn.Module, output: Tensor, label: Tensor, loss: Tensor) -> dict[str, Any]:
        """What every criterion logs for a batch; the `scores` (B) too when the model is not training."""
        log = {
            "loss": loss.detach(),
            "ntokens": len(label),
            "nsentences": len(label),
            "correct": (output.argmax(dim=1) == label).sum(),
        }
        return log if model.training else log | {"scores": model.scores(output)}

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
