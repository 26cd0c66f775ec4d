"""Converts waveforms in memory, as soundfile or torch give them, to the input of a detector."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from protocols import DataError
from sls_plugin.data.audio import at_16_khz
from sls_plugin.data.decoding import HIGHEST_RATE, LOWEST_RATE

MOST_CHANNELS = 64


def as_detector_input(waveform: Any, sample_rate: int) -> np.ndarray:
    """A waveform as `read_audio` would decode it: float32, mono, 16 kHz; shape (samples,).

    Takes an array or tensor of samples or samples x channels, floats in [-1, 1] or signed integers of full scale, as
    `soundfile.read` gives them. Raises DataError on other shapes and types, no samples, or values that are not finite.

    >>> stereo = np.zeros((48_000, 2))  # one second: samples x channels
    >>> as_detector_input(stereo, sample_rate=48_000).shape
    (16000,)
    """
    return np.concatenate(list(as_blocks([waveform], sample_rate)))


def as_blocks(waveforms: Iterable[Any], sample_rate: int) -> Iterator[np.ndarray]:
    """The same for a waveform that comes in pieces; the pieces that this gives are of other lengths."""
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise DataError(f"a sample rate of {sample_rate} Hz: give the rate of the waveform in Hz")
    return at_16_khz(map(_checked, waveforms), sample_rate, Path("the waveform"))


def _checked(waveform: Any) -> np.ndarray:
    samples = np.asarray(waveform.detach().cpu().numpy() if hasattr(waveform, "detach") else waveform)
    if samples.ndim not in (1, 2) or samples.size == 0:
        raise DataError(f"a waveform of shape {samples.shape}: give samples, or samples x channels")
    if samples.ndim == 2 and samples.shape[1] > min(MOST_CHANNELS, samples.shape[0]):
        raise DataError(f"a waveform of shape {samples.shape}: give samples x channels, not channels x samples")
    samples = _mono(_as_float32(samples))
    if not np.isfinite(samples).all():
        raise DataError("the waveform has samples that are not finite (NaN or infinite): give finite samples")
    return samples


def _as_float32(samples: np.ndarray) -> np.ndarray:
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):  # becomes infinite, which is refused
            return samples.astype(np.float32)
    if samples.dtype.kind == "i":
        return (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
    raise DataError(f"a waveform of type {samples.dtype}: give floats in [-1, 1], or signed integers")


def _mono(samples: np.ndarray) -> np.ndarray:
    return samples.mean(axis=1) if samples.ndim == 2 else samples
