"""Residual blocks: shapes, the norm without effect, and the reference's arithmetic."""

import numpy as np
import pytest
import torch
from detectors import float64_weights
from reference.graph_reference import leaky_relu, residual_block, selu
from reference.synthetic_weights import fill_outside_backbone
from torch import nn

from sls_plugin.modules.residual_block import ResidualBlock1d, ResidualBlock2d, residual_encoder

BLOCKS = [
    pytest.param(ResidualBlock1d, (5, 11), leaky_relu, id="1d"),
    pytest.param(ResidualBlock2d, (5, 7, 11), selu, id="2d"),
]


def block_of(kind: type[nn.Module], n_out: int, first: bool = False) -> nn.Module:
    block = kind(5, n_out, first=first).eval()
    fill_outside_backbone(block)
    return block


@pytest.mark.parametrize("n_out", [5, 6])
@pytest.mark.parametrize(("kind", "shape", "activation"), BLOCKS)
def test_a_block_is_the_references(kind, shape, activation, n_out: int) -> None:
    block = block_of(kind, n_out)
    x = np.random.default_rng(1).standard_normal(shape)
    with torch.no_grad():
        output = block(torch.from_numpy(x[np.newaxis].astype(np.float32)))[0]
    weights = {f"block.{name}": values for name, values in float64_weights(block).items()}
    image = x if len(shape) == 3 else x[:, np.newaxis]
    expected = residual_block(weights, "block", image, activation, one_dimensional=len(shape) == 2)
    assert output.shape == (n_out, *shape[1:])
    np.testing.assert_allclose(output, expected.reshape(output.shape), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "shape", "activation"), BLOCKS)
def test_the_first_norm_has_no_effect_and_is_not_trained(kind, shape, activation) -> None:
    block = block_of(kind, 6).train()
    x = torch.randn(3, *shape)
    expected = block(x)
    expected.sum().backward()
    assert {name for name, p in block.named_parameters() if p.grad is None} == {"bn1.weight", "bn1.bias"}
    with torch.no_grad():
        for tensor in (block.bn1.weight, block.bn1.bias, block.bn1.running_mean, block.bn1.running_var):
            tensor.fill_(7.0)
    assert torch.equal(block(x), expected)


@pytest.mark.parametrize(("kind", "shape", "activation"), BLOCKS)
def test_the_first_block_of_a_network_has_no_such_norm(kind, shape, activation) -> None:
    assert not any(name.startswith("bn1") for name in block_of(kind, 5, first=True).state_dict())


def test_an_encoder_pools_time_and_keeps_the_bands() -> None:
    x = torch.randn(2, 1, 4, 800)
    assert residual_encoder(8, nn.MaxPool2d((1, 3))).eval()(x).shape == (2, 8, 4, 1)
    assert residual_encoder(8, nn.Identity()).eval()(x[..., :10]).shape == (2, 8, 4, 10)
