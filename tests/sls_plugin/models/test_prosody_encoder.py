"""The prosody encoder: published names, the outputs of a naive float64 reference, sizes, lengths, types, training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from detectors import assert_published_names, build, float64_weights, in_half_precision, n_parameters, train, waveforms
from reference.prosody_reference import reference_logits, reference_mel_spectrogram
from reference.synthetic_weights import fill_outside_backbone
from torch import Tensor, nn

from protocols import DataError

FEWEST = 201  # samples


@pytest.fixture(scope="module")
def model() -> nn.Module:
    model = build("prosody_encoder").eval()
    fill_outside_backbone(model)
    return model


def test_names_shapes_and_parameters_are_the_published_ones(model: nn.Module, shared: Path) -> None:
    assert_published_names(model, shared, "prosody_encoder")


def test_size(model: nn.Module) -> None:
    assert n_parameters(model) == 5_035_970
    assert len(model.state_dict()) == 95
    assert sum(tensor.nbytes for tensor in model.state_dict().values()) < 20.2e6


@pytest.mark.parametrize("log_mel", [False, True])
@pytest.mark.parametrize("n_samples", [FEWEST, 1600, 2725])
def test_outputs_are_the_references_in_our_order(n_samples: int, log_mel: bool) -> None:
    model = build("prosody_encoder", *["--log-mel"] * log_mel).eval()
    fill_outside_backbone(model)
    clips = waveforms(n_samples)
    with torch.no_grad():
        output = model(clips)
    for row, score, ratio, clip in zip(
        output.numpy(), model.scores(output).numpy(), model.log_likelihood_ratios(output).numpy(), clips.numpy(), strict=True
    ):
        mel = reference_mel_spectrogram(clip)
        bonafide, spoof = reference_logits(float64_weights(model), np.log(mel) if log_mel else mel)  # the authors' order
        np.testing.assert_allclose(row, [spoof, bonafide], rtol=0, atol=1e-4)
        p_spoof = 1 / (1 + np.exp(bonafide - spoof))  # what the authors write
        np.testing.assert_allclose(score, 1 - p_spoof, rtol=0, atol=1e-4)
        np.testing.assert_allclose(ratio, bonafide - spoof, rtol=0, atol=2e-4)


def test_four_seconds_shrink_as_published(model: nn.Module) -> None:
    seen: list[tuple[int, ...]] = []
    layers = [model.layer1, model.layer2, model.layer3, model.layer4]
    hooks = [layer.register_forward_hook(lambda _, inputs, output: seen.append(tuple(output.shape[1:]))) for layer in layers]
    with torch.no_grad():
        output, features = model(waveforms(64_000, 1), with_features=True)
    for hook in hooks:
        hook.remove()
    assert seen == [(64, 80, 201), (128, 40, 101), (256, 20, 51), (512, 10, 26)]
    assert output.shape == (1, 2)
    assert features.shape == (1, 256)
    assert features.min() == 0  # rectified


def test_too_short_a_clip_is_told_in_one_line(model: nn.Module) -> None:
    with pytest.raises(DataError, match=f"needs at least {FEWEST}"):
        model(waveforms(FEWEST - 1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_types_give_close_scores(dtype: torch.dtype) -> None:
    model = build("prosody_encoder").eval()

    def scores() -> Tensor:
        with torch.no_grad():
            output = model(waveforms(1600))
        assert output.dtype == torch.float32
        return model.scores(output)

    expected = scores()
    in_half_precision(model, dtype, waveforms(1600))
    torch.testing.assert_close(scores(), expected, rtol=0.02, atol=0)


def test_sixteen_clips_are_told_apart_after_12_updates() -> None:
    loss, eer = train("prosody_encoder", n_samples=1_600, n_updates=12, lr=1e-4)
    assert loss < 0.6
    assert eer < 0.2
