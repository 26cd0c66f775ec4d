"""The two-stage learning rate against straight lines and fairseq's own schedule; what it refuses."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig
from fairseq.optim.lr_scheduler.polynomial_decay_schedule import PolynomialDecayLRSchedule
from omegaconf import DictConfig, OmegaConf

from protocols import SettingError
from sls_plugin.optim.l2_adam import L2Adam, L2AdamConfig
from sls_plugin.optim.two_stage import TwoStage, TwoStageConfig

PEAKS = [5e-4, 2e-5]


def optimiser(first: int = 40) -> L2Adam:
    backbone, head = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    backbone.optim_overrides = {"optimizer": {"lr_scale": 0.1, "frozen_updates": first}}
    return L2Adam(OmegaConf.structured(L2AdamConfig(lr=PEAKS)), [backbone, head])


def configuration(last: int = 60, **settings: Any) -> DictConfig:
    whole = {"optimization": {"max_update": last, "lr": PEAKS}, "lr_scheduler": OmegaConf.structured(TwoStageConfig)}
    cfg = OmegaConf.create(whole).lr_scheduler
    for name, value in settings.items():
        cfg[name] = value
    return cfg


@pytest.mark.parametrize("warmup_fraction", [0.0, 0.1, 0.5])
def test_each_stage_rises_from_zero_and_falls_to_zero(warmup_fraction: float) -> None:
    optimizer = optimiser()
    schedule = TwoStage(configuration(warmup_fraction=warmup_fraction), optimizer)
    updates = np.arange(60)
    first = np.interp(updates, [0, 40 * warmup_fraction, 40], [0, PEAKS[0], 0])
    second = np.interp(updates - 40, [0, 20 * warmup_fraction, 20], [0, PEAKS[1], 0])
    expected = np.where(updates < 40, first, second)
    if warmup_fraction == 0:
        expected[[0, 40]] = PEAKS
    for number, lr in zip(updates.tolist(), expected, strict=True):
        assert schedule.step_update(number) == pytest.approx(lr, rel=1e-12, abs=1e-18)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.1 * lr, lr], rel=1e-12, abs=1e-18)
    assert [schedule.step_update(number) for number in (60, 61, 1000)] == [0, 0, 0]


def test_a_stage_is_fairseqs_polynomial_decay() -> None:
    schedule = TwoStage(configuration(), optimiser())
    for peak, start, length in ((PEAKS[0], 0, 40), (PEAKS[1], 40, 20)):
        settings = {"lr": [peak], "warmup_updates": length // 10, "total_num_update": length, "power": 1.0}
        polynomial = PolynomialDecayLRSchedule(SimpleNamespace(**settings, end_learning_rate=0.0, force_anneal=None), optimiser())
        for done in range(length):
            assert schedule.step_update(start + done) == pytest.approx(polynomial.step_update(done), rel=1e-12)


@pytest.mark.parametrize(
    ("first", "settings", "message"),
    [
        (0, {}, "no backbone is frozen at first"),
        (40, {"last": 0}, r"--max-update \(0\)"),
        (60, {}, "give a larger one"),
        (40, {"lr": [1e-3]}, "--lr 5e-4,2e-5"),
        (40, {"lr": [1e-3, 1e-4, 1e-5]}, "--lr 5e-4,2e-5"),
        (40, {"warmup_fraction": 1.0}, "--warmup-fraction 1.0"),
        (40, {"warmup_fraction": -0.1}, "--warmup-fraction -0.1"),
    ],
)
def test_settings_that_make_no_two_stages(first: int, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message) as refusal:
        TwoStage(configuration(**settings), optimiser(first))
    assert "\n" not in str(refusal.value)


def test_an_optimiser_that_freezes_nothing() -> None:
    adam = OmegaConf.structured(FairseqAdamConfig(lr=PEAKS, tpu=False))
    with pytest.raises(SettingError, match="--optimizer l2_adam"):
        TwoStage(configuration(), FairseqAdam(adam, [torch.nn.Parameter(torch.ones(2))]))
