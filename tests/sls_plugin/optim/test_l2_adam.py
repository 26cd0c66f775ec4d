"""The optimiser is torch's Adam with L2 decay, and not fairseq's; groups keep their own learning rate and frozen start."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig
from fairseq.optim.fp16_optimizer import FP16Optimizer
from omegaconf import OmegaConf
from torch import nn

from protocols import SettingError
from sls_plugin.optim.adamw import AdamW, AdamWConfig
from sls_plugin.optim.l2_adam import L2Adam, L2AdamConfig, set_parameter_options

LR = 1e-2


def parameters(count: int = 3) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(4, 5, generator=generator, dtype=torch.float64)) for _ in range(count)]


def gradients(step: int, count: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    scale = 10.0 ** torch.randint(-4, 2, (count,), generator=generator)
    return [scale[k] * torch.randn(4, 5, generator=generator, dtype=torch.float64) for k in range(count)]


def with_overrides(parameter: nn.Parameter, **overrides: float) -> nn.Parameter:
    set_parameter_options([parameter], **overrides)
    return parameter


def l2_adam(params: Sequence[nn.Parameter], lr: float = LR, **settings: Any) -> L2Adam:
    cfg = OmegaConf.structured(L2AdamConfig)
    cfg.lr = [lr]
    for name, value in settings.items():
        cfg[name] = value
    return L2Adam(cfg, params)


def step(optimizer: Any, params: Sequence[nn.Parameter], number: int) -> None:
    for parameter, gradient in zip(params, gradients(number, len(params)), strict=True):
        parameter.grad = gradient
    optimizer.step()


def assert_equal_parameters(left: Sequence[nn.Parameter], right: Sequence[nn.Parameter]) -> None:
    for one, other in zip(left, right, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


# Adam with L2 decay


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"weight_decay": 1e-4}),
        ({"weight_decay": 0.0}, {}),
        ({"weight_decay": 0.3}, {"weight_decay": 0.3}),
        ({"adam_betas": "(0.8, 0.95)", "adam_eps": 1e-3}, {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 1e-4}),
        ({"adam_betas": "0.8,0.95"}, {"betas": (0.8, 0.95), "weight_decay": 1e-4}),
    ],
)
def test_fifty_steps_are_those_of_torch(settings: dict[str, Any], expected: dict[str, Any]) -> None:
    ours, theirs = parameters(), parameters()
    optimizer, adam = l2_adam(ours, **settings), torch.optim.Adam(theirs, lr=LR, **expected)
    for number in range(50):
        step(optimizer, ours, number)
        step(adam, theirs, number)
    assert_equal_parameters(ours, theirs)


def test_the_defaults_are_the_published_recipe() -> None:
    (group,) = l2_adam(parameters()).param_groups
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.9, 0.999), 1e-8, 1e-4)
    assert not group["amsgrad"]
    assert not group["decoupled_weight_decay"]


def test_fairseqs_adam_is_another_optimiser() -> None:
    ours, theirs = parameters(), parameters()
    cfg = OmegaConf.structured(FairseqAdamConfig)
    cfg.lr, cfg.adam_betas, cfg.weight_decay, cfg.tpu = [LR], "(0.9, 0.999)", 0.3, False
    optimizer, adam = l2_adam(ours, weight_decay=0.3), FairseqAdam(cfg, theirs)
    for number in range(5):
        step(optimizer, ours, number)
        step(adam, theirs, number)
    assert all((one - other).abs().max() > 1e-3 for one, other in zip(ours, theirs, strict=True))


def test_a_parameter_without_a_gradient_does_not_decay() -> None:
    params = parameters(2)
    before = params[1].detach().clone()
    optimizer = l2_adam(params, weight_decay=0.5)
    params[0].grad = torch.ones_like(params[0])
    optimizer.step()
    assert torch.equal(params[1], before)


def test_adamw_is_that_of_torch_and_knows_options_of_single_parameters() -> None:
    ours, theirs = parameters(3), parameters(3)
    cfg = OmegaConf.structured(AdamWConfig)
    cfg.lr = [LR]
    optimizer = AdamW(cfg, [ours[0], with_overrides(ours[1], lr_scale=10.0), with_overrides(ours[2], frozen_updates=2)])
    adams = [torch.optim.AdamW([one], lr=scale * LR) for one, scale in zip(theirs, (1, 10, 1), strict=True)]
    for number in range(10):
        step(optimizer, ours, number)
        for index, (parameter, gradient, adam) in enumerate(zip(theirs, gradients(number), adams, strict=True)):
            if index < 2 or number >= 2:
                parameter.grad = gradient
                adam.step()
    assert_equal_parameters(ours, theirs)


# Learning rates


def test_the_learning_rate_that_is_set_is_the_one_that_is_told() -> None:
    """Also where the first parameters have a scale of their own."""
    for scales in ((1.0, 10.0), (10.0, 1.0), (0.3, 7.0)):
        params = [with_overrides(parameter, lr_scale=scale) for parameter, scale in zip(parameters(2), scales, strict=True)]
        optimizer = l2_adam(params)
        for lr in (LR, 1e-6, 0.0, 3e-5):
            optimizer.set_lr(lr)
            assert optimizer.get_lr() == pytest.approx(lr, rel=1e-12)
            assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([lr * scale for scale in scales])


def test_each_group_is_an_adam_with_its_own_learning_rate() -> None:
    ours, theirs = parameters(3), parameters(3)
    optimizer = l2_adam([ours[0], with_overrides(ours[1], lr_scale=10.0), with_overrides(ours[2], lr_scale=0.1)])
    adams = [torch.optim.Adam([one], lr=scale * LR, weight_decay=1e-4) for one, scale in zip(theirs, (1, 10, 0.1), strict=True)]
    for number in range(10):
        step(optimizer, ours, number)
        for parameter, gradient, adam in zip(theirs, gradients(number), adams, strict=True):
            parameter.grad = gradient
            adam.step()
    assert_equal_parameters(ours, theirs)


def test_a_scheduled_learning_rate_reaches_every_group() -> None:
    ours, theirs = parameters(2), parameters(2)
    optimizer = l2_adam([ours[0], with_overrides(ours[1], lr_scale=5.0)])
    adam = torch.optim.Adam([{"params": [theirs[0]]}, {"params": [theirs[1]]}], weight_decay=1e-4)
    for number in range(10):
        lr = LR * 0.7**number
        optimizer.set_lr(lr)
        adam.param_groups[0]["lr"], adam.param_groups[1]["lr"] = lr, 5 * lr
        step(optimizer, ours, number)
        step(adam, theirs, number)
    assert_equal_parameters(ours, theirs)


# Frozen updates


@pytest.mark.parametrize("frozen_updates", [0, 1, 4])
def test_a_frozen_start_leaves_weights_and_moments_alone(frozen_updates: int) -> None:
    """Afterwards the parameter is updated as by a new Adam."""
    ours, theirs = parameters(2), parameters(2)
    optimizer = l2_adam([ours[0], with_overrides(ours[1], frozen_updates=frozen_updates)], weight_decay=0.3)
    always, later = (torch.optim.Adam([parameter], lr=LR, weight_decay=0.3) for parameter in theirs)
    start = ours[1].detach().clone()
    for number in range(10):
        step(optimizer, ours, number)
        theirs[0].grad, theirs[1].grad = gradients(number, 2)
        always.step()
        if number >= frozen_updates:
            later.step()
        assert torch.equal(ours[1], start) == (number < frozen_updates)
    assert_equal_parameters(ours, theirs)


def test_zeros_in_the_place_of_missing_gradients_do_not_end_the_frozen_start() -> None:
    (parameter,) = parameters(1)
    start = parameter.detach().clone()
    optimizer = l2_adam([with_overrides(parameter, frozen_updates=3)], weight_decay=0.5)
    for _ in range(3):
        parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    assert torch.equal(parameter, start)
    parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert not torch.equal(parameter, start)


# Checkpoints


@pytest.mark.parametrize("n_before", [0, 2, 5])
def test_training_goes_on_from_a_saved_state_as_if_nothing_had_happened(n_before: int) -> None:
    def group(params: list[nn.Parameter]) -> L2Adam:
        with_overrides(params[1], lr_scale=10.0)
        with_overrides(params[2], frozen_updates=4, lr_scale=2.0)
        return l2_adam(params)

    through, interrupted = parameters(), parameters()
    optimizer, first = group(through), group(interrupted)
    for number in range(8):
        optimizer.set_lr(LR * 0.9**number)
        step(optimizer, through, number)
    for number in range(n_before):
        first.set_lr(LR * 0.9**number)
        step(first, interrupted, number)
    state = copy.deepcopy(first.state_dict())
    resumed = [nn.Parameter(parameter.detach().clone()) for parameter in interrupted]
    second = group(resumed)
    second.load_state_dict(state)
    for number in range(n_before, 8):
        second.set_lr(LR * 0.9**number)
        step(second, resumed, number)
    for one, other in zip(through, resumed, strict=True):
        assert torch.equal(one, other)


def test_a_state_can_be_saved_and_read_without_unpickling_objects(tmp_path: Path) -> None:
    params = parameters()
    optimizer = l2_adam([params[0], with_overrides(params[1], lr_scale=10.0, frozen_updates=2)])
    step(optimizer, params[:2], 0)
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert [group["updates"] for group in state["param_groups"]] == [1, 1]


def test_fairseqs_half_precision_keeps_the_groups() -> None:
    """With --fp16-no-flatten-grads; one flat copy of all parameters would lose them, and is refused by fairseq."""
    params = [nn.Parameter(torch.ones(3).half()), with_overrides(nn.Parameter(torch.ones(3).half()), lr_scale=10.0)]
    optimizer = l2_adam(FP16Optimizer.build_fp32_params(None, params, flatten=False))
    assert not optimizer.supports_flat_params
    assert [group["lr_scale"] for group in optimizer.param_groups] == [1.0, 10.0]


def test_own_settings_outlast_those_of_a_checkpoint() -> None:
    """A run that is taken up with another --head-lr-scale trains with it."""

    def optimiser(scale: float) -> L2Adam:
        backbone, head = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
        set_parameter_options([head], lr_scale=scale)
        return L2Adam(OmegaConf.structured(L2AdamConfig(lr=[1e-3])), [backbone, head])

    resumed = optimiser(2.0)
    resumed.load_state_dict(optimiser(10.0).state_dict())
    resumed.set_lr(1e-3)
    assert [group["lr"] for group in resumed.param_groups] == pytest.approx([1e-3, 2e-3])
    with pytest.raises(SettingError, match="reset-optimizer"):
        resumed.load_state_dict(optimiser(1.0).state_dict())
