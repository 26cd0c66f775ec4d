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
from sls_plugin.modules.detector import Detector
from sls_plugin.modules.selective_scan import at_least_float32
from sls_plugin.modules.time_pooling import TimePooling

from .xlsr import XLSR, XLSRConfig, scale_head_learning_rate

POOL = 3  # side of the max-pooling window over frames and features

LayerFusion = ChoiceEnum(["gate", "softmax", "sum", "last"])
Pooling = ChoiceEnum(["3x3", "max", "mean", "attention"])


@dataclass
class SLSConfig(XLSRConfig):
    max_samples: int = II("task.max_samples")
    layer_fusion: LayerFusion = field(
        default="gate",
        metadata={
            "help": "sum of the layers' outputs, weighted by a gate each; of all hidden states, weighted by a learnt softmax; "
            "unweighted sum of the layers' outputs; the last hidden state alone"
        },
    )
    pooling: Pooling = field(
        default="3x3",
        metadata={
            "help": "the maxima of 3 x 3 frames and features, or one vector per clip: the maximum or the mean over time, or a "
            "mean with learnt weights"
        },
    )
    sync_batch_norm: bool = field(
        default=False, metadata={"help": "share BatchNorm's statistics between GPUs; the originals keep them apart"}
    )


@register_model("sls", dataclass=SLSConfig)
class SLS(Detector):
    """Sensitive layer selection: layer outputs, gated and summed > BatchNorm > max-pool > two linear layers > log-softmax.

    Tensor names are those of the published checkpoints. For comparison, layers can be fused and pooled in other ways: time
    pooling takes clips of any length. Output: log-probabilities, B x 2 (spoof, bona fide).
    """

    def __init__(self, cfg: SLSConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.ssl_model = XLSR(cfg)
        self.fewest_samples = self.ssl_model.n_samples(1)
        n_features = self.ssl_model.n_features
        self.layer_fusion = str(cfg.layer_fusion)
        if str(cfg.pooling) == "3x3":
            pooled_frames = self.ssl_model.n_frames(cfg.max_samples) // POOL
            if pooled_frames < 1:
                fewest = self.ssl_model.n_samples(POOL)
                raise SettingError(f"--max-samples {cfg.max_samples}: SLS needs at least {POOL} frames, {fewest:,} samples")
            self.pooled_frames = pooled_frames
            self.time_pooling, n_pooled = None, pooled_frames * (n_features // POOL)
        else:
            self.time_pooling, n_pooled = TimePooling(str(cfg.pooling), n_features), n_features
        if self.layer_fusion in ("gate", "sum"):
            self.ssl_model.freeze_final_norm()  # the taps come before it
        self.first_bn = nn.BatchNorm2d(1)
        if self.layer_fusion == "gate":
            self.fc0 = nn.Linear(n_features, 1)
        elif self.layer_fusion == "softmax":
            if self.ssl_model.model.encoder.layerdrop > 0:
                raise SettingError("--layer-fusion softmax weighs every layer: set --encoder-layerdrop 0")
            self.hidden_state_weights = nn.Parameter(torch.zeros(len(self.ssl_model.layers) + 1))
        self.fc1 = nn.Linear(n_pooled, n_features)
        self.fc3 = nn.Linear(n_features, 2)
        scale_head_learning_rate(self, cfg.head_lr_scale)

    @classmethod
    def build_model(cls, cfg: SLSConfig, task: object = None) -> "SLS":
        to_train = cfg.w2v_args is None  # a detector's checkpoint has them, and may be scored anywhere
        model = cls(cfg)
        if not (cfg.sync_batch_norm and to_train):
            return model
        if not torch.cuda.is_available():
            raise SettingError("--sync-batch-norm works on CUDA only: leave it out on the CPU")
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)

    def forward(self, source: Tensor, with_layer_weights: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Log-probabilities (B x 2: spoof, bona fide) of waveforms (B x samples, float, 16 kHz); on request with the weights of
        the layers, L x B.
        """
        self.require_samples(source.shape[1])
        fused, layer_weights = self._fused(self.states(source))
        output = self._classified(fused)
        return (output, layer_weights) if with_layer_weights else output

    @property
    def weighs_layers(self) -> bool:
        """Whether training chooses the weights of the layers."""
        return self.layer_fusion in ("gate", "softmax")

    def states(self, source: Tensor) -> Iterator[Tensor]:
        """What the head fuses, each T x B x C, as it is computed: the layers' outputs, all hidden states, or the last one."""
        if self.layer_fusion == "softmax":
            return self.ssl_model.hidden_states(source)
        if self.layer_fusion == "last":
            return iter([self.ssl_model.features(source).transpose(0, 1)])
        return self.ssl_model.layer_outputs(source)

    def layer_weights(self, states: Iterable[Tensor]) -> Tensor:
        """The weight of each of the states (T x B x C) in their sum, L x B (paper section 3.2 for the gates)."""
        return torch.stack([self._layer_weight(number, state) for number, state in enumerate(states)])

    def _layer_weight(self, number: int, state: Tensor) -> Tensor:
        if self.layer_fusion == "gate":
            return torch.sigmoid(self.fc0(state.mean(dim=0))).squeeze(1)
        if self.layer_fusion == "softmax":
            return torch.softmax(self.hidden_state_weights, dim=0)[number].expand(state.shape[1])
        return state.new_ones(state.shape[1])

    def head(self, states: Iterable[Tensor]) -> Tensor:
        """The classifier on top of what `states` gives (paper section 3.2)."""
        fused, _ = self._fused(states)
        return self._classified(fused)

    def _classified(self, fused: Tensor) -> Tensor:
        """Log-probabilities (B x 2) of the weighted sum, B x T x C."""
        x = F.selu(self.first_bn(fused.unsqueeze(1)))  # B x 1 x T x C
        x = F.max_pool2d(x, POOL).flatten(1) if self.time_pooling is None else self.time_pooling(x.squeeze(1))
        x = F.selu(self.fc1(x))  # B x C
        x = F.selu(self.fc3(x))  # B x 2
        return F.log_softmax(x.float(), dim=1)

    def _fused(self, states: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
        """The weighted sum of the states, B x T x C, and their weights, L x B.

        Each is added as it comes; half precision is summed in single precision.
        """
        fused, weights = None, []
        for number, state in enumerate(states):
            weight = at_least_float32(self._layer_weight(number, state)).unsqueeze(1)  # B x 1
            fused = weight * state if fused is None else torch.addcmul(fused, weight, state)  # T x B x C
            weights.append(weight.squeeze(1))
        if fused is None:
            raise SettingError("--encoder-layerdrop skipped every layer of a batch: lower it")
        return fused.to(state.dtype).transpose(0, 1), torch.stack(weights)

    def require_samples(self, n_samples: int) -> None:
        if self.time_pooling is not None:
            super().require_samples(n_samples)
            return
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
