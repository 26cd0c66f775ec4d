"""Patches of fairseq, applied only when one of its commands runs our task."""

import errno
import functools
import os
import re
import shutil
import sys
import traceback as tracebacks
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from fairseq import checkpoint_utils, utils
from fairseq import trainer as fairseqs_trainer
from fairseq.criterions import CRITERION_DATACLASS_REGISTRY
from fairseq.dataclass.utils import overwrite_args_by_name
from fairseq.distributed import utils as distributed_utils
from fairseq.file_io import PathManager
from fairseq.tasks import TASK_DATACLASS_REGISTRY, FairseqTask
from omegaconf import DictConfig, OmegaConf
from torch import distributed, nn
from torch.multiprocessing import ProcessRaisedException

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.detector import read_for_fairseq
from fairseq_ckpt.errors import first_misfit
from fairseq_ckpt.writing import fairseq_dictionary, write_pickled
from protocols import DataError, UserError
from protocols.files import replacing
from sls_plugin.data.loader import REMEDY, WORKER_DIED, send_tensors_by_value
from sls_plugin.inference.settings import SkipWeightInit, building, model_settings, require_finite, typed_settings
from sls_plugin.optim.weight_average import WeightAverage
from sls_plugin.tasks.fairseq_logs import tidy_logs

fairseqs_call_main = distributed_utils.call_main
fairseqs_save_checkpoint = checkpoint_utils.save_checkpoint
fairseqs_load_models = checkpoint_utils.load_model_ensemble_and_task
_UNLOADABLE = re.compile("Cannot load model parameters from checkpoint (.*?); ")
_RESOLVED = {"seed": 1, "train_subset": "train", "results_path": None}  # settings of the task that refer to other sections
_BATCH_SIZE_OPTIONS = {"--batch-size", "--max-sentences", "--max-tokens"}


def is_fairseq_command(argv: Sequence[str]) -> bool:
    """Whether the process is one of fairseq's commands, such as fairseq-train or `python -m fairseq_cli.train`."""
    program = Path(argv[0]) if argv else Path()
    return program.name.startswith("fairseq-") or program.parent.name == "fairseq_cli"


def names_our_task(argv: Sequence[str]) -> bool:
    """Whether the arguments of a command choose `--task asvspoof`."""
    return "--task=asvspoof" in argv or any(pair == ("--task", "asvspoof") for pair in pairwise(argv))


def patch_fairseq() -> None:
    """Patch fairseq where its options do not suffice.

    Afterwards checkpoints are read safely and only our models are built from them, all processes of a run receive what the
    first has read, the best checkpoints are kept by all digits, files are written and copied atomically, data workers need no
    shared memory, the log is tidy, errors of the user print one line, and fairseq-validate runs without --batch-size. Call
    this only in a fairseq command that runs our task, because no other model of fairseq can be loaded afterwards.
    """
    checkpoint_utils.load_checkpoint_to_cpu = _load_checkpoint
    checkpoint_utils.load_model_ensemble_and_task = _load_models
    distributed_utils.call_main = _call_main
    distributed_utils._broadcast_object_slow = _broadcast_object
    checkpoint_utils.save_checkpoint = _save_checkpoint
    checkpoint_utils.torch_persistent_save = _write_checkpoint
    fairseqs_trainer.build_ema = WeightAverage
    send_tensors_by_value()
    tidy_logs()
    PathManager.copy = staticmethod(_copy)
    sys.excepthook = _excepthook
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # otherwise Hydra prints errors of the user itself, with a traceback
    if Path(sys.argv[0]).stem in ("fairseq-validate", "validate"):  # unlike fairseq-generate, it has no default batch size
        given = {argument.split("=")[0] for argument in sys.argv}
        sys.argv += [] if given & _BATCH_SIZE_OPTIONS else ["--batch-size", "8"]


def _load_checkpoint(path: str, arg_overrides: dict[str, Any] | None = None, load_on_all_ranks: bool = False) -> dict[str, Any]:
    """Read a checkpoint for --path, --finetune-from-model or --restore-file with this project's reader.

    It also takes the original authors' detectors, and of a checkpoint's own settings only those that our dataclasses have.
    """
    state = read_for_fairseq(path)
    with building(path):
        config = OmegaConf.create({section: _typed(section, settings) for section, settings in state["cfg"].items()})
    overwrite_args_by_name(config, arg_overrides or {})
    state.setdefault("criterion", {})  # expected when the criterion has parameters
    state.setdefault("extra_state", {}).setdefault("ema", state["model"])  # where --store-ema begins
    return checkpoint_utils._upgrade_state_dict(state | {"cfg": config})


def _typed(section: str, settings: Any) -> DictConfig:
    if section == "model":
        return model_settings(settings)
    registry, defaults = (TASK_DATACLASS_REGISTRY, _RESOLVED) if section == "task" else (CRITERION_DATACLASS_REGISTRY, {})
    name = settings.get("_name") if isinstance(settings, dict) else None
    if not getattr(registry.get(name) if isinstance(name, str) else None, "__module__", "").startswith("sls_plugin."):
        raise CheckpointError(f"asks for a {section} that is not this project's ({name}): do not trust this file")
    return typed_settings(registry[name], defaults | settings)


def _call_main(cfg: DictConfig, main: Callable[..., Any], **settings: Any) -> None:
    """Start a command; fairseq takes --bf16 for a TPU, and would look for one."""
    if cfg.common.bf16:
        cfg.common.tpu = False
    fairseqs_call_main(cfg, main, **settings)


def _broadcast_object(content: Any, src_rank: int, group: distributed.ProcessGroup, dist_device: torch.device) -> Any:
    """Send a checkpoint's settings from one process of the run to the others.

    fairseq's own uses torch.load, which refuses configurations on PyTorch 2.6 and later.
    """
    if isinstance(content, dict) and "cfg" in content:  # choices are members of classes that no other process can look up
        plain = OmegaConf.to_container(content["cfg"], enum_to_str=True)
        content = content | {"cfg": OmegaConf.create(plain, flags={"allow_objects": True})}
    received = [content]
    distributed.broadcast_object_list(received, src_rank, group, dist_device)
    return received[0]


@functools.wraps(fairseqs_load_models)
def _load_models(
    filenames: list[str],
    arg_overrides: dict[str, Any] | None = None,
    task: FairseqTask | None = None,
    strict: bool = True,
    suffix: str = "",
    num_shards: int = 1,
    state: dict[str, Any] | None = None,
) -> tuple[list[nn.Module], DictConfig, FairseqTask]:
    """Build only this project's models and criterions, each from the content that was checked.

    fairseq builds whatever a checkpoint names, and many of its models and criterions evaluate settings as Python code.
    """
    if suffix or num_shards > 1:
        raise CheckpointError(f"{filenames[0]}: give whole checkpoints: --checkpoint-suffix and shards are not supported")
    ensemble = []
    for path in filenames:
        content = state or _load_checkpoint(path, arg_overrides)
        with building(path), SkipWeightInit() if strict else nullcontext():
            require_finite(content["model"], path)
            (model,), config, task = fairseqs_load_models([path], arg_overrides, task, strict, state=content)
        ensemble.append(model)
    return ensemble, config, task


def _copy(src_path: str, dst_path: str, overwrite: bool = False) -> str:
    """Copy atomically: when fairseq copies `checkpoint1.pt` to `checkpoint_last.pt`, a kill must not leave a partial file."""
    if not overwrite and os.path.exists(dst_path):
        raise FileExistsError(dst_path)
    try:
        with replacing(dst_path) as temporary:
            shutil.copyfile(src_path, temporary)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(f"{dst_path}: {error.strerror}: free space there, then repeat the command, which resumes") from None
    return dst_path


def _write_checkpoint(obj: dict[str, Any], filename: str, async_write: bool = False) -> None:
    """Write atomically; fairseq's own leaves a partial file, and a traceback, when the disk is full."""
    write_pickled(obj, filename)


@functools.wraps(fairseqs_save_checkpoint)
def _save_checkpoint(cfg: DictConfig, trainer: fairseqs_trainer.Trainer, epoch_itr: Any, val_loss: float | None) -> str | None:
    """Save as fairseq does, but of epochs that tie the first stays the best, and --keep-best-checkpoints compares all digits.

    fairseq's own prefers the last, and ranks by three decimals, in which error rates often agree. With --store-ema the
    average is a checkpoint of its own, checkpoint_ema.pt.
    """
    n_best = cfg.keep_best_checkpoints
    higher = cfg.maximize_best_checkpoint_metric
    compared = val_loss
    if val_loss is not None and val_loss == getattr(checkpoint_utils.save_checkpoint, "best", None):
        compared = float(np.nextafter(val_loss, -np.inf if higher else np.inf))
    cfg = OmegaConf.merge(cfg, {"keep_best_checkpoints": -1})
    saved = fairseqs_save_checkpoint(cfg, trainer, epoch_itr, compared)
    if saved and val_loss is not None and n_best > 0:
        prefix = f"checkpoint.best_{cfg.best_checkpoint_metric}_"
        best = Path(saved).with_name(f"{prefix}{val_loss:.9f}_{trainer.get_num_updates()}.pt")
        _copy(saved, str(best), overwrite=True)
        for path in _ranked(Path(saved).parent, prefix, higher)[n_best:]:
            path.unlink()
    if saved and trainer.cfg.ema.store_ema:
        config = OmegaConf.to_container(trainer.cfg, resolve=True, enum_to_str=True)
        average = utils.move_to_cpu(trainer.ema.state_dict())
        _write_checkpoint(fairseq_dictionary(config, average), str(Path(saved).with_name("checkpoint_ema.pt")))
    return saved


def _ranked(folder: Path, prefix: str, higher: bool) -> list[Path]:
    """The best checkpoints, best first; on a tie the earlier."""
    measured = {}
    for path in folder.glob(f"{prefix}*_*.pt"):
        value, n_updates = path.stem.removeprefix(prefix).split("_")
        measured[path] = (-float(value) if higher else float(value), int(n_updates))
    return sorted(measured, key=measured.get)


def _excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    message = _one_line_message(error)
    if message:
        print(f"error: {message}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


def _one_line_message(error: BaseException) -> str:
    """The message of a UserError, also if a data worker or another process raised it; empty for other errors."""
    last_line = (str(error).strip().splitlines() or [""])[-1]  # the message of a worker's error is a traceback
    if isinstance(error, (UserError, ProcessRaisedException)):
        for kind in UserError.__subclasses__():
            prefix = f"{kind.__module__}.{kind.__qualname__}: "
            if last_line.startswith(prefix):
                return last_line.removeprefix(prefix)
    if isinstance(error, UserError):
        return last_line
    if isinstance(error, FloatingPointError):
        return f"{last_line}: training diverged: lower --lr"
    if _is_about_options(error):
        return " ".join(str(error).split())
    if _lacks_architecture(error):
        return "--arch is missing: name a detector, such as --arch sls_xlsr_300m; `sls models` lists them"
    return REMEDY if WORKER_DIED in last_line or _lost_connection_to_worker(error) else _misfit(error)


def _is_about_options(error: BaseException) -> bool:
    """Whether fairseq itself refuses options, which it names: `Must specify batch size either with --max-tokens or ...`."""
    frames = tracebacks.extract_tb(error.__traceback__)
    raised_by_fairseq = bool(frames) and any(part in ("fairseq", "fairseq_cli") for part in Path(frames[-1].filename).parts)
    return isinstance(error, (AssertionError, ValueError)) and "--" in str(error) and raised_by_fairseq


def _lacks_architecture(error: BaseException) -> bool:
    """Whether fairseq parsed a command without --arch; its own default is no model, and its error has no message."""
    frames = tracebacks.extract_tb(error.__traceback__)
    return isinstance(error, RuntimeError) and bool(frames) and frames[-1].name == "parse_args_and_arch"


def _lost_connection_to_worker(error: BaseException) -> bool:
    """Whether a data loader could not read from one of its workers, because the worker is dead."""
    if not isinstance(error, (ConnectionError, EOFError)):
        return False
    files = [frame.filename for frame in tracebacks.extract_tb(error.__traceback__)]
    return any(file.endswith("torch/utils/data/dataloader.py") for file in files)


def _misfit(error: BaseException) -> str:
    """The message when fairseq's trainer could not load a checkpoint into the model; empty for other errors."""
    path, cause = _UNLOADABLE.match(str(error)), error.__context__
    if path is None or not str(cause).startswith("Error(s) in loading state_dict"):
        return ""
    remedy = "name another file or its own --arch; training resumes from --save-dir: to start anew, give another one"
    return f"{path[1]}: its tensors are not those of the model ({first_misfit(cause)}): {remedy}"
