"""Quiet and loud recordings."""

from dataclasses import dataclass

import numpy as np

from .parameters import Range, drawn


@dataclass(frozen=True)
class Level:
    """The utterance with its peak at a level in dB below full scale (0)."""

    dbfs: Range = (-40.0, -1.0)

    def __call__(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        return waveform * (10 ** (drawn(self.dbfs, rng) / 20) / (np.abs(waveform).max() or 1))
