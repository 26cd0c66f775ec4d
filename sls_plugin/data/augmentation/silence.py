"""Pauses before and after the speech."""

from dataclasses import dataclass

import numpy as np

from protocols import SettingError
from protocols.audio_format import SAMPLE_RATE

from .parameters import Choice, Range, chosen, drawn, require_within

KINDS = ("trim", "add")


@dataclass(frozen=True)
class Silence:
    """Silence trimmed at both ends, or zeros added there.

    Silent is what lies before the first and after the last sample within `db` of the peak.
    """

    kind: Choice = KINDS
    db: Range = (40.0, 40.0)
    seconds: Range = (0.1, 0.5)

    def __post_init__(self) -> None:
        if unknown := {*self.kind} - {*KINDS}:
            raise SettingError(f"kind {min(unknown)!r}: choose from {', '.join(KINDS)}")
        require_within(self.seconds, 0, 60, "seconds")

    def __call__(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        if chosen(self.kind, rng) == "add":
            return np.pad(waveform, [round(drawn(self.seconds, rng) * SAMPLE_RATE) for _ in range(2)])
        loudness = np.abs(waveform)
        (loud,) = np.nonzero(loudness >= loudness.max() / 10 ** (drawn(self.db, rng) / 20))
        return waveform[loud[0] : loud[-1] + 1]
