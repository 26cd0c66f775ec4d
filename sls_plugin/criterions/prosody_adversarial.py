"""Prosody without content: adversarial training removes what is said from the features of the prosody encoder."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F

from protocols import SettingError
from sls_plugin.models.backbones import BackboneConfig, build_backbone
from sls_plugin.models.prosody_encoder import N_FEATURES
from sls_plugin.modules.gradient_reversal import reverse_gradient
from sls_plugin.optim.l2_adam import set_parameter_options

from .detection_criterion import DetectionCriterion

logger = logging.getLogger(__name__)
WITHOUT_TEACHER_0_3 = "not kept: validation needs none"  # teacher_path in checkpoints of version 0.3
MEANS = {"loss": "loss", "content_loss": "content_loss", "lambda": "lambda", "accuracy": "correct"}  # logged name: summed name


@dataclass
class ProsodyAdversarialConfig(FairseqDataclass):
    """The teacher, and the balance between encoder and discriminator."""

    teacher_path: Optional[str] = field(
        default=None,
        metadata={"help": "pre-trained wav2vec 2.0 checkpoint that represents what is said, such as wav2vec_small.pt"},
    )
    without_teacher: bool = field(
        default=False, metadata={"help": "build no teacher, for validation only (set in every checkpoint)"}
    )
    adversarial_lambda: float = field(
        default=0.1, metadata={"help": "weight of the reversed gradient from the discriminator (0: the baseline)"}
    )
    adversarial_warmup_updates: int = field(default=0, metadata={"help": "number of updates over which lambda grows from 0"})
    discriminator_lr_scale: float = field(
        default=1.0,
        metadata={"help": "learning rate of the discriminator, as a multiple of --lr (needs --optimizer l2_adam or adamw)"},
    )


class ContentTeacher:
    """A frozen wav2vec 2.0 that represents what is said in a clip: the mean of its final features over time.

    Deliberately not a torch module: the criterion that owns it cannot train it, save it, or put it into training mode.
    """

    def __init__(self, path: str) -> None:
        cfg = OmegaConf.structured(BackboneConfig(w2v_path=path, freeze_backbone=True))
        self.network = build_backbone(cfg).eval()

    @property
    def n_features(self) -> int:
        return self.network.n_features

    @torch.no_grad()
    def __call__(self, source: Tensor) -> Tensor:
        """Content vectors (B x C) of waveforms (B x samples, 16 kHz, not normalised)."""
        return self.network.to(source.device).features(source).mean(dim=1)


@register_criterion("prosody_adversarial", dataclass=ProsodyAdversarialConfig)
class ProsodyAdversarial(DetectionCriterion):
    """Cross-entropy of the classes, plus the error of a discriminator that predicts the teacher's vector from the features.

    The discriminator's gradient reaches the encoder reversed and times lambda. The discriminator should learn quickly: the
    encoder can mislead a slow one and keep the content in its features. A criterion without a teacher is for
    validation only. Checkpoints hold the discriminator beside the model, and not the teacher.
    """

    def __init__(self, task: Any, cfg: ProsodyAdversarialConfig, teacher: ContentTeacher | None) -> None:
        super().__init__(task)
        if not (math.isfinite(cfg.adversarial_lambda) and cfg.adversarial_lambda >= 0):
            raise SettingError(f"--adversarial-lambda {cfg.adversarial_lambda}: must be finite and >= 0")
        if cfg.adversarial_warmup_updates < 0:
            raise SettingError(f"--adversarial-warmup-updates {cfg.adversarial_warmup_updates}: must be >= 0")
        if cfg.discriminator_lr_scale <= 0:
            raise SettingError(f"--discriminator-lr-scale {cfg.discriminator_lr_scale}: must be > 0")
        self.cfg = cfg
        self.teacher = teacher
        if teacher is not None:
            self.discriminator = nn.Sequential(
                nn.Linear(N_FEATURES, N_FEATURES), nn.ReLU(), nn.Linear(N_FEATURES, teacher.n_features)
            )
            if cfg.discriminator_lr_scale != 1.0:
                set_parameter_options(self.discriminator.parameters(), lr_scale=cfg.discriminator_lr_scale)

    @classmethod
    def build_criterion(cls, cfg: DictConfig, task: Any) -> "ProsodyAdversarial":
        if cfg.without_teacher or cfg.teacher_path == WITHOUT_TEACHER_0_3:
            return cls(task, cfg, None)
        if not cfg.teacher_path:
            raise SettingError("--teacher-path is missing: name a pre-trained wav2vec 2.0 checkpoint, such as wav2vec_small.pt")
        return cls(task, cfg, ContentTeacher(cfg.teacher_path))

    def cfg_for_checkpoint(self) -> dict[str, Any]:
        """Validation needs no teacher."""
        return {"teacher_path": None, "without_teacher": True}

    def load_state_dict(self, state_dict: dict[str, Any], strict: bool = True) -> None:
        """As torch's; with an empty state, of a checkpoint without a discriminator, the discriminator stays as initialised."""
        if state_dict:
            super().load_state_dict(state_dict, strict)
        else:
            logger.info("the checkpoint has no discriminator: training a new one")

    def forward(self, model: nn.Module, sample: dict[str, Any], reduce: bool = True) -> tuple[Tensor, int, dict]:
        """Sum of both losses, number of trials, and what to log."""
        if not model.returns_features:
            raise SettingError("--criterion prosody_adversarial needs the features of the detector: use --arch prosody_encoder")
        if model.training and self.teacher is None:
            raise SettingError("--without-teacher is for validation: training needs --teacher-path")
        source, label = sample["net_input"]["source"], sample["label"]
        output, features = model(source, with_features=True)  # B x 2, B x 256
        loss = F.cross_entropy(output, label, reduction="sum")
        log = self.logging_output(model, output, label, loss)
        if self.teacher is not None:
            strength = self.strength(model.num_updates)
            content_loss = self.content_loss(source, features, strength)
            log |= {"content_loss": content_loss.detach(), "lambda": strength * len(label)}
            loss = loss + content_loss
        return loss, len(label), log

    def strength(self, num_updates: int) -> float:
        """Lambda after `num_updates` updates."""
        warmup = self.cfg.adversarial_warmup_updates
        return self.cfg.adversarial_lambda * (min(1.0, num_updates / warmup) if warmup else 1.0)

    def content_loss(self, source: Tensor, features: Tensor, strength: float) -> Tensor:
        """The squared error of the discriminator: mean over the elements of the vector, sum over the batch."""
        prediction = self.discriminator(reverse_gradient(features, strength)).float()  # B x C
        return (prediction - self.teacher(source)).square().mean(dim=1).sum()

    @staticmethod
    def reduce_metrics(logging_outputs: Sequence[dict[str, Any]]) -> None:
        """`loss` is that of the classes, so that runs with different lambda compare; `content_loss` is the discriminator's."""
        DetectionCriterion.log_means(logging_outputs, MEANS)
