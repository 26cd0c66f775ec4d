"""XLSR-Mamba: "A Dual-Column Bidirectional State Space Model for Spoofing Attack Detection" (Xiao, Das, 2024)."""

from dataclasses import dataclass, field

import torch
from fairseq.models import register_model, register_model_architecture
from torch import Tensor, nn
from torch.nn import functional as F

from protocols import SettingError
from sls_plugin.modules.mamba import MambaLayer
from sls_plugin.modules.output_layer import build_output_layer
from sls_plugin.modules.precision import at_least_float32

from .backbones import BackboneDetector, BackboneDetectorConfig, build_backbone

DROPOUT = 0.1


@dataclass
class XLSRMambaConfig(BackboneDetectorConfig):
    """The size of the head; the published one by default."""

    mamba_features: int = field(default=144, metadata={"help": "number of features per frame in the head"})
    mamba_layers: int = field(
        default=12, metadata={"help": "number of Mamba layers, both directions together (the last of each has no effect)"}
    )


@register_model("xlsr_mamba", dataclass=XLSRMambaConfig)
class XLSRMamba(BackboneDetector):
    """Last features > linear > BatchNorm > Mamba forwards and backwards in time > attention pooling > two linear layers.

    Tensor names are those of the published checkpoints. Output: logits, B x 2 (spoof, bona fide). Clips need at least
    one frame: the authors use 66,800 samples for ASVspoof 2019 and 2021, 64,600 for In-the-Wild.
    """

    def __init__(self, cfg: XLSRMambaConfig) -> None:
        super().__init__()
        self.cfg = cfg
        if cfg.mamba_layers < 4 or cfg.mamba_layers % 2:
            raise SettingError(f"--mamba-layers {cfg.mamba_layers}: must be even and >= 4")
        if cfg.mamba_features < 1:
            raise SettingError(f"--mamba-features {cfg.mamba_features}: must be >= 1")
        self.ssl_model = build_backbone(cfg)
        self.min_samples = self.ssl_model.min_samples(1)
        self.LL = nn.Linear(self.ssl_model.n_features, cfg.mamba_features)
        self.first_bn = nn.BatchNorm2d(1)
        self.conformer = DualColumnMamba(cfg.mamba_features, cfg.mamba_layers // 2, self.output_layer)
        self.scale_head_learning_rate()

    def forward(self, source: Tensor) -> Tensor:
        """Logits (B x 2: spoof, bona fide) of waveforms (B x samples, float, 16 kHz)."""
        self.require_samples(source.shape[1])
        return self.head(self.ssl_model.features(source))

    def head(self, features: Tensor) -> Tensor:
        """The classifier on top of the backbone's final output, B x T x C."""
        x = self.LL(features)  # B x T x F
        x = F.selu(self.first_bn(x.unsqueeze(1))).squeeze(1)
        return self.conformer(x).float()


class DualColumnMamba(nn.Module):
    """Two stacks of Mamba layers, one forwards and one backwards in time, each with attention pooling; then the classifier."""

    def __init__(self, n_features: int, n_layers: int, output_layer: str) -> None:
        super().__init__()
        self.forward_layers = nn.ModuleList(MambaLayer(n_features, n_layers) for _ in range(n_layers))
        self.backward_layers = nn.ModuleList(MambaLayer(n_features, n_layers) for _ in range(n_layers))
        for layers in (self.forward_layers, self.backward_layers):
            layers[-1].requires_grad_(False)  # see `_column`
        self.norm_f = nn.RMSNorm(n_features, eps=1e-5)
        self.f_attention_pool = nn.Linear(n_features, 1)
        self.b_attention_pool = nn.Linear(n_features, 1)
        self.LL = nn.Linear(2 * n_features, n_features)
        self.classifier = build_output_layer(output_layer, n_features)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B x T x F) to logits (B x 2)."""
        x = F.dropout(x, DROPOUT, self.training)
        forwards = self._column(self.forward_layers, x, x)
        # For parity: the input that is added to the reversed stream is not reversed.
        backwards = self._column(self.backward_layers, x.flip(1), x)
        pooled = [_pool(self.f_attention_pool, forwards), _pool(self.b_attention_pool, backwards)]
        x = F.dropout(self.LL(torch.cat(pooled, dim=1)), DROPOUT, self.training)  # B x F
        return self.classifier(x)

    def _column(self, layers: nn.ModuleList, residual: Tensor, x: Tensor) -> Tensor:
        """The residual stream of a stack of layers after the final norm, B x T x F."""
        residual = at_least_float32(residual)
        # For parity: where the last layer's output belongs, the published code adds the input once more. The last layer
        # has tensors in the checkpoints, but no effect on the logits.
        for layer in layers[:-1]:
            residual = residual + layer(residual)
        return self.norm_f((residual + x).to(self.norm_f.weight.dtype))


def _pool(attention: nn.Linear, x: Tensor) -> Tensor:
    """The mean over frames with attention weights; B x T x F to B x F."""
    return (torch.softmax(attention(x), dim=1) * x).sum(dim=1)


@register_model_architecture("xlsr_mamba", "xlsr_mamba_300m")
def xlsr_mamba_300m(cfg: XLSRMambaConfig) -> None:
    """The published system; the backbone's size comes from the checkpoint that `--w2v-path` names."""
