"""What is odd about the recording that a detector hears: a score of silence says nothing of a voice."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from protocols import Trial

from .audio import fit_length, read_audio
from .clip_dataset import Augmentation, ClipDataset, random_state

SILENCE = 1e-3  # of full scale: -60 dB
FULL_SCALE = 0.999
MOST_CLIPPED = 0.01  # of the samples

MEANINGS = {
    "long": "longer than the clip that is scored: windows (--windows, Detector.timeline) score all of it",
    "silent": "silent where it is scored (the channels of a stereo recording may cancel out)",
    "constant": "constant where it is scored: all samples have one value",
    "clipped": "clipped: more than 1 % of its samples are at full scale",
}


class RecordingWarning(UserWarning):
    """A recording that is silent, constant or clipped where a detector hears it, or longer than what is heard."""


class Signal:
    """What is kept of a waveform that comes in blocks: its length, its range, and how much of it is at full scale."""

    def __init__(self) -> None:
        self.n_samples = self.n_at_full_scale = 0
        self.lowest, self.highest = np.inf, -np.inf

    def heard(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The blocks, each looked at as it passes."""
        for block in blocks:
            if len(block):
                self.lowest = min(self.lowest, float(block.min()))
                self.highest = max(self.highest, float(block.max()))
                self.n_at_full_scale += int(np.count_nonzero(np.abs(block) >= FULL_SCALE))
                self.n_samples += len(block)
            yield block

    def conditions(self) -> list[str]:
        """At most one of "silent", "constant" and "clipped"."""
        if max(-self.lowest, self.highest) < SILENCE:
            return ["silent"]
        if self.lowest == self.highest:
            return ["constant"]
        return ["clipped"] if self.n_at_full_scale > MOST_CLIPPED * self.n_samples else []


def conditions(waveform: np.ndarray, n_samples: int) -> list[str]:
    """What is odd, by the words of `MEANINGS`, about a waveform of which a detector hears the first `n_samples`.

    >>> conditions(np.zeros(3, np.float32), n_samples=2)
    ['long', 'silent']
    """
    signal = Signal()
    for _ in signal.heard([waveform[:n_samples]]):
        pass
    return (["long"] if len(waveform) > n_samples else []) + signal.conditions()


class ObservedClips(ClipDataset):
    """Clips to score, each with its `conditions`; a batch has those of all its trials, by the position of the trial.

    Through a channel goes the whole recording, with draws that depend on the trial alone.
    """

    def __init__(self, *args: Any, channel: Augmentation | None = None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.channel = channel

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.found: list[str] = []
        return super().__getitem__(index) | {"conditions": (index, self.found)}

    def waveform(self, trial: Trial) -> np.ndarray:
        """The input of the model for a trial: float32, (segment.n_samples,)."""
        n_samples = self.segment.n_samples
        n_read = None if self.channel else n_samples + 1  # one more tells that the recording goes on
        waveform = read_audio(Path(self.audio_root) / trial.audio, n_read)
        if self.channel:
            waveform = self.channel(waveform, random_state(*trial.id.encode()))
        self.found = conditions(waveform, n_samples)
        return fit_length(waveform, n_samples, self.segment.padding)

    def collater(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        return super().collater(samples) | {"conditions": dict(sample["conditions"] for sample in samples)}
