"""XLS-R + SLS: "Audio Deepfake Detection with XLS-R and SLS Classifier" (Zhang, Wen, Hu, ACM MM 2024)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
from fairseq.dataclass import ChoiceEnum
from fairseq.models import register_model, register_model_architecture
from omegaconf import II
from torch import Tensor, nn
from torch.nn import functional as F

from protocols import DataError, SettingError
from sls_plugin.modules.output_layer import build_output_layer
from sls_plugin.modules.precision import at_least_float32
from sls_plugin.modules.time_pooling import TimePooling

from .backbones import BackboneDetector, BackboneDetectorConfig, build_backbone

POOL = 3  # side of the max-pooling window over frames and features

LayerFusion = ChoiceEnum(["gate", "softmax", "sum", "last"])
SLSPooling = ChoiceEnum(["3x3", "max", "mean", "attention"])


@dataclass
class SLSConfig(BackboneDetectorConfig):
    """The published system by default; other ways to fuse and pool the layers for comparison."""

    max_samples: int = II("task.max_samples")
    layer_fusion: LayerFusion = field(
        default="gate",
        metadata={
            "help": "what is fused: gated layer outputs, softmax-weighted hidden states, the sum of layer outputs, or the last "
            "hidden state"
        },
    )
    pooling: SLSPooling = field(
        default="3x3",
        metadata={"help": "max-pooling over 3 x 3 frames and features, or pooling over time: maximum, mean or attention"},
    )
    sync_batch_norm: bool = field(
        default=False, metadata={"help": "share BatchNorm statistics between GPUs (the originals do not)"}
    )


@register_model("sls", dataclass=SLSConfig)
class SLS(BackboneDetector):
    """Sensitive layer selection: layer outputs, gated and summed > BatchNorm > max-pool > two linear layers > log-softmax.

    Tensor names are those of the published checkpoints. With pooling over time it takes clips of any length.
    Output: log-probabilities, or the cosines of another `output_layer`, B x 2 (spoof, bona fide).
    """

    def __init__(self, cfg: SLSConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.ssl_model = build_backbone(cfg)
        self.min_samples = self.ssl_model.min_samples(1)
        n_features = self.ssl_model.n_features
        self.layer_fusion = str(cfg.layer_fusion)
        if str(cfg.pooling) == "3x3":
            self.pooled_frames = self._pooled_frames(cfg.max_samples)
            self.time_pooling, n_pooled = None, self.pooled_frames * (n_features // POOL)
        else:
            self.time_pooling, n_pooled = TimePooling(str(cfg.pooling), n_features), n_features
        if self.layer_fusion in ("gate", "sum"):
            self.ssl_model.freeze_final_norm()  # layer outputs come before it
        self.first_bn = nn.BatchNorm2d(1)
        if self.layer_fusion == "gate":
            self.fc0 = nn.Linear(n_features, 1)
        elif self.layer_fusion == "softmax":
            if self.ssl_model.layerdrop > 0:
                raise SettingError("--layer-fusion softmax weighs every layer: set --encoder-layerdrop 0")
            self.hidden_state_weights = nn.Parameter(torch.zeros(self.ssl_model.n_layers + 1))
        self.fc1 = nn.Linear(n_pooled, n_features)
        self.fc3 = build_output_layer(self.output_layer, n_features)
        self.scale_head_learning_rate()

    def _pooled_frames(self, max_samples: int) -> int:
        pooled_frames = self.ssl_model.n_frames(max_samples) // POOL
        if pooled_frames < 1:
            fewest = self.ssl_model.min_samples(POOL)
            raise SettingError(f"--max-samples {max_samples}: SLS needs at least {POOL} frames, {fewest:,} samples")
        return pooled_frames

    @classmethod
    def build_model(cls, cfg: SLSConfig, task: object = None) -> "SLS":
        to_train = cfg.w2v_args is None  # a detector's checkpoint has them, and may be scored anywhere
        model = cls(cfg)
        if not (cfg.sync_batch_norm and to_train):
            return model
        if not torch.cuda.is_available():
            raise SettingError("--sync-batch-norm works on CUDA only: leave it out on the CPU")
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)

    def forward(self, source: Tensor) -> Tensor:
        """Log-probabilities (B x 2: spoof, bona fide) of waveforms (B x samples, float, 16 kHz)."""
        output, _ = self.forward_with_layer_weights(source)
        return output

    def forward_with_layer_weights(self, source: Tensor) -> tuple[Tensor, Tensor | None]:
        self.require_samples(source.shape[1])
        output, layer_weights = self.head(self.states(source))
        return output, layer_weights if self.layer_fusion in ("gate", "softmax") else None

    def states(self, source: Tensor) -> Iterator[Tensor]:
        """Yields what the head fuses, each T x B x C: the layer outputs, all hidden states, or only the last one."""
        if self.layer_fusion == "softmax":
            return self.ssl_model.hidden_states(source)
        if self.layer_fusion == "last":
            return iter([self.ssl_model.features(source).transpose(0, 1)])
        return self.ssl_model.layer_outputs(source)

    def head(self, states: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
        """The classifier on top of `states` (paper section 3.2): outputs, B x 2, and layer weights, L x B."""
        fused, layer_weights = self.fuse(states)
        x = F.selu(self.first_bn(fused.unsqueeze(1)))  # B x 1 x T x C
        x = F.max_pool2d(x, POOL).flatten(1) if self.time_pooling is None else self.time_pooling(x.squeeze(1))
        x = F.selu(self.fc1(x))  # B x C
        if self.output_layer != "linear":
            return self.fc3(x), layer_weights
        x = F.selu(self.fc3(x))  # B x 2
        return F.log_softmax(x.float(), dim=1), layer_weights

    def fuse(self, states: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
        """The weighted sum of the states, B x T x C, and the weight of each, L x B.

        States are added as they come; half precision is summed in single precision.
        """
        fused, weights = None, []
        for number, state in enumerate(states):
            weight = at_least_float32(self._layer_weight(number, state)).unsqueeze(1)  # B x 1
            fused = weight * state if fused is None else torch.addcmul(fused, weight, state)  # T x B x C
            weights.append(weight.squeeze(1))
        if fused is None:
            raise SettingError("--encoder-layerdrop skipped every layer of a batch: lower it")
        return fused.to(state.dtype).transpose(0, 1), torch.stack(weights)

    def _layer_weight(self, number: int, state: Tensor) -> Tensor:
        """The weight of a state (T x B x C) in the sum, B; for the gates see paper section 3.2."""
        if self.layer_fusion == "gate":
            return torch.sigmoid(self.fc0(state.mean(dim=0))).squeeze(1)
        if self.layer_fusion == "softmax":
            return torch.softmax(self.hidden_state_weights, dim=0)[number].expand(state.shape[1])
        return state.new_ones(state.shape[1])

    def require_samples(self, n_samples: int) -> None:
        if self.time_pooling is not None:
            super().require_samples(n_samples)
            return
        first = self.pooled_frames * POOL
        shortest, longest = self.ssl_model.min_samples(first), self.ssl_model.min_samples(first + POOL) - 1
        if not shortest <= n_samples <= longest:
            raise DataError(
                f"clips of {n_samples:,} samples: this head takes {shortest:,} to {longest:,} "
                f"({first} to {first + POOL - 1} frames)"
            )


@register_model_architecture("sls", "sls_xlsr_300m")
def sls_xlsr_300m(cfg: SLSConfig) -> None:
    """The published system; the backbone's size comes from the checkpoint that `--w2v-path` names."""
