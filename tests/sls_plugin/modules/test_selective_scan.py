"""The scan against a loop over single time steps: outputs, gradients, extremes, precisions, devices."""

import logging
import sys
import types
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from reference.mamba_reference import step_by_step_scan
from torch.nn import functional as F

from sls_plugin.modules import selective_scan as module
from sls_plugin.modules.selective_scan import scan_by_doubling, scan_with_kernel, selective_scan


def inputs(
    n_steps: int, batch: int = 2, channels: int = 5, n_states: int = 3, mean_dt: float = 0.1, dtype: torch.dtype = torch.float64
) -> list[torch.Tensor]:
    rng = np.random.default_rng(n_steps)
    x, dt, B, C = (rng.standard_normal((batch, n_steps, size)) for size in (channels, channels, n_states, n_states))
    dt = mean_dt * np.exp(dt)
    A = -np.exp(rng.standard_normal((channels, n_states)))
    return [torch.from_numpy(array).to(dtype) for array in (x, dt, A, B, C)]


@pytest.fixture(params=[1, 3, 16], ids=lambda n: f"{n} chunks a block")
def chunks_per_block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """What a CPU takes at a time, and what a GPU would."""
    monkeypatch.setattr(module, "CHUNKS_PER_BLOCK", defaultdict(lambda: request.param))
    return request.param


@pytest.mark.parametrize("n_steps", [1, 2, 15, 16, 17, 48, 201, 208, 1000])
def test_outputs_are_the_step_loops(n_steps: int, chunks_per_block: int) -> None:
    output, expected = selective_scan(*inputs(n_steps)), step_by_step_scan(*inputs(n_steps))
    assert output.shape == (2, n_steps, 5)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_steps", [1, 2, 16, 17, 201, 1000])
@pytest.mark.parametrize("mean_dt", [1e-3, 0.1, 50.0])  # long memory, that of the first weights, nearly none
def test_the_scan_of_exported_graphs_is_the_step_loop(n_steps: int, mean_dt: float) -> None:
    tensors = inputs(n_steps, mean_dt=mean_dt)
    torch.testing.assert_close(scan_by_doubling(*tensors), step_by_step_scan(*tensors), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_steps", [1, 17, 100])
def test_every_gradient_is_that_of_the_step_loop(n_steps: int, chunks_per_block: int) -> None:
    ours, theirs = ([tensor.requires_grad_() for tensor in inputs(n_steps)] for _ in range(2))
    for scan, tensors in ((selective_scan, ours), (step_by_step_scan, theirs)):
        output = scan(*tensors)
        (output * torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view_as(output)).sum().backward()
    for tensor, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(tensor.grad, expected.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("n_steps", [3, 18])
def test_gradients_are_numerical_derivatives(n_steps: int, chunks_per_block: int) -> None:
    tensors = [tensor.requires_grad_() for tensor in inputs(n_steps, batch=1, channels=2, n_states=2)]
    assert torch.autograd.gradcheck(selective_scan, tensors)


def test_gradients_of_a_long_sequence_are_those_of_the_step_loop(chunks_per_block: int) -> None:
    tensors = [tensor.requires_grad_() for tensor in inputs(2000, batch=1, channels=2, n_states=2, mean_dt=0.01)]
    weight = torch.linspace(-1, 1, 4000, dtype=torch.float64).view(1, 2000, 2)
    ours = torch.autograd.grad((weight * selective_scan(*tensors)).sum(), tensors)
    theirs = torch.autograd.grad((weight * step_by_step_scan(*tensors)).sum(), tensors)
    for gradient, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mean_dt", [1e-6, 30.0, 1e6])
def test_decays_that_vanish_or_last(mean_dt: float, chunks_per_block: int) -> None:
    """float32: exp(dt A) is 0 or 1 almost everywhere; dividing by a product of decays would give infinities."""
    single = [tensor.requires_grad_() for tensor in inputs(300, mean_dt=mean_dt, dtype=torch.float32)]
    output = selective_scan(*single)
    output.sum().backward()
    expected = step_by_step_scan(*inputs(300, mean_dt=mean_dt))
    torch.testing.assert_close(output.double(), expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())
    assert all(tensor.grad.isfinite().all() for tensor in single)


def test_the_future_is_not_heard(chunks_per_block: int) -> None:
    tensors = inputs(100)
    output = selective_scan(*tensors)
    for tensor in (tensors[0], tensors[1], tensors[3], tensors[4]):
        tensor[:, 60:] *= 3
    changed = selective_scan(*tensors)
    assert torch.equal(changed[:, :60], output[:, :60])
    assert (changed[:, 60] != output[:, 60]).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_keep_single_precision_states(dtype: torch.dtype) -> None:
    """What is summed is rounded only once, at the end, whatever the number of steps."""
    half = inputs(1000, mean_dt=0.01, dtype=dtype)
    output = selective_scan(*half)
    expected = step_by_step_scan(*(tensor.float() for tensor in half))
    assert output.dtype == dtype
    torch.testing.assert_close(output, expected.to(dtype), rtol=2 * torch.finfo(dtype).eps, atol=1e-6)


def test_autocast_leaves_the_states_in_single_precision() -> None:
    single = inputs(200, dtype=torch.float32)
    expected = selective_scan(*single)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(selective_scan(*single), expected, rtol=0, atol=0)


# The kernels of mamba_ssm


@pytest.fixture
def mamba_ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """An empty package in the place of mamba_ssm, installed here or not."""
    module._mamba_ssm_kernel.cache_clear()
    package = types.ModuleType("mamba_ssm")
    monkeypatch.setitem(sys.modules, "mamba_ssm", package)
    yield package
    module._mamba_ssm_kernel.cache_clear()


def test_without_mamba_ssm_nothing_is_said(
    mamba_ssm: types.ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "mamba_ssm")
    monkeypatch.setattr(sys, "path", [])
    assert module._mamba_ssm_kernel() is None
    assert not caplog.records


def test_a_mamba_ssm_that_does_not_load_is_told_once(mamba_ssm: types.ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert module._mamba_ssm_kernel() is None
        assert module._mamba_ssm_kernel() is None
    assert len(caplog.records) == 1
    assert "mamba_ssm is installed but" in caplog.text


def test_the_kernel_gets_time_last() -> None:
    """Its documented layout, here in PyTorch: u and delta batch x D x T, A D x N, B and C batch x N x T."""

    def kernel(u: torch.Tensor, delta: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor) -> torch.Tensor:
        assert all(tensor.is_contiguous() for tensor in (u, delta, A, B, C))
        state, outputs = torch.zeros(u.shape[0], *A.shape, dtype=u.dtype), []
        for step in range(u.shape[2]):
            now = (..., step)
            state = torch.exp(torch.einsum("bd,dn->bdn", delta[now], A)) * state
            state = state + torch.einsum("bd,bd,bn->bdn", delta[now], u[now], B[now])
            outputs.append(torch.einsum("bdn,bn->bd", state, C[now]))
        return torch.stack(outputs, dim=2)

    torch.testing.assert_close(scan_with_kernel(kernel, *inputs(20)), step_by_step_scan(*inputs(20)), rtol=0, atol=1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_plain_pytorch_on_a_gpu_gives_what_it_gives_on_a_cpu() -> None:
    single = inputs(300, channels=64, n_states=16, dtype=torch.float32)
    output = module.scan_in_blocks(*(tensor.cuda() for tensor in single))
    torch.testing.assert_close(output.cpu(), module.scan_in_blocks(*single), rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="mamba_ssm's kernels need a CUDA device")
@pytest.mark.parametrize("n_steps", [201, 208, 3000])
def test_the_kernels_give_the_same_outputs_and_gradients(n_steps: int) -> None:
    pytest.importorskip("mamba_ssm", reason="mamba_ssm is not installed")
    kernel = module._mamba_ssm_kernel()
    assert kernel is not None
    plain, fused = (
        [tensor.cuda().requires_grad_() for tensor in inputs(n_steps, channels=288, n_states=16, dtype=torch.float32)]
        for _ in range(2)
    )
    expected, output = module.scan_in_blocks(*plain), scan_with_kernel(kernel, *fused)
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)
    weight = F.normalize(torch.sin(torch.arange(expected.numel(), device="cuda")).view_as(expected), dim=1)
    (expected * weight).sum().backward()
    (output * weight).sum().backward()
    for tensor, reference in zip(fused, plain, strict=True):
        scale = reference.grad.abs().max().item()
        torch.testing.assert_close(tensor.grad, reference.grad, rtol=1e-3, atol=1e-4 * scale)
