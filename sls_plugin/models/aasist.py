"""AASIST and AASIST-L: "AASIST: Audio Anti-Spoofing Using Integrated Spectro-Temporal Graph Attention Networks"
(Jung, Heo, Tak, Shim, Chung, Lee, Yu, Evans, ICASSP 2022).
"""

from dataclasses import dataclass, field

from fairseq.models import register_model, register_model_architecture
from torch import Tensor, nn
from torch.nn import functional as F

from fairseq_ckpt.detectors.aasist import AASIST_L
from protocols import SettingError
from sls_plugin.modules.residual_block import residual_encoder
from sls_plugin.modules.sinc_convolution import N_FILTERS, N_TAPS, FilterBankConfig, SincConvolution
from sls_plugin.modules.spectro_temporal_graphs import SpectroTemporalGraphs

POOL = 3  # max-pooling, over filters once and over time at every stage


@dataclass
class AASISTConfig(FilterBankConfig):
    """The size of the network, and the share of nodes that each graph pooling keeps; AASIST by default."""

    encoder_channels: int = field(default=64, metadata={"help": "number of channels of the last four encoder blocks"})
    spectral_pool_ratio: float = field(default=0.5, metadata={"help": "share of the nodes that the graph of bands keeps"})
    temporal_pool_ratio: float = field(default=0.7, metadata={"help": "share of the nodes that the graph of frames keeps"})
    joint_pool_ratio: float = field(default=0.5, metadata={"help": "share of the nodes that the joint graphs keep"})


@register_model("aasist", dataclass=AASISTConfig)
class AASIST(SpectroTemporalGraphs):
    """Fixed band-pass filters > residual encoder > a graph of bands and one of frames > attention within and between them.

    Tensor names are those of the published checkpoints. Output: logits, B x 2 (spoof, bona fide).
    """

    min_samples = N_TAPS - 1 + POOL**7  # one frame

    def __init__(self, cfg: AASISTConfig) -> None:
        _require_sizes(cfg)
        super().__init__(
            N_FILTERS // POOL, cfg.encoder_channels, cfg.spectral_pool_ratio, cfg.temporal_pool_ratio, cfg.joint_pool_ratio
        )
        self.filter_bank = SincConvolution(N_FILTERS, N_TAPS, cfg.frequency_masking)
        self.first_bn = nn.BatchNorm2d(1)
        self.encoder = residual_encoder(cfg.encoder_channels, nn.MaxPool2d((1, POOL)))

    def forward(self, source: Tensor) -> Tensor:
        """Logits (B x 2: spoof, bona fide) of waveforms (B x samples, float, 16 kHz)."""
        self.require_samples(source.shape[1])
        x = F.max_pool2d(self.filter_bank(source).unsqueeze(1), POOL)  # B x 1 x bands x T
        x = F.selu(self.first_bn(x.to(self.first_bn.weight.dtype)))
        x = self.encoder(x).abs()  # B x C x bands x frames
        return self.graph_logits(x.amax(dim=3).transpose(1, 2), x.amax(dim=2).transpose(1, 2))


def _require_sizes(cfg: AASISTConfig) -> None:
    if cfg.encoder_channels < 1:
        raise SettingError(f"--encoder-channels {cfg.encoder_channels}: must be >= 1")
    for name in ("spectral_pool_ratio", "temporal_pool_ratio", "joint_pool_ratio"):
        if not 0 < cfg[name] <= 1:
            raise SettingError(f"--{name.replace('_', '-')} {cfg[name]}: must be > 0 and <= 1")


@register_model_architecture("aasist", "aasist_l")
def aasist_l(cfg: AASISTConfig) -> None:
    """The published light system, 85,306 parameters."""
    for name, value in AASIST_L.items():
        setattr(cfg, name, getattr(cfg, name, value))
