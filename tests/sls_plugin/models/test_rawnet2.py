"""RawNet2 against the original's output and the naive reference; lengths; training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from detectors import (
    assert_published_names,
    build,
    float64_weights,
    golden_output,
    in_half_precision,
    n_parameters,
    train,
    waveforms,
)
from reference import graph_reference
from reference.synthetic_weights import fill_outside_backbone
from torch import nn

from protocols import DataError


@pytest.fixture(scope="module")
def filled() -> nn.Module:
    model = build("rawnet2").eval()
    fill_outside_backbone(model)
    return model


def test_names_shapes_and_number_of_parameters(filled: nn.Module, shared: Path) -> None:
    assert_published_names(filled, shared, "RawNet2_baseline")
    assert n_parameters(filled) == 17_621_410


def test_synthetic_weights_give_the_originals_log_probabilities(filled: nn.Module, shared: Path) -> None:
    clips = torch.from_numpy(0.05 * np.random.default_rng(5).standard_normal((2, 64_600), dtype=np.float32))
    with torch.no_grad():
        np.testing.assert_allclose(filled(clips), golden_output(shared, "rawnet2", 5), rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_samples", [3_211, 12_000])
def test_log_probabilities_are_the_references(filled: nn.Module, n_samples: int) -> None:
    clips = waveforms(n_samples)
    with torch.no_grad():
        output = filled(clips)
    expected = [graph_reference.rawnet2(float64_weights(filled), clip) for clip in clips.double().numpy()]
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(output.exp().sum(dim=1), torch.ones(2))


def test_a_clip_too_short_for_a_step_is_refused(filled: nn.Module) -> None:
    with pytest.raises(DataError, match="clips of 3,210 samples: RawNet2 needs at least 3,211: raise --max-samples"):
        filled(waveforms(3_210))


def test_half_precision_gives_single_precision_scores_close_by() -> None:
    model = build("rawnet2").eval()
    with torch.no_grad():
        expected = model(waveforms(8_000))
        output = in_half_precision(model, torch.bfloat16, waveforms(8_000))(waveforms(8_000))
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, expected, rtol=0.1, atol=0.1)


def test_all_but_the_norms_without_effect_is_trained() -> None:
    model = build("rawnet2").train()
    model(waveforms(8_000))[:, 0].sum().backward()
    untrained = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert untrained == {f"block{number}.0.bn1.{kind}" for number in range(1, 6) for kind in ("weight", "bias")}
    assert untrained == {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


def test_sixteen_clips_are_told_apart_after_12_updates() -> None:
    loss, eer = train("rawnet2", n_samples=4_000, n_updates=12, lr=1e-4)
    assert loss < 0.6
    assert eer < 0.2


def test_scores_and_ratios(filled: nn.Module) -> None:
    output = torch.log_softmax(torch.tensor([[3.0, -1.0], [0.5, 2.0]]), dim=1)
    torch.testing.assert_close(filled.scores(output), output[:, 1])
    torch.testing.assert_close(filled.log_likelihood_ratios(output), torch.tensor([-4.0, 1.5]))
