"""RawGAT-ST: "End-to-End Spectro-Temporal Graph Attention Networks for Speaker Verification Anti-Spoofing and Speech
Deepfake Detection" (Tak, Jung, Patino, Kamble, Todisco, Evans, ASVspoof workshop 2021).
"""

from dataclasses import dataclass

from fairseq.models import register_model
from omegaconf import II
from torch import Tensor, nn
from torch.nn import functional as F

from protocols import DataError
from sls_plugin.modules.fairseq_detector import FairseqDetector
from sls_plugin.modules.graph_attention import GraphAttention, GraphPool
from sls_plugin.modules.residual_block import residual_encoder
from sls_plugin.modules.sinc_convolution import N_FILTERS, N_TAPS, FilterBankConfig, SincConvolution

POOL = 3  # max-pooling, over filters once and over time at every stage
SAMPLES_PER_FRAME = POOL**7
N_CHANNELS = 64
N_NODES = 12  # of the joint graph


@dataclass
class RawGATSTConfig(FilterBankConfig):
    """The length of the clips: the network is built for it."""

    max_samples: int = II("task.max_samples")


@register_model("rawgat_st", dataclass=RawGATSTConfig)
class RawGATST(FairseqDetector):
    """Fixed band-pass filters > encoder and graph of bands, encoder and graph of frames > graph of their product > logits.

    Tensor names are those of the published model, where T marks the branch that pools over time (the bands).
    Output: logits, B x 2 (spoof, bona fide).
    """

    min_samples = N_TAPS - 1 + 2 * SAMPLES_PER_FRAME  # two frames: a pooled graph keeps at least two nodes

    def __init__(self, cfg: RawGATSTConfig) -> None:
        super().__init__()
        super().require_samples(cfg.max_samples)
        self.n_frames = _n_frames(cfg.max_samples)
        self.filter_bank = SincConvolution(N_FILTERS, N_TAPS, cfg.frequency_masking)
        self.first_bn = nn.BatchNorm2d(1)
        self.encoder_T = residual_encoder(N_CHANNELS, nn.MaxPool2d((1, POOL)))
        self.encoder_S = residual_encoder(N_CHANNELS, nn.MaxPool2d((1, POOL)))
        self.GAT_layer_T, self.GAT_layer_S = GraphAttention(N_CHANNELS, 32), GraphAttention(N_CHANNELS, 32)
        self.GAT_layer_ST = GraphAttention(32, 16)
        self.pool_T, self.pool_S = GraphPool(0.64, 32, min_nodes=2), GraphPool(0.81, 32, min_nodes=2)
        self.pool_ST = GraphPool(0.64, 16, min_nodes=2)
        self.proj_T = nn.Linear(self.pool_T.n_kept(N_FILTERS // POOL), N_NODES)
        self.proj_S = nn.Linear(self.pool_S.n_kept(self.n_frames), N_NODES)
        self.proj_ST = nn.Linear(16, 1)
        self.out_layer = nn.Linear(self.pool_ST.n_kept(N_NODES), 2)

    def forward(self, source: Tensor) -> Tensor:
        """Logits (B x 2: spoof, bona fide) of waveforms (B x samples, float, 16 kHz)."""
        self.require_samples(source.shape[1])
        x = F.max_pool2d(self.filter_bank(source).unsqueeze(1), POOL)  # B x 1 x bands x T
        x = F.selu(self.first_bn(x.to(self.first_bn.weight.dtype)))
        bands = self.encoder_T(x).abs().amax(dim=3).transpose(1, 2)  # B x bands x C
        frames = self.encoder_S(x).abs().amax(dim=2).transpose(1, 2)  # B x frames x C
        bands = self.pool_T(self.GAT_layer_T(bands)).transpose(1, 2)  # B x 32 x 14
        frames = self.pool_S(self.GAT_layer_S(frames)).transpose(1, 2)  # B x 32 x 23
        joint = (self.proj_T(bands) * self.proj_S(frames)).transpose(1, 2)  # B x 12 x 32
        joint = self.pool_ST(self.GAT_layer_ST(joint))  # B x 7 x 16
        return self.out_layer(self.proj_ST(joint).squeeze(2)).float()

    def require_samples(self, n_samples: int) -> None:
        if _n_frames(n_samples) != self.n_frames:
            shortest = N_TAPS - 1 + self.n_frames * SAMPLES_PER_FRAME
            longest = shortest + SAMPLES_PER_FRAME - 1
            raise DataError(f"clips of {n_samples:,} samples: this RawGAT-ST takes {shortest:,} to {longest:,}")


def _n_frames(n_samples: int) -> int:
    return (n_samples - N_TAPS + 1) // SAMPLES_PER_FRAME
