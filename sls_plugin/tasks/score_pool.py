"""The scores of one pass over a split, pooled over batches and workers."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from protocols import DataError, Trial
from sls_plugin.metrics.det import equal_error_rate


class ScorePool:
    """Collects a score per trial until every trial of the split is counted; then, and only then, knows the EER.

    Each worker collects its own trials. `count` is told the number of trials that all workers have done, so that the last
    call happens on all of them at once, where they exchange their scores.
    """

    def __init__(self, trials: Sequence[Trial], name: str) -> None:
        self.trials = trials
        self.name = name
        self.scores: dict[int, float] = {}
        self.n_done = 0
        self.eer = float("nan")

    def add(self, indices: Iterable[int], scores: Iterable[float]) -> None:
        """Scores of trials, by their position in the split; a worker may meet a trial twice, as a filler batch."""
        self.scores.update(zip(indices, scores, strict=True))

    def count(self, n_trials: int) -> None:
        """That all workers together have done `n_trials` more, scored or found broken."""
        self.n_done += n_trials
        if self.n_done == len(self.trials):
            self._gather()
            self.eer = self._equal_error_rate()

    def require_complete(self) -> None:
        if self.n_done != len(self.trials):
            remedy = "leave out the option that shortens it (--max-valid-steps?)"
            raise DataError(f"{self.name}: {self.n_done} of {len(self.trials)} trials were scored: {remedy}")

    def _gather(self) -> None:
        if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
            everyone: list[dict[int, float]] = [{}] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(everyone, self.scores)
            self.scores = {index: score for scores in everyone for index, score in scores.items()}

    def _equal_error_rate(self) -> float:
        by_class: dict[str, list[float]] = {"bonafide": [], "spoof": []}
        for index, score in self.scores.items():
            if not np.isfinite(score):
                raise DataError(f"{self.name}: trial {self.trials[index].id}: the model's score is {score}: training diverged")
            by_class[self.trials[index].label].append(score)
        require_both_classes({label: len(scores) for label, scores in by_class.items()}, self.name)
        return float(equal_error_rate(np.array(by_class["bonafide"]), np.array(by_class["spoof"]))[0])


def require_both_classes(counts: dict[str, int], name: str) -> None:
    """Raise DataError when a split (`name`) has no trial of a class: neither training nor the EER is defined."""
    for label in ("bonafide", "spoof"):
        if not counts.get(label):
            raise DataError(f"{name}: no {label} trial: training and the EER need trials of both classes")
