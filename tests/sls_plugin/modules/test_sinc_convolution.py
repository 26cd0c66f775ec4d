"""The front-end's filters: against plain loops, in their bands, in float32 on any device, and masked in training only."""

import numpy as np
import pytest
import torch
from reference.graph_reference import filters

from sls_plugin.modules.sinc_convolution import SincConvolution, mel_filters


@pytest.mark.parametrize(("n_filters", "n_taps"), [(70, 129), (20, 1025), (3, 5)])
def test_filters_are_the_references(n_filters: int, n_taps: int) -> None:
    bank = mel_filters(n_filters, n_taps)
    assert bank.dtype == torch.float32
    assert bank.shape == (n_filters, n_taps)
    np.testing.assert_allclose(bank, filters(n_filters, n_taps), rtol=0, atol=3e-7)


def test_every_band_passes_its_own_tone() -> None:
    """20 bands of 1,025 taps are narrow enough to be distinguished."""
    highest = 2595 * np.log10(1 + 8000 / 700)
    middles = 700 * (10 ** ((np.arange(20) + 0.5) * highest / 20 / 2595) - 1)
    tones = np.sin(2 * np.pi * middles[:, np.newaxis] * np.arange(4000) / 16_000)
    loudness = SincConvolution(20, 1025)(torch.from_numpy(tones)).mean(dim=2)  # tones x bands
    assert loudness.argmax(dim=1).tolist() == list(range(20))
    assert (loudness.diagonal() > 5 * (loudness.sum(dim=1) - loudness.diagonal()) / 19).all()


def test_magnitudes_of_full_overlap() -> None:
    bank = SincConvolution(3, 5)
    clip = torch.zeros(1, 12)
    clip[0, 6] = -1.0
    output = bank(clip)
    assert output.shape == (1, 3, 8)
    torch.testing.assert_close(output[0, :, 2:7], bank.filters.flip(1).abs())
    assert (output[0, :, :2] == 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_filters_stay_float32_whatever_the_model_is_cast_to(dtype: torch.dtype) -> None:
    bank = SincConvolution(70, 129)
    clip = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 400), dtype=np.float32))
    expected = bank(clip)
    assert torch.equal(bank.to(dtype)(clip), expected)
    assert bank(clip.to(dtype)).dtype == torch.float32
    assert torch.equal(bank.filters, mel_filters(70, 129))


def test_filters_follow_the_waveforms_device() -> None:
    bank = SincConvolution(70, 129, frequency_masking=True).to("meta").train()
    assert bank(torch.empty(2, 400, device="meta")).shape == (2, 70, 272)


def test_no_tensor_of_it_goes_into_a_checkpoint() -> None:
    assert not SincConvolution(70, 129).state_dict()
    assert not list(SincConvolution(70, 129).parameters())


# Frequency masking


def silent_filters(seed: int, training: bool = True, masking: bool = True) -> list[list[int]]:
    """Those of each clip of a batch."""
    torch.manual_seed(seed)
    bank = SincConvolution(70, 129, frequency_masking=masking).train(training)
    output = bank(torch.from_numpy(np.random.default_rng(1).standard_normal((2, 140), dtype=np.float32)))
    return [(clip.amax(dim=1) == 0).nonzero().flatten().tolist() for clip in output]


def test_masking_silences_up_to_19_neighbours_in_the_whole_batch() -> None:
    widths, silent = set(), set()
    for seed in range(400):
        one, other = silent_filters(seed)
        assert one == other
        assert one == list(range(one[0], one[0] + len(one))) if one else True
        widths.add(len(one))
        silent.update(one)
    assert widths == set(range(20))
    assert silent == set(range(70))


def test_masking_is_drawn_from_torchs_generator() -> None:
    assert silent_filters(5) == silent_filters(5)
    assert len({tuple(silent_filters(seed)[0]) for seed in range(5)}) > 1


@pytest.mark.parametrize(("training", "masking"), [(False, True), (True, False)])
def test_no_masking_in_scoring_or_unasked(training: bool, masking: bool) -> None:
    assert all(silent_filters(seed, training, masking) == [[], []] for seed in range(10))
