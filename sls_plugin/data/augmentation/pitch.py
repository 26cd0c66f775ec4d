"""Higher or lower voices."""

from dataclasses import dataclass

import numpy as np

from protocols.audio_format import SAMPLE_RATE

from .parameters import Range, drawn, require_within


@dataclass(frozen=True)
class Pitch:
    """The utterance in another pitch and in its own length, by a phase vocoder (librosa's)."""

    semitones: Range = (-2.0, 2.0)

    def __post_init__(self) -> None:
        require_within(self.semitones, -24, 24, "semitones")

    def __call__(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        from librosa.effects import pitch_shift  # takes seconds to import

        return pitch_shift(waveform, sr=SAMPLE_RATE, n_steps=drawn(self.semitones, rng))
