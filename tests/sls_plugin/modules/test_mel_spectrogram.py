"""The mel spectrogram against its definition, written out in float64, and against librosa's."""

import librosa
import numpy as np
import pytest
import torch
from reference.prosody_reference import reference_mel_spectrogram

from sls_plugin.modules.mel_spectrogram import SILENCE, MelSpectrogram, mel_bands


def clip(n_samples: int) -> np.ndarray:
    """A rising tone in noise that fades away: bands of all levels."""
    rng, t = np.random.default_rng(n_samples), np.arange(n_samples) / 16_000
    noise = rng.standard_normal(n_samples) * np.linspace(0.1, 1e-4, n_samples)
    return (0.3 * np.sin(2 * np.pi * (200 * t + 5000 * t**2)) + noise).astype(np.float32)


def energies(waveform: np.ndarray, log: bool = False) -> np.ndarray:
    return MelSpectrogram(log)(torch.from_numpy(waveform)[np.newaxis])[0].numpy()


@pytest.mark.parametrize("n_samples", [201, 319, 320, 1600, 4001])
def test_energies_are_those_of_the_definition(n_samples: int) -> None:
    waveform = clip(n_samples)
    ours, expected = energies(waveform), reference_mel_spectrogram(waveform)
    assert ours.shape == expected.shape == (80, n_samples // 160 + 1)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6 * expected.max())
    np.testing.assert_allclose(energies(waveform, log=True), np.log(np.maximum(expected, SILENCE)), rtol=0, atol=1e-3)


def test_the_bands_are_librosas() -> None:
    np.testing.assert_array_equal(mel_bands(), librosa.filters.mel(sr=16_000, n_fft=400, n_mels=80, htk=True, norm=None))


def test_four_seconds_are_librosas() -> None:
    waveform = clip(64_000)
    expected = librosa.feature.melspectrogram(
        y=waveform, sr=16_000, n_fft=400, hop_length=160, n_mels=80, htk=True, norm=None, pad_mode="reflect"
    )
    ours = energies(waveform)
    assert ours.shape == (80, 401)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6 * expected.max())


def test_a_batch_is_its_clips_one_by_one() -> None:
    clips = np.stack([clip(1600), clip(1601)[1:], np.zeros(1600, np.float32)])
    together = MelSpectrogram()(torch.from_numpy(clips)).numpy()
    for one, waveform in zip(together, clips, strict=True):
        np.testing.assert_allclose(one, energies(waveform), rtol=1e-6, atol=0)


def test_the_logarithm_of_silence_is_finite() -> None:
    np.testing.assert_allclose(energies(np.zeros(1600, np.float32), log=True), np.log(SILENCE), rtol=1e-6)


def test_no_checkpoint_holds_it_and_no_cast_rounds_it() -> None:
    module, waveform = MelSpectrogram(), torch.from_numpy(clip(1600))[None]
    expected = module(waveform)
    assert not module.state_dict()
    cast = module.to(torch.bfloat16)(waveform)
    assert cast.dtype == torch.float32
    assert torch.equal(cast, expected)
