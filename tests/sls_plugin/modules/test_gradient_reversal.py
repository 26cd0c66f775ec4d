"""Gradient reversal against its definition: the identity forwards, minus lambda times the derivative backwards."""

import pytest
import torch
from torch import Tensor

from sls_plugin.modules.gradient_reversal import reverse_gradient


def features() -> Tensor:
    return torch.linspace(-2, 3, 12, dtype=torch.float64).view(3, 4)


def error(x: Tensor, weight: Tensor) -> Tensor:
    """A discriminator's loss, nowhere linear."""
    return (torch.tanh(x @ weight) - 0.3).square().sum()


def numerical_derivative(weight: Tensor, step: float = 1e-6) -> Tensor:
    x = features()
    derivative = torch.zeros_like(x)
    for index in range(x.numel()):
        shift = torch.zeros(x.numel(), dtype=x.dtype)
        shift[index] = step
        shift = shift.view_as(x)
        derivative.view(-1)[index] = (error(x + shift, weight) - error(x - shift, weight)) / (2 * step)
    return derivative


@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0, 10.0])
def test_the_encoder_climbs_what_the_discriminator_descends(scale: float) -> None:
    weight = torch.linspace(-1, 1, 8, dtype=torch.float64).view(4, 2).requires_grad_()
    x = features().requires_grad_()
    loss = error(reverse_gradient(x, scale), weight)
    assert loss == error(x, weight)
    loss.backward()
    torch.testing.assert_close(x.grad, -scale * numerical_derivative(weight.detach()), rtol=1e-6, atol=1e-9)
    (expected,) = torch.autograd.grad(error(features(), weight), weight)
    assert torch.equal(weight.grad, expected)  # at full strength, whatever lambda


def test_reversed_twice_it_is_the_identity() -> None:
    assert torch.autograd.gradcheck(lambda x: reverse_gradient(reverse_gradient(x, 2.0), 0.5), [features().requires_grad_()])


def test_reversed_once_it_is_not() -> None:
    inputs = [features().requires_grad_()]
    assert not torch.autograd.gradcheck(lambda x: reverse_gradient(x, 1.0), inputs, raise_exception=False)
