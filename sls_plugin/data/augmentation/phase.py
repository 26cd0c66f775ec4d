"""Another phase, which nobody hears."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import hilbert

from .parameters import Range, drawn


@dataclass(frozen=True)
class Phase:
    """All frequencies shifted by one phase; 180 degrees turn the sign."""

    degrees: Range = (0.0, 360.0)

    def __call__(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        degrees = drawn(self.degrees, rng)
        if degrees == 180:
            return -waveform
        return (hilbert(waveform) * np.exp(1j * np.radians(degrees))).real
