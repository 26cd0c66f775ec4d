"""A narrower band, such as the telephone's."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve, firwin

from protocols.audio_format import SAMPLE_RATE

from .parameters import Range, drawn, require_within

N_TAPS = 401  # a transition of about 130 Hz


@dataclass(frozen=True)
class BandPass:
    """Frequencies between two limits (Hz), by a filter without delay; from 0 it is a low-pass, up to 8000 a high-pass."""

    low: Range = (300.0, 300.0)
    high: Range = (3_400.0, 3_400.0)

    def __post_init__(self) -> None:
        require_within(self.low, 0, 7_000, "low")
        require_within(self.high, 100, SAMPLE_RATE / 2, "high")
        require_within((self.low[1], self.low[1]), 0, self.high[0] - 1, "low")

    def __call__(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        low, high = drawn(self.low, rng), drawn(self.high, rng)
        edges = [edge for edge in (low, high) if 0 < edge < SAMPLE_RATE / 2]
        if not edges:
            return waveform
        taps = firwin(N_TAPS, edges, pass_zero=low == 0, fs=SAMPLE_RATE)
        return fftconvolve(waveform, taps)[N_TAPS // 2 :][: len(waveform)]
