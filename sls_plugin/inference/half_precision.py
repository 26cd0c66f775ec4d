"""Half precision, checked against float32 on the first clips of a run.

Some processors compute some operations wrongly in half precision: with torch 2.13 a CPU with AMX is off by as much as the
result itself, and not twice the same, in bfloat16 convolutions of few channels and long kernels. The scores would be wrong
without any sign of it.
"""

import logging

import torch
from torch import Tensor, nn

from protocols import SettingError

logger = logging.getLogger(__name__)

CHECKED_CLIPS = 4
# Relative error of a convolution: rounding to bfloat16 makes it about 0.003, a wrong kernel about 1.
LARGEST_CONVOLUTION_ERROR = 0.05
# Mean difference of the outputs, relative to their size: at most 0.03 for the published AASIST models in bfloat16.
LARGEST_OUTPUT_ERROR = 0.1


def is_half(dtype: torch.dtype) -> bool:
    return dtype in (torch.bfloat16, torch.float16)


def dtype_of(model: nn.Module) -> torch.dtype:
    """The type of a model's weights; float32 where it has none."""
    return next((parameter.dtype for parameter in model.parameters()), torch.float32)


@torch.no_grad()
def check_half_precision(model: nn.Module, source: Tensor) -> None:
    """Check a model whose weights are in half precision on up to four waveforms (B x samples), before it scores.

    The model computes these clips once more in float32; convolutions that are wrong compute in float32 from then on.
    Raises SettingError where the outputs still differ.
    """
    dtype, clips = dtype_of(model), source[:CHECKED_CLIPS]
    if is_half(dtype):
        expected = model.eval().float()(clips)
        model.to(dtype)  # exact: the weights were rounded before
        repair_convolutions(model, clips)
        require_close(model(clips), expected, dtype)


def repair_convolutions(model: nn.Module, source: Tensor) -> None:
    """Compute in float32 the convolutions that this processor gets wrong in the type of the model."""
    dtype = dtype_of(model)
    wrong = wrong_convolutions(model, source)
    for convolution in wrong:
        convolution.float()
        convolution.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
        convolution.register_forward_hook(lambda _, inputs, output: output.to(dtype))
    if wrong:
        logger.warning("%s: using float32 there", _finding(dtype, wrong))


def refuse_wrong_convolutions(model: nn.Module, source: Tensor) -> None:
    """SettingError when a model in training or validation has half-precision weights and convolutions that are wrong."""
    dtype = dtype_of(model)
    if not is_half(dtype):
        return
    was_training = model.training
    wrong = wrong_convolutions(model.eval(), source[:CHECKED_CLIPS])
    model.train(was_training)
    if wrong:
        raise SettingError(f"{_finding(dtype, wrong)}: leave out --bf16 or --fp16")


@torch.no_grad()
def wrong_convolutions(model: nn.Module, source: Tensor) -> list[nn.Module]:
    """The convolutions whose output on these waveforms (B x samples) is not that of float32 arithmetic."""
    wrong: list[nn.Module] = []

    def compare(convolution: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        weight, bias = convolution.weight.float(), convolution.bias
        expected = convolution._conv_forward(inputs[0].float(), weight, None if bias is None else bias.float())
        if not (output.float() - expected).norm() <= LARGEST_CONVOLUTION_ERROR * expected.norm():
            wrong.append(convolution)

    convolutions = [module for module in model.modules() if isinstance(module, (nn.Conv1d, nn.Conv2d))]
    hooks = [convolution.register_forward_hook(compare) for convolution in convolutions]
    try:
        model(source)
    finally:
        for hook in hooks:
            hook.remove()
    return wrong


def require_close(output: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    """SettingError when outputs (B x 2) in half precision are not close to those in float32, where these are finite."""
    if not expected.isfinite().all():
        return  # no fault of half precision
    difference = (output.float() - expected.float()).abs().mean().item()
    size = expected.float().abs().mean().item()
    if not difference <= LARGEST_OUTPUT_ERROR * max(1.0, size):
        what = f"outputs on the first {len(expected)} clips differ by {difference:.2g} on average from those in float32"
        raise SettingError(f"{_name(dtype)}: {what}: use --dtype float32")


def _finding(dtype: torch.dtype, wrong: list[nn.Module]) -> str:
    number = f"{len(wrong)} convolutions" if len(wrong) > 1 else "one convolution"
    return f"{_name(dtype)}: this processor computes {number} of the model wrongly"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
