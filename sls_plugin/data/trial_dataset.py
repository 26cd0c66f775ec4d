"""Trials to batches of waveforms."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.data import FairseqDataset
from fairseq.dataclass import ChoiceEnum

from protocols import DataError, Trial

from .audio import fit_length, read_audio
from .rawboost import RawBoost

CLASSES = ("spoof", "bonafide")  # index = label: bona fide 1, spoof 0
UNKNOWN = -1  # the label of a trial whose class is not known

Crop = ChoiceEnum(["start", "random"])
Padding = ChoiceEnum(["tile", "zero"])


@dataclass(frozen=True)
class Segment:
    """The part of an utterance that a model takes: its length in samples, where it begins, how a short one is filled."""

    n_samples: int
    crop: str = "start"
    padding: str = "tile"


class TrialDataset(FairseqDataset):
    """The trials of one split as fairseq samples.

    Random draws (order, RawBoost, crop) depend on (seed, epoch, trial) alone: the same for any number of workers.
    A batch holds `net_input.source` (B x samples, float32), `label` (B: 1 bona fide, 0 spoof, -1 unknown), `id` (B, position
    in the manifest) and `broken`, the (trial id, reason) of clips that could not be read. These are met only with
    `skip_broken`; without it such a clip raises DataError.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        audio_root: Path,
        segment: Segment,
        *,
        name: str = "trials",
        rawboost: RawBoost | None = None,
        shuffle: bool = False,
        seed: int = 1,
        skip_broken: bool = False,
    ) -> None:
        self.trials = trials
        self.audio_root = audio_root
        self.segment = segment
        self.name = name
        self.rawboost = rawboost
        self.shuffle = shuffle
        self.seed = seed
        self.skip_broken = skip_broken
        self.epoch = 1

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
        """What the model hears of a trial in this epoch: float32, (segment.n_samples,)."""
        waveform = read_audio(self.audio_root / trial.audio)
        rng = self._random_state(*trial.id.encode())
        if self.rawboost is not None:
            waveform = self.rawboost(waveform, rng)
        start = 0
        if self.segment.crop == "random":
            start = rng.randint(max(0, len(waveform) - self.segment.n_samples) + 1)
        return fit_length(waveform, self.segment.n_samples, self.segment.padding, start)

    def _random_state(self, *key: int) -> np.random.RandomState:
        """A legacy generator, whose draws RawBoost's authors used, seeded for this epoch and key."""
        return np.random.RandomState(np.random.MT19937(np.random.SeedSequence([self.seed, self.epoch, *key])))

    def collater(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        sound = [sample for sample in samples if "source" in sample]
        sources = [sample["source"] for sample in sound]
        return {
            "id": torch.tensor([sample["id"] for sample in sound], dtype=torch.long),
            "net_input": {"source": torch.stack(sources) if sources else torch.empty(0, self.segment.n_samples)},
            "label": torch.tensor([sample["label"] for sample in sound], dtype=torch.long),
            "nsentences": len(sound),
            "broken": [sample["broken"] for sample in samples if "broken" in sample],
        }

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        return False  # every epoch has an order and draws of its own

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def ordered_indices(self) -> np.ndarray:
        """The order of the trials in this epoch; fairseq itself shuffles only whole batches."""
        if self.shuffle:
            return self._random_state().permutation(len(self))
        return np.arange(len(self))

    def num_tokens(self, index: int) -> int:
        """For `--max-tokens`: the frames of 20 ms that every backbone of the wav2vec family makes of a clip."""
        return self.size(index)

    def size(self, index: int) -> int:
        return self.segment.n_samples // 320
