"""Another sample rate on the way."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import soxr

from protocols import SettingError
from protocols.audio_format import SAMPLE_RATE

from .parameters import Choice, chosen


@dataclass(frozen=True)
class Resampling:
    """The utterance at another rate (Hz) and back, without delay: below 16 kHz the highest frequencies are lost."""

    rate: Choice = ("8000", "11025", "22050")

    def __post_init__(self) -> None:
        for rate in self.rate:
            if not (rate.isdecimal() and 1_000 <= int(rate) <= 192_000):
                raise SettingError(f"rate {rate!r}: must be a whole number of Hz between 1000 and 192000")

    def __call__(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        return at_rate(waveform, int(chosen(self.rate, rng)))


def at_rate(waveform: np.ndarray, rate: int, channel: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
    """What remains of a waveform at 16 kHz that goes to another rate, through a channel there, and back."""
    inside = soxr.resample(waveform, SAMPLE_RATE, rate)
    inside = channel(inside) if channel else inside
    back = soxr.resample(inside, rate, SAMPLE_RATE)[: len(waveform)]
    return np.pad(back, (0, len(waveform) - len(back)))
