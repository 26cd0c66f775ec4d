"""Scores a list of trials with a model."""

import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from protocols import DataError, Trial
from sls_plugin.data.clip_dataset import Augmentation, Segment
from sls_plugin.data.conditions import MEANINGS, ObservedClips
from sls_plugin.data.loader import iterate
from sls_plugin.inference.half_precision import CHECKED_CLIPS, is_half, repair_convolutions, require_close
from sls_plugin.modules.packed_weights import pack_weights

logger = logging.getLogger(__name__)


@torch.inference_mode()
def score_batch(model: nn.Module, source: Tensor, llr: bool = False) -> Tensor:
    """Scores (B, float32) of waveforms (B x samples): the published score, or with `llr` the log-likelihood ratios."""
    model.eval()
    output = model(source)
    return (model.log_likelihood_ratios(output) if llr else model.scores(output)).float()


class ScoringEngine:
    """Scores trials with one model.

    A recording that cannot be read raises DataError; with `skip_broken` the reason replaces its score. With `strict`, one that
    is silent, constant, clipped or longer than what is heard of it raises DataError too. When a GPU runs out of memory, the
    engine continues with fewer clips at a time. Half precision is checked against float32 on the first clips. `pack_weights`
    saves a CPU a tenth of its time after a second or two at the start; afterwards the model can only be used for inference.
    """

    def __init__(
        self,
        model: nn.Module,
        segment: Segment,
        *,
        device: str,
        dtype: torch.dtype,
        batch_size: int,
        num_workers: int,
        llr: bool = False,
        skip_broken: bool = False,
        strict: bool = False,
        pack_weights: bool = False,
        channel: Augmentation | None = None,
    ) -> None:
        self.model = model.to(device).eval()
        self.is_prepared = False
        self.segment = segment
        self.device = device
        self.dtype = dtype
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.llr = llr
        self.skip_broken = skip_broken
        self.strict = strict
        self.pack_weights = pack_weights
        self.channel = channel
        self.clips_at_once = batch_size

    def scores(self, trials: Sequence[Trial]) -> Iterator[tuple[str, float | str, list[str]]]:
        """Of each trial in order its id, its score or why it has none, and the conditions of its recording.

        Audio paths are relative to the current folder.
        """
        starts = range(0, len(trials), self.batch_size)
        for start, (sound, source, broken, conditions) in zip(starts, self.batches(trials), strict=True):
            scores = self.score(source).tolist() if sound else []
            outcomes = broken | {trial.id: score for trial, score in zip(sound, scores, strict=True)}
            for trial in trials[start : start + self.batch_size]:
                outcome = outcomes[trial.id]
                if not isinstance(outcome, str):
                    self.require_finite(trial, outcome)
                yield trial.id, outcome, conditions.get(trial.id, [])

    def batches(self, trials: Sequence[Trial]) -> Iterator[tuple[list[Trial], Tensor, dict[str, str], dict[str, list[str]]]]:
        """Batches: the trials that can be read, their waveforms (B x samples) on the device, the reasons of the others.

        At the end the conditions of recordings that have some.
        """
        dataset = ObservedClips(trials, Path(), self.segment, skip_broken=True, channel=self.channel)
        on_gpu = self.device.startswith("cuda")
        loader = DataLoader(
            dataset, self.batch_size, collate_fn=dataset.collater, num_workers=self.num_workers, pin_memory=on_gpu
        )
        for batch in iterate(loader):
            for _, reason in batch["broken"]:
                self.require_skipping(trials, reason)
            conditions = {trials[index].id: found for index, found in batch["conditions"].items() if found}
            for index, found in batch["conditions"].items():
                self.require_sound(trials[index], found)
            source = batch["net_input"]["source"].to(self.device, non_blocking=on_gpu)
            yield [trials[index] for index in batch["id"].tolist()], source, dict(batch["broken"]), conditions

    def require_sound(self, trial: Trial, conditions: Sequence[str]) -> None:
        """Stop at a recording that is in some condition, where the run is strict."""
        if self.strict and conditions:
            raise DataError(f"{trial.audio}: {MEANINGS[conditions[0]]}: check it, or leave out --strict")

    def require_skipping(self, trials: Sequence[Trial], reason: str) -> None:
        """Stop at a broken recording, unless those are to be skipped."""
        if not self.skip_broken:
            raise DataError(f"{reason}; --skip-broken scores the rest" if len(trials) > 1 else reason)

    def require_finite(self, trial: Trial, score: float) -> None:
        if not math.isfinite(score):
            number = "NaN" if math.isnan(score) else "infinite"
            raise DataError(f"{trial.audio}: trial {trial.id}: the model's score is {number}: try --dtype float32")

    def score(self, source: Tensor) -> Tensor:
        """Scores (B) of waveforms (B x samples), as many at a time as fit into memory."""
        while True:
            try:
                if not self.is_prepared:
                    self._prepare(source[: min(CHECKED_CLIPS, self.clips_at_once)])
                parts = source.split(self.clips_at_once)
                return torch.cat([score_batch(self.model, part, self.llr) for part in parts])
            except torch.OutOfMemoryError:
                if self.clips_at_once == 1:
                    remedy = "use --device cpu" if is_half(self.dtype) else "try --dtype bfloat16"
                    raise DataError(f"{self.device}: out of memory with a single clip: {remedy}") from None
            # Outside the handler the error, and the tensors that it kept alive, are gone.
            if self.clips_at_once == self.batch_size:
                logger.warning("%s: out of memory with %s clips at a time: continuing with fewer", self.device, self.batch_size)
            self.clips_at_once = math.ceil(self.clips_at_once / 2)
            torch.cuda.empty_cache()

    @torch.no_grad()
    def _prepare(self, clips: Tensor) -> None:
        """Convert the model to the type of the run, half precision checked on these clips (B x samples), and pack its weights."""
        half = is_half(self.dtype)
        expected = self.model.float()(clips) if half else None
        self.model.to(self.dtype)
        if half:
            repair_convolutions(self.model, clips)
        if self.pack_weights:
            pack_weights(self.model, self.device, self.dtype)
        if half:
            require_close(self.model(clips), expected, self.dtype)
        self.is_prepared = True
