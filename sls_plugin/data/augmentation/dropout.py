"""Parts of the time or of the spectrum left out."""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, rfft

from protocols.audio_format import SAMPLE_RATE

from .parameters import Range, drawn, require_within


@dataclass(frozen=True)
class Dropout:
    """Silence for a while (ms), and a band of frequencies (Hz) without energy, each at a random place."""

    ms: Range = (50.0, 300.0)
    hz: Range = (200.0, 1_000.0)

    def __post_init__(self) -> None:
        require_within(self.ms, 0, 60_000, "ms")
        require_within(self.hz, 0, SAMPLE_RATE / 2, "hz")

    def __call__(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        n_samples, spectrum = len(waveform), rfft(waveform)
        _silence(spectrum, round(drawn(self.hz, rng) * n_samples / SAMPLE_RATE), rng)
        waveform = irfft(spectrum, n_samples)
        _silence(waveform, round(drawn(self.ms, rng) * SAMPLE_RATE / 1_000), rng)
        return waveform


def _silence(values: np.ndarray, n_values: int, rng: np.random.RandomState) -> None:
    start = rng.randint(max(0, len(values) - n_values) + 1)
    values[start : start + n_values] = 0
