"""The recurrence at the heart of Mamba, in plain PyTorch or by the kernels of `mamba_ssm`."""

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .precision import at_least_float32

logger = logging.getLogger(__name__)

CHUNK = 16  # time steps that are computed sequentially
# Chunks that are computed in parallel: one on a CPU, where its states stay in the cache; a GPU prefers few, large steps.
CHUNKS_PER_BLOCK = defaultdict(lambda: 16, cpu=1)


def selective_scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The output of a selective state space: s_t = exp(dt_t A) s_(t-1) + dt_t x_t B_t, y_t = s_t C_t, from a state of 0.

    x, dt > 0: batch x T x D (time, channels); A < 0: D x N (N states a channel); B, C: batch x T x N. Returns y,
    batch x T x D, in the type of x; states are float32, or float64 if x is. There is no division by decays, so that
    neither long sequences nor large dt overflow.
    Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces" (2023), section 3.2, with B
    discretised by Euler's rule, as in the published code.
    """
    inputs = [at_least_float32(tensor) for tensor in (x, dt, A, B, C)]
    kernel = _mamba_ssm_kernel() if x.is_cuda and inputs[0].dtype == torch.float32 else None
    if torch.compiler.is_exporting():
        return scan_by_doubling(*inputs).to(x.dtype)
    with torch.autocast(x.device.type, enabled=False):
        y = scan_with_kernel(kernel, *inputs) if kernel else scan_in_blocks(*inputs)
    return y.to(x.dtype)


@cache
def _mamba_ssm_kernel() -> Callable[..., Tensor] | None:
    """The fused scan of `mamba_ssm`, or None where the package is missing or cannot be imported."""
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
    except ImportError as error:
        if not (isinstance(error, ModuleNotFoundError) and error.name == "mamba_ssm"):
            logger.warning("mamba_ssm is installed but cannot be imported (%s): its kernels are not used", error)
        return None
    return selective_scan_fn


def scan_with_kernel(kernel: Callable[..., Tensor], x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The same scan by `mamba_ssm`'s selective_scan_fn, which has time as the last dimension."""
    x, dt, B, C = (tensor.transpose(1, 2).contiguous() for tensor in (x, dt, B, C))
    return kernel(x, dt, A.contiguous(), B, C).transpose(1, 2)


def scan_in_blocks(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The same scan in plain PyTorch, on any device."""
    n_steps = x.shape[1]
    block = CHUNK * min(CHUNKS_PER_BLOCK[x.device.type], math.ceil(n_steps / CHUNK))
    x, dt, B, C = (F.pad(tensor, (0, 0, 0, -n_steps % block)) for tensor in (x, dt, B, C))  # dt = 0 leaves the state as it is
    return _SelectiveScan.apply(x, dt, A.t().contiguous(), B, C, block)[:, :n_steps]


def scan_by_doubling(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The same scan in few, large operations without a loop over time steps, for graphs that are exported.

    Each pass doubles the number of earlier steps that a state includes (Hillis and Steele, "Data Parallel Algorithms", 1986).
    """
    decays = (dt.unsqueeze(3) * A).exp()  # batch x T x D x N
    states = (dt * x).unsqueeze(3) * B.unsqueeze(2)
    distance = 1
    while distance < x.shape[1]:
        states = states + decays * F.pad(states, (0, 0, 0, 0, distance, 0))[:, :-distance]
        decays = decays * F.pad(decays, (0, 0, 0, 0, distance, 0))[:, :-distance]
        distance *= 2
    return (states @ C.unsqueeze(3)).squeeze(3)


class _SelectiveScan(torch.autograd.Function):
    """Computes block after block of time steps, and keeps only the last state of each for the backward pass.

    Here A is N x D, and T a multiple of `block`. einsum would transpose and copy its operands: it is 5 to 10 times slower
    than the products and sums below.
    """

    @staticmethod
    def forward(ctx, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, block: int) -> Tensor:
        ctx.block = block
        memory = _memory(x, A, block)
        initial_states = [x.new_zeros(x.shape[0], *A.shape)]
        outputs = []
        for x_, dt_, B_, C_ in _blocks(block, x, dt, B, C):
            _, states = _decays_and_states(x_, dt_, A, B_, initial_states[-1], memory)
            outputs.append((C_.unsqueeze(2) @ states).squeeze(2))
            initial_states.append(states[:, -1].clone())
        ctx.save_for_backward(x, dt, A, B, C, *initial_states[:-1])
        return torch.cat(outputs, dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_y: Tensor) -> tuple[Tensor | None, ...]:
        x, dt, A, B, C, *initial_states = ctx.saved_tensors
        memory = _memory(x, A, ctx.block)
        grad_A = torch.zeros_like(A)
        grad_last = torch.zeros_like(initial_states[0])  # of the last state of a block, from the later blocks
        block_grads = []
        blocks = list(zip(_blocks(ctx.block, x, dt, B, C, grad_y), initial_states, strict=True))
        for (x_, dt_, B_, C_, grad_y_), initial in reversed(blocks):
            decays, states = _decays_and_states(x_, dt_, A, B_, initial, memory)
            grad_C = (states * grad_y_.unsqueeze(2)).sum(3)
            # The gradients of the states follow the same recurrence, from the last step to the first.
            grads = (grad_y_.unsqueeze(2) * C_.unsqueeze(3)).flip(1)
            grads[:, 0] += grad_last
            grads = _recurrence(decays.roll(-1, dims=1).flip(1), grads).flip(1)
            grad_last = decays[:, 0] * grads[:, 0]
            through_input = (B_.unsqueeze(2) @ grads).squeeze(2)
            grad_B = (grads * (dt_ * x_).unsqueeze(2)).sum(3)
            previous = torch.cat([initial.unsqueeze(1), states[:, :-1]], dim=1)
            grad_exponents = grads.mul_(previous).mul_(decays)
            grad_A += (grad_exponents * dt_.unsqueeze(2)).sum((0, 1))
            grad_dt = through_input * x_ + (grad_exponents * A).sum(2)
            block_grads.append((through_input * dt_, grad_dt, grad_B, grad_C))
        grad_x, grad_dt, grad_B, grad_C = (torch.cat(grads, dim=1) for grads in zip(*reversed(block_grads), strict=True))
        return grad_x, grad_dt, grad_A, grad_B, grad_C, None


def _blocks(n_steps: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(tensor.split(n_steps, dim=1) for tensor in tensors), strict=True)


def _memory(x: Tensor, A: Tensor, block: int) -> Tensor:
    """Buffers for the decays and states of a block; allocating them for every block would take longer than filling them."""
    return x.new_empty(2, x.shape[0], block, *A.shape)


def _decays_and_states(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, initial: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """exp(dt_t A) and s_t of a block, each batch x block x N x D, from the state before it (batch x N x D)."""
    decays = torch.mul(dt.unsqueeze(2), A, out=memory[0]).exp_()
    states = torch.mul((dt * x).unsqueeze(2), B.unsqueeze(3), out=memory[1])
    states[:, 0].addcmul_(decays[:, 0], initial)
    return decays, _recurrence(decays, states)


def _recurrence(decays: Tensor, inputs: Tensor) -> Tensor:
    """s_t = decay_t s_(t-1) + input_t along dimension 1, from 0; in place."""
    decays, states = (tensor.unflatten(1, (-1, CHUNK)) for tensor in (decays, inputs))  # batch x chunks x CHUNK x N x D
    for (before, _), (state, decay) in pairwise(zip(states.unbind(2), decays.unbind(2), strict=True)):
        state.addcmul_(decay, before)
    since_start = decays[:, 1:].cumprod(dim=2)  # may underflow to 0, which is correct: it is never a divisor
    for chunk in range(1, states.shape[1]):
        states[:, chunk].addcmul_(since_start[:, chunk - 1], states[:, chunk - 1, -1:])
    return inputs
