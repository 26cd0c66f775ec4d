"""XLS-R + SLS: "Audio Deepfake Detection with XLS-R and SLS Classifier" (Zhang, Wen, Hu, ACM MM 2024)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from fairseq.models import BaseFairseqModel, register_model, register_model_architecture
from omegaconf import II
from torch import Tensor, nn
from torch.nn import functional as F

from protocols import DataError

from .xlsr import XLSR, XLSRConfig

POOL = 3  # side of the max-pooling window over frames and features


@dataclass
class SLSConfig(XLSRConfig):
    max_samples: int = II("task.max_samples")
    sync_batch_norm: bool = field(
        default=False, metadata={"help": "share BatchNorm's statistics between GPUs; the originals keep them apart"}
    )


@register_model("sls", dataclass=SLSConfig)
class SLS(BaseFairseqModel):
    """Sensitive layer selection: layer outputs, gated and summed > BatchNorm > max-pool > two linear layers > log-softmax.

    Tensor names are those of the published checkpoints. Output: log-probabilities, B x 2 (spoof, bona fide).
    """

    def __init__(self, cfg: SLSConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.ssl_model = XLSR(cfg)
        if self.ssl_model.model.encoder.layer_norm_first:
            self.ssl_model.model.encoder.layer_norm.requires_grad_(False)  # the taps come before it
        n_features = self.ssl_model.n_features
        pooled_frames = self.ssl_model.n_frames(cfg.max_samples) // POOL
        if pooled_frames < 1:
            fewest = self.ssl_model.n_samples(POOL)
            raise DataError(f"--max-samples {cfg.max_samples}: SLS needs at least {POOL} frames, {fewest:,} samples")
        self.first_bn = nn.BatchNorm2d(1)
        self.fc0 = nn.Linear(n_features, 1)
        self.fc1 = nn.Linear(pooled_frames * (n_features // POOL), n_features)
        self.fc3 = nn.Linear(n_features, 2)
        self.pooled_frames = pooled_frames
        if cfg.head_lr_scale <= 0:
            raise DataError(f"--head-lr-scale {cfg.head_lr_scale}: give a factor above 0")
        if cfg.head_lr_scale != 1.0:
            for layer in (self.first_bn, self.fc0, self.fc1, self.fc3):
                for parameter in layer.parameters():
                    parameter.optim_overrides = {"optimizer": {"lr_scale": cfg.head_lr_scale}}

    @classmethod
    def build_model(cls, cfg: SLSConfig, task: object = None) -> "SLS":
        to_train = cfg.w2v_args is None  # a detector's checkpoint has them, and may be scored anywhere
        model = cls(cfg)
        if not (cfg.sync_batch_norm and to_train):
            return model
        if not torch.cuda.is_available():
            raise DataError("--sync-batch-norm works on CUDA only: leave it out on the CPU")
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)

    def forward(self, source: Tensor) -> Tensor:
        """Log-probabilities (B x 2: spoof, bona fide) of waveforms (B x samples, float, 16 kHz)."""
        self._check_length(source.shape[1])
        return self.head(self.ssl_model(source))

    def head(self, layer_outputs: Sequence[Tensor]) -> Tensor:
        """The classifier on top of layer outputs, each T x B x C (paper section 3.2)."""
        if len(layer_outputs) == 0:
            raise DataError("--encoder-layerdrop skipped every layer of a batch: lower it")
        stacked = torch.stack(list(layer_outputs))  # L x T x B x C
        gates = torch.sigmoid(self.fc0(stacked.mean(dim=1)))  # L x B x 1
        fused = torch.einsum("ltbc,lb->btc", stacked, gates.squeeze(2))  # B x T x C
        x = F.selu(self.first_bn(fused.unsqueeze(1)))  # B x 1 x T x C
        x = F.max_pool2d(x, POOL).flatten(1)  # B x (T/3 * C/3)
        x = F.selu(self.fc1(x))  # B x C
        x = F.selu(self.fc3(x))  # B x 2
        return F.log_softmax(x.float(), dim=1)

    def scores(self, output: Tensor) -> Tensor:
        """What the authors write as a trial's score: log p(bona fide); B."""
        return output[:, 1]

    def log_likelihood_ratios(self, output: Tensor) -> Tensor:
        """Logit of bona fide minus logit of spoof, uncalibrated; B."""
        return output[:, 1] - output[:, 0]

    def _check_length(self, n_samples: int) -> None:
        first = self.pooled_frames * POOL
        shortest, longest = self.ssl_model.n_samples(first), self.ssl_model.n_samples(first + POOL) - 1
        if not shortest <= n_samples <= longest:
            raise DataError(
                f"clips of {n_samples:,} samples: this head takes {shortest:,} to {longest:,} "
                f"({first} to {first + POOL - 1} frames)"
            )


@register_model_architecture("sls", "sls_xlsr_300m")
def sls_xlsr_300m(cfg: SLSConfig) -> None:
    """The published system; its size comes from the checkpoint that `--w2v-path` names."""
