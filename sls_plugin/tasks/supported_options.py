"""Which of fairseq's options a detector can be trained and scored with; the others are refused before anything is loaded."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch
from fairseq.criterions import CRITERION_REGISTRY
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_original_cwd
from omegaconf import DictConfig

from protocols import SettingError
from sls_plugin.criterions.detection_criterion import DetectionCriterion

LOWER_IS_BETTER = ("eer", "loss", "loss_batch_mean", "train_loss", "train_loss_batch_mean")
HIGHER_IS_BETTER = ("accuracy",)
METRICS = (*LOWER_IS_BETTER, *HIGHER_IS_BETTER)  # for --best-checkpoint-metric
# Options that make fairseq do what no detector supports: section, name, the values that are allowed.
FIXED = (
    ("common", "tpu", (False,)),
    ("common", "model_parallel_size", (1,)),
    ("common", "quantization_config_path", (None,)),
    ("distributed_training", "ddp_backend", ("c10d", "no_c10d", "pytorch_ddp", "legacy_ddp")),
    ("distributed_training", "pipeline_model_parallel", (False,)),
    ("distributed_training", "zero_sharding", ("none",)),
    ("optimization", "use_bmuf", (False,)),
    ("dataset", "combine_valid_subsets", (None, False)),
    ("checkpoint", "checkpoint_shard_count", (1,)),
    ("ema", "ema_fp32", (False,)),  # the average always is
    ("ema", "ema_seed_model", (None,)),
    ("checkpoint", "write_checkpoints_asynchronously", (False,)),
)


def require_supported_options(cfg: DictConfig) -> None:
    """Raise SettingError, with the remedy, when the whole configuration of a fairseq command has an option that cannot work."""
    for problem in _problems(cfg):
        raise SettingError(problem)


def _problems(cfg: DictConfig) -> Iterator[str]:
    yield from _missing_parts(cfg)
    yield from _precision_problems(cfg)
    for section, name, allowed in FIXED:
        if cfg[section][name] not in allowed:
            yield f"--{name.replace('_', '-')} {cfg[section][name]}: detectors do not support it: leave it out"
    if not Path(cfg.task.data).is_dir():
        yield f"{cfg.task.data}: no such folder of manifests: {_remedy_of_missing_data(cfg.task.data)}"
    if cfg.dataset.num_shards > 1:
        yield "--num-shards: fairseq would score every trial in each shard: use `sls score --shard I/N`, and `sls merge`"
    if cfg.dataset.max_valid_steps is not None:
        yield "--max-valid-steps: the EER needs all trials: remove the option"
    yield from _checkpoint_problems(cfg.checkpoint)


def _remedy_of_missing_data(data: str) -> str:
    if HydraConfig.initialized() and (Path(get_original_cwd()) / data).is_dir():
        return "fairseq-hydra-train has changed the working folder: add hydra.job.chdir=false"
    return "write it with `sls prepare`, or correct the path"


def _missing_parts(cfg: DictConfig) -> Iterator[str]:
    if cfg.common_eval.path is not None:  # of fairseq-validate and fairseq-generate, which take them from the checkpoint
        return
    criterions = [name for name, kind in CRITERION_REGISTRY.items() if issubclass(kind, DetectionCriterion)]
    if _name_of(cfg.criterion) not in criterions:
        yield f"--criterion {_name_of(cfg.criterion)}: choose from {', '.join(sorted(criterions))}"
    yield from _output_layer_problems(cfg)
    if _name_of(cfg.optimizer) is None:
        yield "--optimizer is missing: add it, such as --optimizer l2_adam"


def _output_layer_problems(cfg: DictConfig) -> Iterator[str]:
    criterion, model = _name_of(cfg.criterion), _name_of(cfg.model)
    needed = CRITERION_REGISTRY[criterion].output_layer
    chosen = str(cfg.model.get("output_layer", "linear"))
    if "output_layer" not in cfg.model and needed != chosen:
        yield f"--criterion {criterion}: --arch {model} has no --output-layer: use one with a backbone, such as sls_xlsr_300m"
    elif needed != chosen:
        yield f"--criterion {criterion} with --output-layer {chosen}: it trains --output-layer {needed}: give that"


def _name_of(part: DictConfig | str | None) -> str | None:
    """The registered name of a part of the configuration, which is the name alone where the part has no settings."""
    return part.get("_name") if isinstance(part, DictConfig) else part


def _precision_problems(cfg: DictConfig) -> Iterator[str]:
    common, on_cpu = cfg.common, cfg.common.cpu or not torch.cuda.is_available()
    if common.memory_efficient_fp16 or common.memory_efficient_bf16:
        yield "--memory-efficient-fp16 and -bf16 need another optimizer: use --bf16, or --fp16 --fp16-no-flatten-grads"
    if on_cpu and (common.fp16 or common.bf16 or common.amp):
        yield "--fp16, --bf16 and --amp need a GPU: leave them out"
    if common.fp16 and not common.fp16_no_flatten_grads and _name_of(cfg.optimizer) in ("l2_adam", "adamw"):
        yield "--fp16 with --optimizer l2_adam or adamw needs --fp16-no-flatten-grads: add it"
    several = cfg.distributed_training.distributed_world_size > 1
    if on_cpu and several and cfg.distributed_training.ddp_backend not in ("legacy_ddp", "no_c10d"):
        yield "several processes on the CPU need --ddp-backend legacy_ddp: add it"


def _checkpoint_problems(checkpoint: DictConfig) -> Iterator[str]:
    metric = checkpoint.best_checkpoint_metric
    if metric not in METRICS:
        yield f"--best-checkpoint-metric {metric}: choose from {', '.join(METRICS)}"
    if checkpoint.maximize_best_checkpoint_metric and metric in LOWER_IS_BETTER:
        yield f"--maximize-best-checkpoint-metric: the lowest {metric} is the best: leave it out"
    if not checkpoint.maximize_best_checkpoint_metric and metric in HIGHER_IS_BETTER:
        yield f"--best-checkpoint-metric {metric}: the highest is the best: add --maximize-best-checkpoint-metric"
    if checkpoint.keep_best_checkpoints > 0 and checkpoint.no_last_checkpoints:
        yield "--keep-best-checkpoints copies checkpoint_last.pt: leave out --no-last-checkpoints"
    if checkpoint.reset_dataloader and not (checkpoint.reset_meters or checkpoint.reset_optimizer):
        yield "--reset-dataloader would compare with the best value of the earlier training: add --reset-meters"
    if os.path.exists(checkpoint.save_dir) and not os.path.isdir(checkpoint.save_dir):
        yield f"{checkpoint.save_dir}: not a folder: name another --save-dir"
