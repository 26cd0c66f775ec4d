"""XLS-R + Conformer with temporal-channel modelling: "Temporal-Channel Modeling in Multi-head Self-Attention for Synthetic Speech
Detection" (Truong, Tao, Nguyen, Luong, Lee, Chng, Interspeech 2024, arXiv 2406.17376).
"""

from dataclasses import dataclass

import torch
from fairseq.models import register_model, register_model_architecture
from torch import Tensor, nn
from torch.nn import functional as F

from protocols import DataError
from sls_plugin.modules.conformer import ConformerBlock, sinusoids
from sls_plugin.modules.output_layer import build_output_layer
from sls_plugin.modules.precision import at_least_float32

from .backbones import BackboneDetector, BackboneDetectorConfig, build_backbone

N_CHANNELS = 144
N_HEADS = 4
N_BLOCKS = 4
N_POSITIONS = 10_000  # frames, 200 s


@dataclass
class XLSRConformerTCMConfig(BackboneDetectorConfig):
    """Settings of the backbone only: the head is the published one."""


@register_model("xlsr_conformer_tcm", dataclass=XLSRConformerTCMConfig)
class XLSRConformerTCM(BackboneDetector):
    """XLS-R > projection > four Conformer blocks over a class token and the frames > linear layer on the class token.

    Tensor names are those of the published checkpoints. Output: logits, B x 2 (spoof, bona fide).
    """

    def __init__(self, cfg: XLSRConformerTCMConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.ssl_model = build_backbone(cfg)
        self.min_samples = self.ssl_model.min_samples(1)
        self.LL = nn.Linear(self.ssl_model.n_features, N_CHANNELS)
        self.first_bn = nn.BatchNorm2d(1)
        self.conformer = Conformer(self.output_layer)
        self.scale_head_learning_rate()

    def forward(self, source: Tensor) -> Tensor:
        """Logits (B x 2: spoof, bona fide) of waveforms (B x samples, float, 16 kHz)."""
        self.require_samples(source.shape[1])
        return self.head(self.ssl_model.features(source))

    def head(self, features: Tensor) -> Tensor:
        """The classifier on top of the backbone's final features, B x T x C."""
        x = F.selu(self.first_bn(self.LL(features).unsqueeze(1))).squeeze(1)  # B x T x 144
        return at_least_float32(self.conformer(x))


class Conformer(nn.Module):
    """Logits of frames, B x T x C to B x 2."""

    def __init__(self, output_layer: str) -> None:
        super().__init__()
        # Fixed, but a parameter in the published files.
        self.positional_emb = nn.Parameter(sinusoids(N_POSITIONS, N_CHANNELS).unsqueeze(0), requires_grad=False)
        self.class_token = nn.Parameter(torch.rand(1, N_CHANNELS))
        self.encoder_blocks = nn.ModuleList(ConformerBlock(N_CHANNELS, N_HEADS) for _ in range(N_BLOCKS))
        self.fc5 = build_output_layer(output_layer, N_CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        n_frames = x.shape[1]
        if n_frames > N_POSITIONS:
            raise DataError(f"clips of {n_frames:,} frames: the Conformer takes at most {N_POSITIONS:,}, 200 s: shorten them")
        x = x + self.positional_emb[:, :n_frames]
        x = torch.cat([self.class_token.expand(x.shape[0], 1, -1), x], dim=1)  # B x (1 + T) x C
        for block in self.encoder_blocks:
            x = block(x)
        return self.fc5(x[:, 0])


@register_model_architecture("xlsr_conformer_tcm", "xlsr_conformer_tcm_300m")
def xlsr_conformer_tcm_300m(cfg: XLSRConformerTCMConfig) -> None:
    """The published system; the backbone's size comes from the checkpoint that `--w2v-path` names."""
