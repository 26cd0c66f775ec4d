"""Batches of which exactly half are bona fide."""

from typing import Any

import numpy as np

from protocols import DataError

from .clip_dataset import CLASSES, random_state
from .trial_dataset import TrialDataset


class BalancedTrialDataset(TrialDataset):
    """Training trials, as many spoofs as bona fide ones in every batch; an epoch ends when the larger class does.

    An epoch goes once through the larger class and repeatedly through the smaller one, each time in a new order. Its last pass
    may be incomplete, so that the draws of its trials differ by at most one. Within an epoch a trial always has the same crop
    and augmentation. The order depends on (seed, epoch) alone.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        labels = np.array([trial.label for trial in self.trials])
        self.members = [np.flatnonzero(labels == name) for name in CLASSES]
        self.largest = max(map(len, self.members))

    def __len__(self) -> int:
        """The number of draws in an epoch."""
        return 2 * self.largest

    def ordered_indices(self) -> np.ndarray:
        rng = random_state(self.seed, self.epoch)
        draws = []
        for members in self.members:
            passes = -(-self.largest // len(members))
            draws.append(np.concatenate([rng.permutation(members) for _ in range(passes)])[: self.largest])
        return np.stack(draws, axis=1).ravel()  # spoof, bona fide, spoof, bona fide, ...

    def batch_by_size(self, *args: Any, **settings: Any) -> Any:
        batches = super().batch_by_size(*args, **settings)
        if any(len(batch) % 2 for batch in batches):
            raise DataError(f"--balanced-batches needs an even --batch-size, got {len(batches[0])}")
        return batches
