"""A checkpoint and a list of trials to scores."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from fairseq import checkpoint_utils
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.utils.data import DataLoader

import sls_plugin.tasks  # noqa: F401  (registers the models)
from fairseq_ckpt.detector import read_detector
from protocols import DataError, Trial
from sls_plugin.data.trial_dataset import Segment, TrialDataset
from sls_plugin.scoring.generator import score_batch


def load_detector(path: str | Path) -> tuple[nn.Module, Segment]:
    """The model of a checkpoint that training or the original authors wrote, and the part of an utterance that it takes."""
    checkpoint = read_detector(path)
    config = OmegaConf.create(checkpoint["cfg"])
    detector = {"cfg": config, "model": checkpoint["model"]}
    (model,), _, _ = checkpoint_utils.load_model_ensemble_and_task([str(path)], state=detector)
    return model, Segment(config.task.max_samples, "start", str(config.task.padding))


class ScoringEngine:
    """Scores trials with one model.

    A recording that cannot be read raises DataError; with `skip_broken` its reason goes into `broken`, by trial id.
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
    ) -> None:
        self.model = model.to(device, dtype).eval()
        self.segment = segment
        self.device = device
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.llr = llr
        self.skip_broken = skip_broken
        self.broken: dict[str, str] = {}

    def scores(self, trials: Sequence[Trial]) -> Iterator[tuple[str, float]]:
        """Ids and scores of trials, in their order; audio paths hold from the current folder."""
        for batch, source in self.batches(trials):
            for trial, score in zip(batch, score_batch(self.model, source, self.llr).tolist(), strict=True):
                if math.isnan(score):
                    raise DataError(f"{trial.audio}: trial {trial.id}: the model's score is NaN: try --dtype float32")
                yield trial.id, score

    def batches(self, trials: Sequence[Trial]) -> Iterator[tuple[list[Trial], Tensor]]:
        """Trials that can be read, a batch at a time, and their waveforms (B x samples) on the device."""
        dataset = TrialDataset(trials, Path(), self.segment, skip_broken=True)
        for batch in DataLoader(dataset, self.batch_size, collate_fn=dataset.collater, num_workers=self.num_workers):
            for name, reason in batch["broken"]:
                if not self.skip_broken:
                    raise DataError(reason)
                self.broken[name] = reason
            if not batch["nsentences"]:
                continue
            yield [trials[index] for index in batch["id"].tolist()], batch["net_input"]["source"].to(self.device)
