"""The fairseq task `asvspoof`: detection of synthetic speech."""

import logging
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Optional

import torch
from fairseq import checkpoint_utils
from fairseq.data.data_utils import numpy_seed
from fairseq.logging import metrics
from fairseq.tasks import FairseqTask, register_task
from omegaconf import II, MISSING, DictConfig, open_dict
from torch import Tensor, nn

from protocols import DataError, SettingError, Trial, read_manifest
from sls_plugin.data.augmentation.chain import parse_chain
from sls_plugin.data.augmentation.rawboost import RawBoost, RawBoostConfig
from sls_plugin.data.balanced_dataset import BalancedTrialDataset
from sls_plugin.data.clip_dataset import Augmentation, Segment
from sls_plugin.data.cores import set_threads, warn_of_many_workers
from sls_plugin.data.trial_dataset import Crop, Padding, TrialDataset
from sls_plugin.inference.half_precision import refuse_wrong_convolutions
from sls_plugin.optim.l2_adam import require_parameter_options
from sls_plugin.scores.score_file import write_errors, write_scores
from sls_plugin.tasks.fairseq_patches import is_fairseq_command, names_our_task, patch_fairseq
from sls_plugin.tasks.generator import TrialDictionary, TrialGenerator
from sls_plugin.tasks.score_pool import ScorePool, require_both_classes, require_readable
from sls_plugin.tasks.supported_options import require_supported_options
from sls_plugin.tasks.training_record import SELECTION, Record, hash_files, require_unchanged, settings_of, summarise

logger = logging.getLogger(__name__)
if is_fairseq_command(sys.argv) and names_our_task(sys.argv):
    patch_fairseq()  # already now, because fairseq-validate loads the checkpoint before it sets up the task


@dataclass
class AsvspoofConfig(RawBoostConfig):
    """The manifests, and what becomes of a recording."""

    data: str = field(default=MISSING, metadata={"help": "folder of the manifests: train.tsv, dev.tsv, eval.tsv"})
    audio_root: Optional[str] = field(
        default=None, metadata={"help": "folder of relative audio paths; by default the manifest's own"}
    )
    max_samples: int = field(default=64_600, metadata={"help": "length of a clip in samples at 16 kHz"})
    crop: Crop = field(default="start", metadata={"help": "where a training clip begins; other clips begin at the start"})
    padding: Padding = field(
        default="tile",
        metadata={"help": "repeat short clips, or append zeros; zero_normalized: to clips brought to mean 0 and variance 1"},
    )
    balanced_batches: bool = field(
        default=False,
        metadata={"help": "make half of every training batch bona fide; an epoch repeats the smaller class"},
    )
    augment: Optional[str] = field(
        default=None,
        metadata={
            "help": "channels of training clips, in place of --rawboost-algorithm, such as "
            "'rawboost:3 | noise:snr=5-20,dir=MUSAN | codec:mp3/opus,p=0.5'"
        },
    )
    augment_validation: bool = field(
        default=False, metadata={"help": "augment validation clips too, as some authors did; always with the same draws"}
    )
    skip_broken_audio: bool = field(
        default=False, metadata={"help": "log, count and skip clips that cannot be read; by default they stop the run"}
    )
    resume_with_changes: bool = field(
        default=False, metadata={"help": "resume although trials or settings have changed, which is refused by default"}
    )
    seed: int = II("common.seed")
    train_subset: str = II("dataset.train_subset")
    results_path: Optional[str] = II("common_eval.results_path")


def augmentation(cfg: AsvspoofConfig) -> Augmentation:
    """The chain of --augment, or else RawBoost alone."""
    return RawBoost(cfg) if cfg.augment is None else parse_chain(cfg.augment, cfg)


@contextmanager
def out_of_memory_reported() -> Iterator[None]:
    """Raise DataError when the memory of the GPU or of the computer is full; fairseq would leave out the batch, or crash."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        on_gpu = isinstance(error, torch.OutOfMemoryError)
        if not (on_gpu or isinstance(error, MemoryError) or "can't allocate memory" in str(error)):
            raise
        where = "GPU memory" if on_gpu else "memory"
        raise DataError(f"out of {where}: lower --batch-size, and raise --update-freq by the same factor") from error


@register_task("asvspoof", dataclass=AsvspoofConfig)
class AsvspoofTask(FairseqTask):
    """Classifies recordings as bona fide or spoof.

    Loads datasets from manifests (`DATA/<split>.tsv`), reports the EER of the whole split at validation, and writes a score file
    when `fairseq-generate` has `--results-path`.
    """

    def __init__(self, cfg: AsvspoofConfig) -> None:
        super().__init__(cfg)
        self.dictionary = TrialDictionary()
        self.pool: ScorePool | None = None
        self.n_to_generate = 0
        self.shard_name = ""
        self.broken: dict[str, str] = {}
        self.n_broken = 0  # training clips of this epoch, of all workers
        self.precision_is_checked = False
        self.settings: Record = {}  # of a training run
        self.trials_read: dict[str, str] = {}

    @classmethod
    def setup_task(cls, cfg: AsvspoofConfig, from_checkpoint: bool = False, **_: Any) -> "AsvspoofTask":
        if is_fairseq_command(sys.argv):  # fairseq-hydra-train has the task in its configuration, not its arguments
            patch_fairseq()
        whole = cfg._get_root()
        is_command = "checkpoint" in whole and not from_checkpoint  # not the configuration of an earlier training
        if is_command:
            require_supported_options(whole)
        with open_dict(cfg):  # otherwise fairseq reuses the first epoch's batches and random draws
            cfg.rebuild_batches, cfg.reuse_dataloader, cfg.persistent_workers = True, False, False
        task = cls(cfg)
        if is_command and whole.criterion is not None:
            task.settings = settings_of(whole)  # before the model is built, which completes the settings
        return task

    @property
    def target_dictionary(self) -> TrialDictionary:
        return self.dictionary

    @property
    def source_dictionary(self) -> None:
        return None

    def max_positions(self) -> None:
        return None

    # Data

    def manifest(self, split: str) -> Path:
        return Path(self.cfg.data) / f"{split}.tsv"

    def trials(self, split: str) -> list[Trial]:
        """The trials of DATA/<split>.tsv; the split `mlaad+librispeech` joins two of them."""
        trials: dict[str, Trial] = {}
        for part in split.split("+"):
            manifest = self.manifest(part)
            if not manifest.is_file():
                remedy = "write it with `sls prepare --split`, or name another (--train-subset, --valid-subset, --gen-subset)"
                raise DataError(f"{manifest}: no such manifest: {remedy}")
            for trial in read_manifest(manifest):
                if trial.id in trials:
                    raise DataError(f"{manifest}: trial {trial.id} is also in another manifest of {split}: list each trial once")
                trials[trial.id] = trial
        return list(trials.values())

    def load_dataset(self, split: str, combine: bool = False, task_cfg: DictConfig | None = None, **_: Any) -> None:
        """Load the trials of a split. When scoring, `task_cfg` is the configuration that the model was trained with."""
        manifest, trials = self.manifest(split), self.trials(split)
        if task_cfg is None:  # training and its validation
            counts = Counter(trial.label for trial in trials)
            if counts[""]:
                raise DataError(f"{manifest}: {counts['']} trials have no label: training and validation need labels")
            require_both_classes(counts, str(manifest))
            self.trials_read[split] = summarise(trials)
        input_cfg = task_cfg or self.cfg
        training = task_cfg is None and split == self.cfg.train_subset
        augment = training or (task_cfg is None and self.cfg.augment_validation)
        dataset = BalancedTrialDataset if training and self.cfg.balanced_batches else TrialDataset
        self.datasets[split] = dataset(
            trials,
            Path(self.cfg.audio_root or manifest.parent),
            Segment(input_cfg.max_samples, str(input_cfg.crop) if training else "start", str(input_cfg.padding)),
            name=split,
            augment=augmentation(self.cfg) if augment else None,
            shuffle=training,
            seed=self.cfg.seed,
            skip_broken=self.cfg.skip_broken_audio,
        )

    def get_batch_iterator(self, dataset: TrialDataset, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("skip_remainder_batch"):
            raise SettingError("--skip-remainder-batch would drop trials: leave it out")
        warn_of_many_workers(kwargs.get("num_workers", 0))
        kwargs["required_batch_size_multiple"] = 1  # fairseq's default of 8 drops the end of a split
        if not kwargs.get("num_workers"):
            # Without workers fairseq decodes in a background thread, which aborts the interpreter on errors: turn it off. With
            # workers it is needed: without it they take seconds to stop.
            kwargs["data_buffer_size"] = 0
        iterator = super().get_batch_iterator(dataset, *args, **kwargs)
        n_batched = sum(len(batch) for batch in iterator.frozen_batches)
        if n_batched != len(dataset):
            raise DataError(f"{self.manifest(dataset.name)}: {n_batched} of {len(dataset)} trials are in batches")
        shard = iterator.frozen_batches[kwargs.get("shard_id", 0) :: kwargs.get("num_shards", 1)]
        self.pool = ScorePool(dataset.trials, str(self.manifest(dataset.name)))
        self.n_to_generate = sum(len(batch) for batch in shard)
        self.shard_name = f".shard-{kwargs['shard_id']}-of-{kwargs['num_shards']}" if kwargs.get("num_shards", 1) > 1 else ""
        return iterator

    # Model and criterion

    def build_model(self, cfg: DictConfig, from_checkpoint: bool = False) -> nn.Module:
        model = super().build_model(cfg, from_checkpoint)
        set_threads(model)
        if not from_checkpoint:
            model.require_samples(self.cfg.max_samples)
        with open_dict(cfg):  # fairseq saves this configuration in every checkpoint
            cfg.update(model.cfg_for_checkpoint())
        return model

    def build_criterion(self, cfg: DictConfig, from_checkpoint: bool = False) -> nn.Module:
        criterion = super().build_criterion(cfg, from_checkpoint)
        with open_dict(cfg):
            cfg.update(criterion.cfg_for_checkpoint())
        return criterion

    def count_training_classes(self) -> tuple[int, int]:
        """The numbers of spoof and bona fide trials in the training manifest."""
        counts = Counter(trial.label for trial in self.trials(self.cfg.train_subset))
        require_both_classes(counts, str(self.manifest(self.cfg.train_subset)))
        return counts["spoof"], counts["bonafide"]

    # Training and validation

    def get_checkpoint_dict(self) -> dict[str, Record]:
        """fairseq keeps it in checkpoints, and hands it to `set_checkpoint_dict` when training resumes."""
        return {type(self).__name__: self._record()}

    def set_checkpoint_dict(self, record: Record) -> None:
        now = self._record()
        if not self.cfg.resume_with_changes:
            require_unchanged(record, now, self.cfg._get_root().checkpoint.save_dir)
        elif any(record.get(name) != now.get(name) for name in SELECTION) and hasattr(checkpoint_utils.save_checkpoint, "best"):
            del checkpoint_utils.save_checkpoint.best  # a value of another metric or other trials

    def _record(self) -> Record:
        record = hash_files(self.settings) | {"training trials": self.trials_read[self.cfg.train_subset]}
        validated = [trials for split, trials in self.trials_read.items() if split != self.cfg.train_subset]
        return record | ({"validation trials": validated} if validated else {})  # not with --disable-validation

    def train_step(
        self, sample: dict, model: nn.Module, criterion: nn.Module, optimizer: Any, update_num: int, ignore_grad: bool = False
    ) -> tuple[Tensor, Any, dict]:
        require_parameter_options(optimizer, chain(model.parameters(), criterion.parameters()))
        self._note_broken(sample)
        if sample["nsentences"]:
            self._check_precision(sample, model)
            # layerdrop uses numpy's global generator
            with out_of_memory_reported(), numpy_seed(self.cfg.seed, update_num, sample["id"][0].item()):
                loss, sample_size, log = super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)
            if loss.isnan():
                raise DataError(f"the loss is NaN after {update_num:,} updates: training diverged: lower --lr")
        else:
            # Keep the silence out of BatchNorm's statistics, but not out of SyncBatchNorm's: other workers wait for it.
            for module in model.modules():
                if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                    module.eval()
            loss, sample_size, log = self._zero_step(sample, model, criterion)
            optimizer.backward(loss)
        return loss, sample_size, log | {"broken": len(sample["broken"])}

    def begin_epoch(self, epoch: int, model: nn.Module) -> None:
        self.n_broken = 0

    def begin_valid_epoch(self, epoch: int, model: nn.Module) -> None:
        metrics.reset_meters("valid")  # fairseq never does
        if torch.distributed.is_initialized():
            # Each worker has its own BatchNorm statistics; all validate with those that go into the checkpoint.
            for buffer in model.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def valid_step(self, sample: dict, model: nn.Module, criterion: nn.Module) -> tuple[Tensor, Any, dict]:
        self._note_broken(sample)
        if (sample["label"] < 0).any():
            trial = self.pool.trials[sample["id"][(sample["label"] < 0).nonzero()[0, 0]]]
            raise DataError(f"{self.pool.name}: trial {trial.id} has no label: validation needs labels, scoring does not")
        if sample["nsentences"]:
            self._check_precision(sample, model)
            with out_of_memory_reported():
                loss, sample_size, log = super().valid_step(sample, model, criterion)
            self.pool.add(sample["id"].tolist(), log.pop("scores").float().tolist())
        else:
            model.eval()
            loss, sample_size, log = self._zero_step(sample, model, criterion)
        n_broken = len(sample["broken"])
        return loss, sample_size, log | {"broken": n_broken, "pooled": sample["nsentences"] + n_broken}

    def reduce_metrics(self, logging_outputs: list[dict], criterion: nn.Module) -> None:
        super().reduce_metrics(logging_outputs, criterion)
        n_broken = int(sum(log["broken"] for log in logging_outputs))
        if n_broken:
            metrics.log_scalar_sum("broken", n_broken)
        n_pooled = int(sum(log.get("pooled", 0) for log in logging_outputs))
        if not n_pooled:
            self.n_broken += n_broken
            require_readable(self.n_broken, len(self.dataset(self.cfg.train_subset)), str(self.manifest(self.cfg.train_subset)))
            return
        pool = self.pool
        pool.count(n_pooled, n_broken)
        metrics.log_derived("eer", lambda _: pool.eer, priority=1)
        for name in ("loss", "loss_batch_mean"):  # for --best-checkpoint-metric: the original authors stop on the latter
            if metrics.get_meter("train", name) is not None:
                metrics.log_scalar(f"train_{name}", metrics.get_smoothed_value("train", name), n_pooled)

    def post_validate(self, model: nn.Module, stats: dict, agg: Any) -> None:
        self.pool.require_complete()

    def _note_broken(self, sample: dict) -> None:
        for name, reason in sample["broken"]:
            if name not in self.broken:
                self.broken[name] = reason
                logger.warning("left out trial %s: %s (%d so far)", name, reason, len(self.broken))

    def _check_precision(self, sample: dict, model: nn.Module) -> None:
        if not self.precision_is_checked:
            refuse_wrong_convolutions(model, sample["net_input"]["source"])
            self.precision_is_checked = True

    def _zero_step(self, sample: dict, model: nn.Module, criterion: nn.Module) -> tuple[Tensor, Any, dict]:
        """A step with zero loss and gradients for a batch of broken clips only: other workers wait for this worker's share."""
        source, label = sample["net_input"]["source"], sample["label"]
        silence = {"net_input": {"source": source.new_zeros(1, source.shape[1])}, "label": label.new_zeros(1)}
        loss, sample_size, log = criterion(model, silence)
        log.pop("scores", None)
        return loss * 0, sample_size * 0, {name: value * 0 for name, value in log.items()}

    # Scoring

    def build_generator(self, models: list[nn.Module], args: DictConfig, **_: Any) -> TrialGenerator:
        return TrialGenerator(self.dictionary)

    def inference_step(self, generator: TrialGenerator, models: list[nn.Module], sample: dict, **_: Any) -> list:
        self._note_broken(sample)
        sample["target"] = self.dictionary.target_tokens(sample["label"].cpu())  # read by fairseq-generate
        hypotheses = generator.generate(models, sample) if sample["nsentences"] else []
        self.pool.add(sample["id"].tolist(), [hypothesis["score"] for (hypothesis,) in hypotheses])
        self.n_to_generate -= sample["nsentences"] + len(sample["broken"])
        if self.n_to_generate == 0 and self.cfg.results_path is not None:
            self._write_scores(Path(self.cfg.results_path))
        return hypotheses

    def _write_scores(self, folder: Path) -> None:
        """Write the scores of this worker's trials, in the manifest's order."""
        path = folder / f"scores-{Path(self.pool.name).stem}{self.shard_name}.txt"
        write_scores(path, [(self.pool.trials[index].id, score) for index, score in sorted(self.pool.scores.items())])
        print(f"{len(self.pool.scores):,} scores in {path}", file=sys.stderr)
        write_errors(path, self.broken)
