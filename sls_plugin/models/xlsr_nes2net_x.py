"""XLS-R + Nes2Net-X: "Nes2Net: A Lightweight Nested Architecture for Foundation Model Driven Speech Anti-Spoofing" (Liu, Truong,
Das, Lee, Li, IEEE T-IFS 2025, arXiv 2504.05657).
"""

from dataclasses import dataclass

import torch
from fairseq.models import register_model, register_model_architecture
from torch import Tensor, nn
from torch.nn import functional as F

from protocols import SettingError
from sls_plugin.modules.output_layer import build_output_layer
from sls_plugin.modules.precision import at_least_float32

from .backbones import BackboneDetector, BackboneDetectorConfig, build_backbone

N_CHUNKS = 8  # of the features, and again of the channels of a chunk
DILATION = 2


@dataclass
class XLSRNes2NetXConfig(BackboneDetectorConfig):
    """Settings of the backbone only: the head is the published one."""


@register_model("xlsr_nes2net_x", dataclass=XLSRNes2NetXConfig)
class XLSRNes2NetX(BackboneDetector):
    """XLS-R > the nest of eight chunks of its features > mean over time > linear layer.

    Tensor names are those of the published checkpoints. Output: logits, B x 2 (spoof, bona fide).
    """

    def __init__(self, cfg: XLSRNes2NetXConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.ssl_model = build_backbone(cfg)
        self.min_samples = self.ssl_model.min_samples(1)
        if self.ssl_model.n_features % N_CHUNKS**2:
            n_features = f"a backbone of {self.ssl_model.n_features} features"
            raise SettingError(f"{n_features}: Nes2Net-X needs a multiple of {N_CHUNKS**2}: choose another --w2v-path or --arch")
        self.Nested_Res2Net_TDNN = Nest(self.ssl_model.n_features, self.output_layer)
        self.scale_head_learning_rate()

    def forward(self, source: Tensor) -> Tensor:
        """Logits (B x 2: spoof, bona fide) of waveforms (B x samples, float, 16 kHz)."""
        self.require_samples(source.shape[1])
        return self.head(self.ssl_model.features(source))

    def head(self, features: Tensor) -> Tensor:
        """The classifier on top of the backbone's final features, B x T x C."""
        return self.Nested_Res2Net_TDNN(features.transpose(1, 2))


class Nest(nn.Module):
    """Chunks of features, each through a block of its own, together with what the chunk before it has become; B x C x T."""

    def __init__(self, n_features: int, output_layer: str) -> None:
        super().__init__()
        n_channels = n_features // N_CHUNKS
        self.Build_in_Res2Nets = nn.ModuleList(Block(n_channels) for _ in range(N_CHUNKS - 1))
        self.bns = nn.ModuleList(nn.BatchNorm1d(n_channels) for _ in range(N_CHUNKS - 1))
        self.bn = nn.BatchNorm1d(n_features)
        self.fc = build_output_layer(output_layer, n_features)

    def forward(self, x: Tensor) -> Tensor:
        *chunks, last = x.chunk(N_CHUNKS, dim=1)
        outputs: list[Tensor] = []
        for chunk, block, norm in zip(chunks, self.Build_in_Res2Nets, self.bns, strict=True):
            outputs.append(norm(F.relu(block(outputs[-1] + chunk if outputs else chunk))))
        x = F.relu(self.bn(torch.cat([*outputs, last], dim=1)))
        return at_least_float32(self.fc(x.mean(dim=2)))


class Block(nn.Module):
    """The inner nest: groups of channels, each convolved with the whole history of those before it; B x C x T."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        n_grouped = n_channels // N_CHUNKS
        self.conv1 = nn.Conv1d(n_channels, n_channels, 1)
        self.bn1 = nn.BatchNorm1d(n_channels)
        self.weighted_sum = nn.ParameterList(
            nn.Parameter(torch.full((1, 1, 1, n_columns), 1 / n_columns)) for n_columns in range(2, N_CHUNKS + 1)
        )
        self.convs = nn.ModuleList(
            nn.Conv2d(n_grouped, n_grouped, (3, 1), padding=(DILATION, 0), dilation=(DILATION, 1)) for _ in range(N_CHUNKS - 1)
        )
        self.bns = nn.ModuleList(nn.BatchNorm2d(n_grouped) for _ in range(N_CHUNKS - 1))
        self.conv3 = nn.Conv1d(n_channels, n_channels, 1)
        self.bn3 = nn.BatchNorm1d(n_channels)
        self.se = SqueezeExcitation(n_channels)

    def forward(self, x: Tensor) -> Tensor:
        *groups, last = self.bn1(F.relu(self.conv1(x))).unsqueeze(3).chunk(N_CHUNKS, dim=1)
        outputs, history = [], last  # B x C/8 x T x columns, one more for each group
        for group, conv, norm, weights in zip(groups, self.convs, self.bns, self.weighted_sum, strict=True):
            history = norm(F.relu(conv(torch.cat([history, group], dim=3))))
            outputs.append((history * weights).sum(dim=3))  # B x C/8 x T
        joined = torch.cat([*outputs, last.squeeze(3)], dim=1)
        return x + self.se(self.bn3(F.relu(self.conv3(joined))))


class SqueezeExcitation(nn.Module):
    """A factor between 0 and 1 for each channel, from its mean over time (Hu, Shen, Sun, CVPR 2018); B x C x T."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.se = nn.Sequential(
            nn.AdaptiveAvgPool1d(1), nn.Conv1d(n_channels, n_channels, 1), nn.ReLU(), nn.Conv1d(n_channels, n_channels, 1),
            nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x * self.se(x)


@register_model_architecture("xlsr_nes2net_x", "xlsr_nes2net_x_300m")
def xlsr_nes2net_x_300m(cfg: XLSRNes2NetXConfig) -> None:
    """The published system; the backbone's size comes from the checkpoint that `--w2v-path` names."""
