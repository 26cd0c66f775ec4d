"""XLS-R + AASIST: "Automatic Speaker Verification Spoofing and Deepfake Detection Using Wav2vec 2.0 and Data
Augmentation" (Tak, Todisco, Wang, Jung, Yamagishi, Evans, Odyssey 2022).
"""

from dataclasses import dataclass

import torch
from fairseq.models import register_model, register_model_architecture
from torch import Tensor, nn
from torch.nn import functional as F

from sls_plugin.modules.residual_block import residual_encoder
from sls_plugin.modules.spectro_temporal_graphs import SpectroTemporalGraphs

from .backbones import BackboneDetector, BackboneDetectorConfig, build_backbone

N_PROJECTED = 128
N_CHANNELS = 64
POOL = 3  # side of the max-pooling window over projected features and frames


@dataclass
class XLSRAASISTConfig(BackboneDetectorConfig):
    """Settings of the backbone only: the head is the published one."""


@register_model("xlsr_aasist", dataclass=XLSRAASISTConfig)
class XLSRAASIST(SpectroTemporalGraphs, BackboneDetector):
    """XLS-R > projection, used as a spectrogram > residual encoder > attention pooling > the graphs of AASIST.

    Tensor names are those of the published checkpoints. Output: logits, B x 2 (spoof, bona fide).
    """

    def __init__(self, cfg: XLSRAASISTConfig) -> None:
        super().__init__(
            N_PROJECTED // POOL, N_CHANNELS, spectral_pool_ratio=0.5, temporal_pool_ratio=0.5, joint_pool_ratio=0.5,
            output_layer=str(cfg.output_layer),
        )  # fmt: skip
        self.cfg = cfg
        self.ssl_model = build_backbone(cfg)
        self.min_samples = self.ssl_model.min_samples(POOL)
        self.LL = nn.Linear(self.ssl_model.n_features, N_PROJECTED)
        self.first_bn = nn.BatchNorm2d(1)
        self.encoder = residual_encoder(N_CHANNELS, nn.Identity())
        self.first_bn1 = nn.BatchNorm2d(N_CHANNELS)
        self.attention = nn.Sequential(
            nn.Conv2d(N_CHANNELS, 128, 1), nn.SELU(), nn.BatchNorm2d(128), nn.Conv2d(128, N_CHANNELS, 1)
        )
        self.scale_head_learning_rate()

    def forward(self, source: Tensor) -> Tensor:
        """Logits (B x 2: spoof, bona fide) of waveforms (B x samples, float, 16 kHz)."""
        self.require_samples(source.shape[1])
        return self.head(self.ssl_model.features(source))

    def head(self, features: Tensor) -> Tensor:
        """The classifier on top of the backbone's final features, B x T x C, with three frames or more."""
        x = self.LL(features).transpose(1, 2).unsqueeze(1)  # B x 1 x 128 x T
        x = F.selu(self.first_bn(F.max_pool2d(x, POOL)))  # B x 1 x bands x frames
        x = F.selu(self.first_bn1(self.encoder(x)))  # B x C x bands x frames
        weights = self.attention(x)
        bands = (x * torch.softmax(weights, dim=3)).sum(dim=3).transpose(1, 2)  # B x bands x C
        frames = (x * torch.softmax(weights, dim=2)).sum(dim=2).transpose(1, 2)  # B x frames x C
        return self.graph_logits(bands, frames)


@register_model_architecture("xlsr_aasist", "xlsr_aasist_300m")
def xlsr_aasist_300m(cfg: XLSRAASISTConfig) -> None:
    """The published system; the backbone's size comes from the checkpoint that `--w2v-path` names."""
