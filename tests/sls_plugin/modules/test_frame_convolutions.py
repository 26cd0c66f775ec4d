"""The convolutional front-end, against fairseq's own on the same tensors."""

import copy

import pytest
import torch
from fairseq.models.wav2vec.wav2vec2 import ConvFeatureExtractionModel
from fairseq.modules import Fp32LayerNorm

from sls_plugin.modules.frame_convolutions import FrameConvolutions

PUBLISHED = [(12, 10, 5), *[(12, 3, 2)] * 4, *[(12, 2, 2)] * 2]
ODD = [(6, 4, 4), (10, 5, 1), (8, 7, 3)]  # strides as long as the kernel, of one, and that divide nothing


def fairseqs(conv_layers: list[tuple[int, int, int]], conv_bias: bool = True) -> ConvFeatureExtractionModel:
    """A front-end whose every tensor is other than 0 or 1."""
    torch.manual_seed(5)
    extractor = ConvFeatureExtractionModel(conv_layers, mode="layer_norm", conv_bias=conv_bias)
    for parameter in extractor.parameters():
        torch.nn.init.normal_(parameter, 0.1, 0.3)
    return extractor


def in_double(extractor: ConvFeatureExtractionModel) -> ConvFeatureExtractionModel:
    for module in extractor.double().modules():
        if isinstance(module, Fp32LayerNorm):
            module.__class__ = torch.nn.LayerNorm
    return extractor


@pytest.mark.parametrize("conv_bias", [True, False])
@pytest.mark.parametrize(
    ("conv_layers", "n_samples"),
    [(PUBLISHED, 400), (PUBLISHED, 401), (PUBLISHED, 719), (PUBLISHED, 720), (PUBLISHED, 5_003), (ODD, 100), (ODD, 171)],
)
@pytest.mark.parametrize("n_clips", [1, 3])
def test_features_and_gradients_are_fairseqs(
    conv_layers: list[tuple[int, int, int]], n_samples: int, n_clips: int, conv_bias: bool
) -> None:
    original = in_double(fairseqs(conv_layers, conv_bias))
    ours = FrameConvolutions(copy.deepcopy(original).conv_layers)
    assert list(ours.state_dict()) == list(original.state_dict())
    clips = torch.randn(n_clips, n_samples, dtype=torch.float64)
    features, expected = ours(clips), original(clips)
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-12)
    weights = torch.randn_like(expected)
    for output in (features, expected):
        (weights * output).sum().backward()
    for (name, parameter), other in zip(ours.named_parameters(), original.parameters(), strict=True):
        assert other.grad.abs().max() > 1e-6
        torch.testing.assert_close(parameter.grad, other.grad, rtol=1e-9, atol=1e-11, msg=name)


def test_half_precision_is_no_farther_from_the_truth_than_fairseqs() -> None:
    original = fairseqs(PUBLISHED).to(torch.bfloat16)
    ours = FrameConvolutions(original.conv_layers)
    exact = in_double(copy.deepcopy(original))
    clips = torch.randn(4, 16_000).to(torch.bfloat16)
    with torch.no_grad():
        expected = exact(clips.double())
        error, fairseqs_error = ((output(clips) - expected).square().mean().sqrt() for output in (ours, original))
    assert ours(clips).dtype == torch.bfloat16
    assert error < 1.1 * fairseqs_error


def test_the_way_of_other_devices_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU and an exported graph compute, run here."""
    ours = FrameConvolutions(fairseqs(PUBLISHED).conv_layers)
    clips = torch.randn(2, 4_000)
    with torch.no_grad():
        expected = ours(clips)
        monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
        torch.testing.assert_close(ours(clips), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this build of torch has no oneDNN")
@pytest.mark.parametrize(("conv_layers", "n_samples"), [(PUBLISHED, 400), (PUBLISHED, 5_003), (ODD, 171)])
@pytest.mark.parametrize("conv_bias", [True, False])
def test_packed_weights_give_the_same(conv_layers: list[tuple[int, int, int]], n_samples: int, conv_bias: bool) -> None:
    ours = FrameConvolutions(fairseqs(conv_layers, conv_bias).conv_layers)
    clips = torch.randn(3, n_samples)
    with torch.inference_mode():
        expected = ours(clips)
        ours.pack_weights()
        torch.testing.assert_close(ours(clips), expected, rtol=1e-5, atol=1e-5)
