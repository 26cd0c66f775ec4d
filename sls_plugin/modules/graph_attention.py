"""Attention between the nodes of a graph, and pooling of nodes (Jung et al., "AASIST", ICASSP 2022)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INPUT_DROPOUT = 0.2
SCORE_DROPOUT = 0.3


def attention_vector(n_features: int) -> nn.Parameter:
    """The weights that map the features of a pair of nodes to its score: features x 1."""
    return nn.Parameter(nn.init.xavier_normal_(torch.empty(n_features, 1)))


def pairwise_products(nodes: Tensor) -> Tensor:
    """Products of all pairs of nodes, B x N x C > B x N x N x C."""
    return nodes.unsqueeze(2) * nodes.unsqueeze(1)


def normalised_over_nodes(bn: nn.BatchNorm1d, nodes: Tensor) -> Tensor:
    """Batch norm over the nodes of all graphs, B x N x C."""
    return bn(nodes.flatten(0, 1)).view_as(nodes)


class GraphAttention(nn.Module):
    """Attention between the nodes of one graph, B x N x C_in > B x N x C_out."""

    def __init__(self, n_in: int, n_out: int, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = temperature
        self.input_dropout = nn.Dropout(INPUT_DROPOUT)
        self.att_proj = nn.Linear(n_in, n_out)
        self.att_weight = attention_vector(n_out)
        self.proj_with_att = nn.Linear(n_in, n_out)
        self.proj_without_att = nn.Linear(n_in, n_out)
        self.bn = nn.BatchNorm1d(n_out)

    def forward(self, nodes: Tensor) -> Tensor:
        nodes = self.input_dropout(nodes)
        pairs = torch.tanh(self.att_proj(pairwise_products(nodes)))  # B x N x N x C_out
        scores = (pairs @ self.att_weight).squeeze(3)  # B x N x N
        attention = torch.softmax(scores / self.temperature, dim=2)
        nodes = self.proj_with_att(attention @ nodes) + self.proj_without_att(nodes)
        return F.selu(normalised_over_nodes(self.bn, nodes))


class HeterogeneousGraphAttention(nn.Module):
    """Attention between all nodes of two graphs, B x N1 x C_in and B x N2 x C_in, and a master node that attends to all of them.

    Returns the nodes of both (C_out features) and the master, B x 1 x C_out. The master comes in as B x 1 x C_in, or
    initially as 1 x 1 x C_in.
    """

    def __init__(self, n_in: int, n_out: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.input_dropout = nn.Dropout(INPUT_DROPOUT)
        self.proj_type1 = nn.Linear(n_in, n_in)
        self.proj_type2 = nn.Linear(n_in, n_in)
        self.att_proj = nn.Linear(n_in, n_out)
        self.att_weight11 = attention_vector(n_out)
        self.att_weight22 = attention_vector(n_out)
        self.att_weight12 = attention_vector(n_out)  # between the graphs, in both directions
        self.att_projM = nn.Linear(n_in, n_out)
        self.att_weightM = attention_vector(n_out)
        self.proj_with_att = nn.Linear(n_in, n_out)
        self.proj_without_att = nn.Linear(n_in, n_out)
        self.proj_with_attM = nn.Linear(n_in, n_out)
        self.proj_without_attM = nn.Linear(n_in, n_out)
        self.bn = nn.BatchNorm1d(n_out)

    def forward(self, first: Tensor, second: Tensor, master: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sizes = [first.shape[1], second.shape[1]]
        nodes = torch.cat([self.proj_type1(first), self.proj_type2(second)], dim=1)  # B x (N1 + N2) x C_in
        nodes = self.input_dropout(nodes)
        master = self._update_master(nodes, master)
        attention = torch.softmax(self._scores(nodes, sizes[0]) / self.temperature, dim=2)
        nodes = self.proj_with_att(attention @ nodes) + self.proj_without_att(nodes)
        first, second = F.selu(normalised_over_nodes(self.bn, nodes)).split(sizes, dim=1)
        return first, second, master

    def _scores(self, nodes: Tensor, n: int) -> Tensor:
        """A score per pair, B x (N1 + N2) x (N1 + N2), with weights for each pair of graphs; the first has `n` nodes."""
        pairs = torch.tanh(self.att_proj(pairwise_products(nodes)))
        within_first, to_second = pairs[:, :n, :n] @ self.att_weight11, pairs[:, :n, n:] @ self.att_weight12
        to_first, within_second = pairs[:, n:, :n] @ self.att_weight12, pairs[:, n:, n:] @ self.att_weight22
        rows = [torch.cat([within_first, to_second], dim=2), torch.cat([to_first, within_second], dim=2)]
        return torch.cat(rows, dim=1).squeeze(3)

    def _update_master(self, nodes: Tensor, master: Tensor) -> Tensor:
        scores = torch.tanh(self.att_projM(nodes * master)) @ self.att_weightM  # B x N x 1
        attention = torch.softmax(scores / self.temperature, dim=1).transpose(1, 2)
        return self.proj_with_attM(attention @ nodes) + self.proj_without_attM(master)


class GraphPool(nn.Module):
    """Keeps the nodes with the highest scores, times their scores, B x N x C > B x N' x C."""

    def __init__(self, ratio: float, n_features: int, min_nodes: int = 1) -> None:
        super().__init__()
        self.ratio = ratio
        self.min_nodes = min_nodes
        self.score_dropout = nn.Dropout(SCORE_DROPOUT)
        self.proj = nn.Linear(n_features, 1)

    def n_kept(self, n_nodes: int) -> int:
        return max(int(n_nodes * self.ratio), self.min_nodes)

    def forward(self, nodes: Tensor) -> Tensor:
        scores = torch.sigmoid(self.proj(self.score_dropout(nodes)))  # B x N x 1
        # Sorted, because what follows depends on the rank of a node (AASIST's two branches, RawGAT-ST's projections).
        best = scores.topk(self.n_kept(nodes.shape[1]), dim=1, sorted=True).indices
        return (nodes * scores).gather(1, best.expand(-1, -1, nodes.shape[2]))
