"""The scores of one pass over a split, pooled over batches and workers."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from protocols import DataError, Trial
from sls_plugin.metrics.det import equal_error_rate


class ScorePool:
    """Collects the scores of a split; `eer` is NaN until all of its trials are counted.

    Each worker adds its own trials. `count` receives the number of trials that all workers together have finished, so all of
    them reach the end in the same call, where they exchange their scores.
    """

    def __init__(self, trials: Sequence[Trial], name: str) -> None:
        self.trials = trials
        self.name = name
        self.scores: dict[int, float] = {}
        self.n_done = 0
        self.n_broken = 0
        self.eer = float("nan")

    def add(self, indices: Iterable[int], scores: Iterable[float]) -> None:
        """Scores of trials, by position in the split; a worker may see a trial twice, in fairseq's filler batches."""
        self.scores.update(zip(indices, scores, strict=True))

    def count(self, n_trials: int, n_broken: int = 0) -> None:
        """Count `n_trials` more that all workers together have finished, of which `n_broken` could not be read."""
        self.n_done += n_trials
        self.n_broken += n_broken
        require_readable(self.n_broken, len(self.trials), self.name)
        if self.n_done == len(self.trials):
            self._gather()
            self.eer = self._equal_error_rate()

    def require_complete(self) -> None:
        if self.n_done != len(self.trials):
            remedy = "remove the option that shortens validation (--max-valid-steps?)"
            raise DataError(f"{self.name}: {self.n_done} of {len(self.trials)} trials were scored: {remedy}")

    def _gather(self) -> None:
        if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
            everyone: list[dict[int, float]] = [{}] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(everyone, self.scores)
            self.scores = {index: score for scores in everyone for index, score in scores.items()}

    def _equal_error_rate(self) -> float:
        class_scores: dict[str, list[float]] = {"bonafide": [], "spoof": []}
        for index, score in self.scores.items():
            if not np.isfinite(score):
                raise DataError(f"{self.name}: trial {self.trials[index].id}: the model's score is {score}: training diverged")
            class_scores[self.trials[index].label].append(score)
        require_both_classes({label: len(scores) for label, scores in class_scores.items()}, self.name)
        return float(equal_error_rate(np.array(class_scores["bonafide"]), np.array(class_scores["spoof"]))[0])


def require_both_classes(counts: dict[str, int], name: str) -> None:
    """Raise DataError when a split (`name`) has no trial of a class: neither training nor the EER is defined without it."""
    for label in ("bonafide", "spoof"):
        if not counts.get(label):
            raise DataError(f"{name}: no {label} trial: training and the EER need trials of both classes")


def require_readable(n_broken: int, n_trials: int, name: str) -> None:
    """Raise DataError when most trials of a split (`name`) cannot be read: what is left is another data set."""
    if n_broken > n_trials / 2:
        remedy = "check the folder of recordings, --audio-root"
        raise DataError(f"{name}: {n_broken:,} of {n_trials:,} clips cannot be read: {remedy}")
