"""RawNet2 for anti-spoofing: "End-to-End Anti-Spoofing with RawNet2" (Tak, Patino, Todisco, Nautsch, Evans, Larcher,
ICASSP 2021).
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import register_model
from torch import Tensor, nn
from torch.nn import functional as F

from sls_plugin.modules.fairseq_detector import FairseqDetector
from sls_plugin.modules.residual_block import ResidualBlock1d
from sls_plugin.modules.sinc_convolution import SincConvolution

N_FILTERS, N_TAPS = 20, 1025
CHANNELS = (N_FILTERS, 20, 20, 128, 128, 128, 128)  # before the six blocks and after each
N_HIDDEN = 1024
POOL = 3  # steps in time that become one, in front of the blocks and after each


@dataclass
class RawNet2Config(FairseqDataclass):
    """No settings: the published sizes, for clips of any length."""


@register_model("rawnet2", dataclass=RawNet2Config)
class RawNet2(FairseqDetector):
    """Fixed band-pass filters > residual blocks, each with a gate per channel > GRU > log-softmax of the last step.

    Tensor names are those of the published model. Output: log-probabilities, B x 2 (spoof, bona fide).
    """

    min_samples = N_TAPS - 1 + POOL**7  # one step of the GRU

    def __init__(self, cfg: RawNet2Config) -> None:
        super().__init__()
        self.filter_bank = SincConvolution(N_FILTERS, N_TAPS)
        self.first_bn = nn.BatchNorm1d(N_FILTERS)
        for number, (n_in, n_out) in enumerate(pairwise(CHANNELS)):
            block = ResidualBlock1d(n_in, n_out, first=number == 0)
            self.add_module(f"block{number}", nn.Sequential(block, nn.MaxPool1d(POOL)))
            self.add_module(f"fc_attention{number}", nn.Sequential(nn.Linear(n_out, n_out), nn.Sigmoid()))
        self.bn_before_gru = nn.BatchNorm1d(CHANNELS[-1])
        self.gru = nn.GRU(CHANNELS[-1], N_HIDDEN, num_layers=3, batch_first=True)
        self.fc1_gru = nn.Linear(N_HIDDEN, N_HIDDEN)
        self.fc2_gru = nn.Linear(N_HIDDEN, 2)

    def forward(self, source: Tensor) -> Tensor:
        """Log-probabilities (B x 2: spoof, bona fide) of waveforms (B x samples, float, 16 kHz)."""
        self.require_samples(source.shape[1])
        x = F.max_pool1d(self.filter_bank(source), POOL)  # B x filters x T
        x = F.selu(self.first_bn(x.to(self.first_bn.weight.dtype)))
        for number in range(len(CHANNELS) - 1):
            x = getattr(self, f"block{number}")(x)  # B x channels x T/3
            gate = getattr(self, f"fc_attention{number}")(x.mean(dim=2)).unsqueeze(2)  # B x channels x 1
            x = torch.addcmul(gate, x, gate)
        x = F.selu(self.bn_before_gru(x))
        x, _ = self.gru(x.transpose(1, 2))  # B x T x hidden
        x = self.fc2_gru(self.fc1_gru(x[:, -1]))
        return F.log_softmax(x.float(), dim=1)
