"""The hidden states and the input waveform of the backbone, against the parts of fairseq's network run one by one."""

import numpy as np
import pytest
import torch
from detectors import backbone, in_half_precision

from fairseq_ckpt.wav2vec.random_backbone import TINY


def waveforms(n_samples: int = 4000) -> torch.Tensor:
    return torch.from_numpy(0.1 * np.random.default_rng(7).standard_normal((2, n_samples), dtype=np.float32))


# Hidden states


@pytest.mark.parametrize("layer_norm_first", [True, False])
@pytest.mark.parametrize("n_samples", [400, 1040, 4000, 4320])  # 1, 3, 12 and 13 frames; fairseq fills up odd numbers
def test_hidden_states_are_those_of_a_walk_through_the_network(n_samples: int, layer_norm_first: bool) -> None:
    model = backbone(TINY | {"layer_norm_first": layer_norm_first})
    network, clips = model.model, waveforms(n_samples)
    with torch.no_grad():
        x = network.post_extract_proj(network.layer_norm(network.feature_extractor(clips).transpose(1, 2)))
        x = x + network.encoder.pos_conv(x.transpose(1, 2)).transpose(1, 2)
        if not layer_norm_first:
            x = network.encoder.layer_norm(x)
        expected = [x.transpose(0, 1)]
        for layer in model.layers:
            expected.append(layer(expected[-1])[0])
        if layer_norm_first:
            expected[-1] = network.encoder.layer_norm(expected[-1])
        states = list(model.hidden_states(clips))
        outputs, final = list(model.layer_outputs(clips)), model.features(clips)
    assert len(states) == len(model.layers) + 1
    for state, other in zip(states, expected, strict=True):
        torch.testing.assert_close(state, other, rtol=1e-5, atol=1e-5)
    for state, output in zip(states[1:-1], outputs[:-1], strict=True):
        assert torch.equal(state, output)
    assert torch.equal(states[-1], final.transpose(0, 1))


# Normalisation


def test_a_normalised_clip_has_zero_mean_and_unit_variance() -> None:
    plain, normalising = backbone(), backbone(normalize=True)
    clips = waveforms()
    clips[1] = 0.3 + 4 * clips[1]
    by_hand = np.stack([(clip - clip.mean()) / clip.std() for clip in clips.double().numpy()])
    with torch.no_grad():
        expected = plain.features(torch.from_numpy(by_hand).float())
        torch.testing.assert_close(normalising.features(clips), expected, rtol=1e-2, atol=1e-2)  # 1e-5 on the variance
        torch.testing.assert_close(normalising.features(torch.from_numpy(by_hand)), expected, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(plain.features(clips), expected, atol=0.1)


@pytest.mark.parametrize("clip", [torch.zeros(1, 4000), torch.full((1, 4000), 0.25)])
def test_silence_stays_silence(clip: torch.Tensor) -> None:
    with torch.no_grad():
        features = backbone(normalize=True).features(clip)
        assert features.isfinite().all()
        torch.testing.assert_close(features, backbone().features(torch.zeros(1, 4000)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", ["layer_outputs", "features", "hidden_states"])
def test_every_output_hears_the_normalised_clip(method: str) -> None:
    model = backbone(normalize=True)
    with torch.no_grad():
        soft, loud = (getattr(model, method)(gain * waveforms()) for gain in (1.0, 8.0))
    for one, other in zip(soft, loud, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)


def test_a_quiet_clip_is_normalised_in_half_precision_too() -> None:
    """Scoring hands over single precision whatever the type of the weights."""
    with torch.no_grad():
        expected = backbone(normalize=True).features(waveforms())
        half = backbone(normalize=True)
        half.forward = half.features
        output = in_half_precision(half, torch.bfloat16, waveforms())(waveforms())
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), expected, rtol=0.2, atol=0.2)
