"""What is odd about the clip that a detector hears: a score of silence says nothing of a voice."""

from pathlib import Path
from typing import Any

import numpy as np

from protocols import Trial

from .audio import fit_length, read_audio
from .clip_dataset import Augmentation, ClipDataset, random_state

SILENCE = 1e-3  # of full scale: -60 dB
FULL_SCALE = 0.999
MOST_CLIPPED = 0.01  # of the samples

LONGER = "longer than the clip that is scored: --windows scores all of it"
SILENT = "silent where it is scored (the channels of a stereo recording may cancel out)"
CONSTANT = "constant where it is scored: all samples have one value"
CLIPPED = "clipped: more than 1 % of its samples are at full scale"


def conditions(waveform: np.ndarray, n_samples: int) -> list[str]:
    """What is odd about a waveform, at least one sample long, of which a detector hears the first `n_samples`.

    >>> conditions(np.zeros(3, np.float32), n_samples=2) == [LONGER, SILENT]
    True
    """
    heard = waveform[:n_samples]
    loudness = np.abs(heard)
    found = [LONGER] if len(waveform) > n_samples else []
    if loudness.max() < SILENCE:
        found.append(SILENT)
    elif np.ptp(heard) == 0:
        found.append(CONSTANT)
    elif np.mean(loudness >= FULL_SCALE) > MOST_CLIPPED:
        found.append(CLIPPED)
    return found


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
