"""Prosody without content: bona fide or spoof is learnt from features that tell little of what is said."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import torch
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F

from protocols import SettingError
from sls_plugin.models.prosody_encoder import N_FEATURES
from sls_plugin.models.xlsr import XLSR, XLSRConfig
from sls_plugin.modules.gradient_reversal import reverse_gradient

logger = logging.getLogger(__name__)
NOT_KEPT = "not kept: validation needs none"  # the teacher's path, as it stands in a checkpoint
MEANS = {"loss": "loss", "content_loss": "content_loss", "lambda": "lambda", "accuracy": "correct"}  # what is logged of which sum


@dataclass
class ProsodyAdversarialConfig(FairseqDataclass):
    teacher_path: Optional[str] = field(
        default=None,
        metadata={"help": "pre-trained wav2vec 2.0 checkpoint of fairseq that hears the content, such as wav2vec_small.pt"},
    )
    adversarial_lambda: float = field(
        default=0.1, metadata={"help": "how strongly the encoder works against the discriminator; 0 is the baseline"}
    )
    adversarial_warmup_updates: int = field(default=0, metadata={"help": "lambda grows from 0 over the first N updates"})
    discriminator_lr_scale: float = field(
        default=1.0,
        metadata={
            "help": "the discriminator's learning rate, as a multiple of --lr (with --optimizer l2_adam): the encoder fools one "
            "that is slow, and keeps the content"
        },
    )


class ContentTeacher:
    """What is said in a clip, as a frozen wav2vec 2.0 puts it: the mean of its final features over time.

    Not a torch module, on purpose: a criterion that owns it cannot train it, save it, or take it out of eval mode.
    """

    def __init__(self, path: str) -> None:
        self.network = XLSR(OmegaConf.structured(XLSRConfig(w2v_path=path, freeze_backbone=True))).eval()

    @property
    def n_features(self) -> int:
        return self.network.n_features

    @torch.no_grad()
    def __call__(self, source: Tensor) -> Tensor:
        """Content vectors (B x C) of waveforms (B x samples, 16 kHz, not normalised)."""
        return self.network.to(source.device).features(source).mean(dim=1)


@register_criterion("prosody_adversarial", dataclass=ProsodyAdversarialConfig)
class ProsodyAdversarial(FairseqCriterion):
    """Cross-entropy of the classes, and the error of a discriminator that guesses the teacher's vector from the features.

    The discriminator learns at full strength; its gradient reaches the encoder reversed and times lambda. A criterion
    without a teacher is for validation only. Of all this only the discriminator goes into a checkpoint, beside the model.
    """

    def __init__(self, task: Any, cfg: ProsodyAdversarialConfig, teacher: ContentTeacher | None) -> None:
        super().__init__(task)
        if not (math.isfinite(cfg.adversarial_lambda) and cfg.adversarial_lambda >= 0):
            raise SettingError(f"--adversarial-lambda {cfg.adversarial_lambda}: give a number from 0 on")
        if cfg.adversarial_warmup_updates < 0:
            raise SettingError(f"--adversarial-warmup-updates {cfg.adversarial_warmup_updates}: give a number from 0 on")
        if cfg.discriminator_lr_scale <= 0:
            raise SettingError(f"--discriminator-lr-scale {cfg.discriminator_lr_scale}: give a factor above 0")
        self.cfg = cfg
        self.teacher = teacher
        if teacher is not None:
            self.discriminator = nn.Sequential(
                nn.Linear(N_FEATURES, N_FEATURES), nn.ReLU(), nn.Linear(N_FEATURES, teacher.n_features)
            )
            if cfg.discriminator_lr_scale != 1.0:
                for parameter in self.discriminator.parameters():
                    parameter.optim_overrides = {"optimizer": {"lr_scale": cfg.discriminator_lr_scale}}

    @classmethod
    def build_criterion(cls, cfg: DictConfig, task: Any) -> "ProsodyAdversarial":
        if task.model_name != "prosody_encoder":
            raise SettingError(f"--criterion prosody_adversarial: trains --arch prosody_encoder only, not {task.model_name}")
        if not cfg.teacher_path:
            raise SettingError("--teacher-path is missing: name a pre-trained wav2vec 2.0 checkpoint, such as wav2vec_small.pt")
        return cls(task, cfg, ContentTeacher(cfg.teacher_path) if cfg.teacher_path != NOT_KEPT else None)

    def load_state_dict(self, state_dict: dict[str, Any], strict: bool = True) -> None:
        """As torch's; a detector that was trained without an adversary, or whose file leaves it out, meets a fresh one."""
        if state_dict:
            super().load_state_dict(state_dict, strict)
        else:
            logger.info("the checkpoint holds no discriminator: a fresh one is trained")

    def forward(self, model: nn.Module, sample: dict[str, Any], reduce: bool = True) -> tuple[Tensor, int, dict]:
        """Sum of both losses, number of trials, and what to log; `scores` (B) beside it when the model is not training."""
        source, label = sample["net_input"]["source"], sample["label"]
        output, features = model(source, with_features=True)  # B x 2, B x 256
        loss = F.cross_entropy(output, label, reduction="sum")
        logging_output = {
            "loss": loss.detach(),
            "ntokens": len(label),
            "nsentences": len(label),
            "correct": (output.argmax(dim=1) == label).sum(),
        }
        if not model.training:
            logging_output["scores"] = model.scores(output)
        if self.teacher is not None:
            strength = self.strength(model.num_updates)
            content_loss = self.content_loss(source, features, strength)
            logging_output |= {"content_loss": content_loss.detach(), "lambda": strength * len(label)}
            loss = loss + content_loss
        return loss, len(label), logging_output

    def strength(self, num_updates: int) -> float:
        """Lambda after `num_updates` updates."""
        warmup = self.cfg.adversarial_warmup_updates
        return self.cfg.adversarial_lambda * (min(1.0, num_updates / warmup) if warmup else 1.0)

    def content_loss(self, source: Tensor, features: Tensor, strength: float) -> Tensor:
        """The discriminator's squared error, a mean over the vector's elements and a sum over the batch."""
        guess = self.discriminator(reverse_gradient(features, strength)).float()  # B x C
        return (guess - self.teacher(source)).square().mean(dim=1).sum()

    @staticmethod
    def reduce_metrics(logging_outputs: Sequence[dict[str, Any]]) -> None:
        """`loss` is that of the classes alone, so that runs with any lambda compare; `content_loss` the discriminator's."""
        n_trials = sum(int(log["nsentences"]) for log in logging_outputs)
        for name, summed in MEANS.items():
            if n_trials and summed in logging_outputs[0]:
                total = sum(float(log[summed]) for log in logging_outputs)
                metrics.log_scalar(name, total / n_trials, n_trials, round=6)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
