"""Packets that do not arrive."""

from dataclasses import dataclass

import numpy as np

from protocols.audio_format import SAMPLE_RATE

from .parameters import Range, drawn, require_within


@dataclass(frozen=True)
class PacketLoss:
    """A share of the packets is silent, each lost independently of the others."""

    share: Range = (0.01, 0.1)
    ms: float = 20  # a packet

    def __post_init__(self) -> None:
        require_within(self.share, 0, 1, "share")
        require_within((self.ms, self.ms), 1, 1_000, "ms")

    def __call__(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        size = round(self.ms * SAMPLE_RATE / 1_000)
        is_lost = rng.rand(-(-len(waveform) // size)) < drawn(self.share, rng)
        return np.where(np.repeat(is_lost, size)[: len(waveform)], 0, waveform)
