"""The head of AASIST (Jung et al., ICASSP 2022, section 3), for raw waveforms and for XLS-R."""

import torch
from torch import Tensor, nn

from .fairseq_detector import FairseqDetector
from .graph_attention import GraphAttention, GraphPool, HeterogeneousGraphAttention
from .output_layer import build_output_layer

N_HIDDEN = 32  # features of a node in the heterogeneous graphs
Nodes = tuple[Tensor, Tensor, Tensor]  # of frames, of bands, the master: each B x nodes x C


class SpectroTemporalGraphs(FairseqDetector):
    """A graph of bands and one of frames > attention within each > two parallel branches of attention between them > logits.

    A base class and not a submodule of detectors, because its tensors have no prefix in the published checkpoints.
    """

    def __init__(
        self,
        n_bands: int,
        n_channels: int,
        spectral_pool_ratio: float,
        temporal_pool_ratio: float,
        joint_pool_ratio: float,
        output_layer: str = "linear",
    ) -> None:
        super().__init__()
        self.pos_S = nn.Parameter(torch.randn(1, n_bands, n_channels))  # bands have an order in their graph, frames have none
        self.master1 = nn.Parameter(torch.randn(1, 1, n_channels))
        self.master2 = nn.Parameter(torch.randn(1, 1, n_channels))
        self.GAT_layer_S = GraphAttention(n_channels, n_channels, temperature=2.0)
        self.GAT_layer_T = GraphAttention(n_channels, n_channels, temperature=2.0)
        self.pool_S = GraphPool(spectral_pool_ratio, n_channels)
        self.pool_T = GraphPool(temporal_pool_ratio, n_channels)
        self.HtrgGAT_layer_ST11 = HeterogeneousGraphAttention(n_channels, N_HIDDEN, temperature=100.0)
        self.HtrgGAT_layer_ST12 = HeterogeneousGraphAttention(N_HIDDEN, N_HIDDEN, temperature=100.0)
        self.HtrgGAT_layer_ST21 = HeterogeneousGraphAttention(n_channels, N_HIDDEN, temperature=100.0)
        self.HtrgGAT_layer_ST22 = HeterogeneousGraphAttention(N_HIDDEN, N_HIDDEN, temperature=100.0)
        self.pool_hS1, self.pool_hT1 = GraphPool(joint_pool_ratio, N_HIDDEN), GraphPool(joint_pool_ratio, N_HIDDEN)
        self.pool_hS2, self.pool_hT2 = GraphPool(joint_pool_ratio, N_HIDDEN), GraphPool(joint_pool_ratio, N_HIDDEN)
        self.branch_dropout = nn.Dropout(0.2)
        self.readout_dropout = nn.Dropout(0.5)
        self.out_layer = build_output_layer(output_layer, 5 * N_HIDDEN)

    def graph_logits(self, bands: Tensor, frames: Tensor) -> Tensor:
        """Logits, B x 2, of features per band (B x bands x C) and per frame (B x frames x C)."""
        spectral = self.pool_S(self.GAT_layer_S(bands + self.pos_S))
        temporal = self.pool_T(self.GAT_layer_T(frames))
        one = self.HtrgGAT_layer_ST11(temporal, spectral, self.master1)
        one = self._refined(one, self.pool_hT1, self.pool_hS1, self.HtrgGAT_layer_ST12)
        two = self.HtrgGAT_layer_ST21(temporal, spectral, self.master2)
        two = self._refined(two, self.pool_hT2, self.pool_hS2, self.HtrgGAT_layer_ST22)
        temporal, spectral, master = map(torch.maximum, one, two)
        readout = [temporal.abs().amax(dim=1), temporal.mean(dim=1), spectral.abs().amax(dim=1), spectral.mean(dim=1)]
        readout = torch.cat([*readout, master.squeeze(1)], dim=1)  # B x 160
        return self.out_layer(self.readout_dropout(readout)).float()

    def _refined(
        self, nodes: Nodes, temporal_pool: GraphPool, spectral_pool: GraphPool, attention: HeterogeneousGraphAttention
    ) -> Nodes:
        """The nodes of a branch after pooling, plus the output of a second attention."""
        temporal, spectral, master = nodes
        nodes = (temporal_pool(temporal), spectral_pool(spectral), master)
        temporal, spectral, master = (self.branch_dropout(old + new) for old, new in zip(nodes, attention(*nodes), strict=True))
        return temporal, spectral, master
