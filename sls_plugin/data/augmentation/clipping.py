"""A recording that was too loud for its microphone."""

from dataclasses import dataclass

import numpy as np

from .parameters import Range, drawn, require_within


@dataclass(frozen=True)
class Clipping:
    """The highest samples cut off, at a level below the utterance's own peak."""

    db: Range = (3.0, 15.0)

    def __post_init__(self) -> None:
        require_within(self.db, 0, 60, "db")

    def __call__(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        limit = np.abs(waveform).max() / 10 ** (drawn(self.db, rng) / 20)
        return np.clip(waveform, -limit, limit)
