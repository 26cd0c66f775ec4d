"""Faster or slower speech."""

from dataclasses import dataclass

import numpy as np
import soxr

from .parameters import Range, drawn, require_within


@dataclass(frozen=True)
class Speed:
    """The utterance played faster (above 1) or slower: its length and its pitch change."""

    factor: Range = (0.9, 1.1)

    def __post_init__(self) -> None:
        require_within(self.factor, 0.25, 4, "factor")

    def __call__(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        return soxr.resample(waveform, drawn(self.factor, rng), 1.0)
