"""Graph attention and pooling: against loops over nodes, and what must hold for any graph."""

import numpy as np
import pytest
import torch
from detectors import float64_weights
from reference.graph_reference import graph_attention, graph_pool, heterogeneous_attention
from reference.synthetic_weights import fill_outside_backbone
from torch import nn

from sls_plugin.modules.graph_attention import GraphAttention, GraphPool, HeterogeneousGraphAttention


def filled(module: nn.Module) -> tuple[nn.Module, dict[str, np.ndarray]]:
    """The module in evaluation with no tensor of 0 or 1, and its tensors for the reference, under the name `g`."""
    fill_outside_backbone(module)
    return module.eval(), {f"g.{name}": values for name, values in float64_weights(module).items()}


def graphs(n_nodes: int, n_features: int = 6, n_graphs: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(n_nodes).standard_normal((n_graphs, n_nodes, n_features), dtype=np.float32))


@torch.no_grad()
@pytest.mark.parametrize("n_nodes", [1, 2, 7])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_attention_within_a_graph_is_the_references(n_nodes: int, temperature: float) -> None:
    attention, weights = filled(GraphAttention(6, 4, temperature))
    output = attention(graphs(n_nodes))
    assert output.shape == (3, n_nodes, 4)
    for one, nodes in zip(output, graphs(n_nodes), strict=True):
        np.testing.assert_allclose(one, graph_attention(weights, "g", nodes.double().numpy(), temperature), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("n_first", "n_second"), [(1, 1), (4, 3), (2, 6)])
def test_attention_between_graphs_is_the_references(n_first: int, n_second: int) -> None:
    attention, weights = filled(HeterogeneousGraphAttention(6, 4, temperature=100.0))
    attention.att_proj.weight.mul_(100)  # at this temperature scores hardly differ, and any score would do
    attention.att_projM.weight.mul_(100)
    for vector in (attention.att_weight11, attention.att_weight12, attention.att_weight22, attention.att_weightM):
        vector.mul_(100)
    weights = {f"g.{name}": values for name, values in float64_weights(attention).items()}
    first, second, master = graphs(n_first), graphs(n_second) + 1, graphs(1)
    outputs = attention(first, second, master)
    assert [tuple(output.shape) for output in outputs] == [(3, n_first, 4), (3, n_second, 4), (3, 1, 4)]
    for number in range(3):
        one, two, heard = (x[number].double().numpy() for x in (first, second, master))
        expected = heterogeneous_attention(weights, "g", one, two, heard[0])
        for output, values in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(output[number].squeeze(), values.squeeze(), atol=1e-4)


@torch.no_grad()
def test_one_master_for_all_graphs_is_the_same_master_for_each() -> None:
    attention, _ = filled(HeterogeneousGraphAttention(6, 4, temperature=100.0))
    master = graphs(1, n_graphs=1)
    for one, other in zip(
        attention(graphs(4), graphs(3), master), attention(graphs(4), graphs(3), master.expand(3, -1, -1)), strict=True
    ):
        torch.testing.assert_close(one, other)


@torch.no_grad()
def test_attention_does_not_depend_on_the_order_of_nodes() -> None:
    attention, _ = filled(GraphAttention(6, 4))
    order = [4, 0, 3, 1, 2]
    torch.testing.assert_close(attention(graphs(5)[:, order]), attention(graphs(5))[:, order])


@torch.no_grad()
@pytest.mark.parametrize(
    ("ratio", "fewest", "n_nodes", "n_kept"),
    [(0.5, 1, 23, 11), (0.7, 1, 29, 20), (0.4, 1, 23, 9), (0.7, 1, 14, 9), (0.81, 2, 29, 23), (0.1, 1, 3, 1), (0.64, 2, 2, 2)],
)
def test_pooling_keeps_the_best_nodes_in_descending_order(ratio: float, fewest: int, n_nodes: int, n_kept: int) -> None:
    pool, weights = filled(GraphPool(ratio, 6, fewest))
    output = pool(graphs(n_nodes))
    assert output.shape == (3, n_kept, 6)
    for one, nodes in zip(output, graphs(n_nodes), strict=True):
        np.testing.assert_allclose(one, graph_pool(weights, "g", nodes.double().numpy(), ratio, fewest), atol=1e-6)


def test_pooling_draws_scores_in_training_and_never_changes_a_nodes_features() -> None:
    """Dropout is on the way to the score alone: a kept node is the node times a factor."""
    pool, _ = filled(GraphPool(1.0, 6))
    nodes = graphs(5, n_graphs=1)
    torch.manual_seed(0)
    directions = nn.functional.normalize(pool.train()(nodes), dim=2)[0]
    similar = directions @ nn.functional.normalize(nodes, dim=2)[0].T
    torch.testing.assert_close(similar.amax(dim=1), torch.ones(5))
    assert not torch.equal(pool(nodes), pool(nodes))


@pytest.mark.parametrize("module", [GraphAttention(6, 4), GraphPool(0.5, 6)])
def test_dropout_works_in_training_only(module: nn.Module) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        assert not torch.equal(module.train()(graphs(8)), module(graphs(8)))
        assert torch.equal(module.eval()(graphs(8)), module(graphs(8)))
