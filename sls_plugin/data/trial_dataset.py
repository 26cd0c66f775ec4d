"""The trials of a split as fairseq takes them for training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from fairseq.data import FairseqDataset
from fairseq.dataclass import ChoiceEnum

from protocols import Trial

from .audio import fit_length, read_audio
from .clip_dataset import Augmentation, ClipDataset, Segment, random_state

Crop = ChoiceEnum(["start", "random"])
Padding = ChoiceEnum(["tile", "zero", "zero_normalized"])


class TrialDataset(ClipDataset, FairseqDataset):
    """The trials of one split as fairseq samples.

    Random draws (order, augmentation, crop) depend on (seed, epoch, trial) alone: the same for any number of workers.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        audio_root: Path,
        segment: Segment,
        *,
        name: str = "trials",
        augment: Augmentation | None = None,
        shuffle: bool = False,
        seed: int = 1,
        skip_broken: bool = False,
    ) -> None:
        super().__init__(trials, audio_root, segment, skip_broken=skip_broken)
        self.name = name
        self.augment = augment
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 1

    def waveform(self, trial: Trial) -> np.ndarray:
        """The input of the model for a trial in this epoch: float32, (segment.n_samples,)."""
        if self.augment is None and self.segment.crop == "start":
            return super().waveform(trial)
        waveform = read_audio(self.audio_root / trial.audio)
        rng = random_state(self.seed, self.epoch, *trial.id.encode())
        if self.augment is not None:
            waveform = self.augment(waveform, rng)
        start = 0
        if self.segment.crop == "random":
            start = rng.randint(max(0, len(waveform) - self.segment.n_samples) + 1)
        return fit_length(waveform, self.segment.n_samples, self.segment.padding, start)

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        return False  # each epoch has its own order and random draws

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def ordered_indices(self) -> np.ndarray:
        """The order of the trials in this epoch; fairseq itself shuffles only whole batches."""
        if self.shuffle:
            return random_state(self.seed, self.epoch).permutation(len(self))
        return np.arange(len(self))

    def num_tokens(self, index: int) -> int:
        """For `--max-tokens`: the frames of 20 ms that every backbone of the wav2vec family makes of a clip."""
        return self.size(index)

    def size(self, index: int) -> int:
        return self.segment.n_samples // 320
