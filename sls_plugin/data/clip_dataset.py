"""Batches of clips from trials; without fairseq, which an exported detector does not need."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from protocols import DataError, Trial

from .audio import fit_length, read_audio

CLASSES = ("spoof", "bonafide")  # index = label: bona fide 1, spoof 0
UNKNOWN = -1  # the label of a trial whose class is not known


Augmentation = Callable[[np.ndarray, np.random.RandomState], np.ndarray]  # of a whole utterance


def random_state(*key: int) -> np.random.RandomState:
    """A generator for a key, such as a seed and a trial; of numpy's legacy kind, which RawBoost's authors used."""
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(key)))


@dataclass(frozen=True)
class Segment:
    """The part of an utterance that a model takes: its length in samples, where it begins, how short ones are padded."""

    n_samples: int
    crop: str = "start"
    padding: str = "tile"


class ClipDataset(Dataset):
    """The trials of a list, each cut or filled to one segment.

    A batch holds `net_input.source` (B x samples, float32), `label` (B: 1 bona fide, 0 spoof, -1 unknown), `id` (B, position
    in the list) and `broken`, the (trial id, reason) of clips that could not be read. Those occur only with `skip_broken`;
    without it such a clip raises DataError.
    """

    def __init__(self, trials: Sequence[Trial], audio_root: Path, segment: Segment, *, skip_broken: bool = False) -> None:
        self.trials = trials
        self.audio_root = audio_root
        self.segment = segment
        self.skip_broken = skip_broken

    def __len__(self) -> int:
        return len(self.trials)

    def __getitem__(self, index: int) -> dict[str, Any]:
        trial = self.trials[index]
        try:
            waveform = self.waveform(trial)
        except DataError as error:
            if not self.skip_broken:
                raise
            return {"broken": (trial.id, str(error))}
        label = CLASSES.index(trial.label) if trial.label else UNKNOWN
        return {"id": index, "source": torch.from_numpy(waveform), "label": label}

    def waveform(self, trial: Trial) -> np.ndarray:
        """The input of the model for a trial: float32, (segment.n_samples,)."""
        waveform = read_audio(self.audio_root / trial.audio, self.segment.n_samples)
        return fit_length(waveform, self.segment.n_samples, self.segment.padding)

    def collater(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        readable = [sample for sample in samples if "source" in sample]
        sources = [sample["source"] for sample in readable]
        return {
            "id": torch.tensor([sample["id"] for sample in readable], dtype=torch.long),
            "net_input": {"source": torch.stack(sources) if sources else torch.empty(0, self.segment.n_samples)},
            "label": torch.tensor([sample["label"] for sample in readable], dtype=torch.long),
            "nsentences": len(readable),
            "broken": [sample["broken"] for sample in samples if "broken" in sample],
        }
