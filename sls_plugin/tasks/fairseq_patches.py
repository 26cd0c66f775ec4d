"""Patches of fairseq for its own commands, where they run our task."""

import functools
import os
import re
import shutil
import sys
import traceback as tracebacks
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

from fairseq import checkpoint_utils
from fairseq.criterions import CRITERION_REGISTRY
from fairseq.dataclass.utils import overwrite_args_by_name
from fairseq.file_io import PathManager
from fairseq.models import ARCH_MODEL_REGISTRY
from fairseq.tasks import FairseqTask
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.multiprocessing import ProcessRaisedException

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.detector import read_for_fairseq
from fairseq_ckpt.errors import first_misfit
from fairseq_ckpt.identification import is_ours
from protocols import UserError
from protocols.files import replacing
from sls_plugin.data.loader import REMEDY, WORKER_DIED
from sls_plugin.inference.load import SkipWeightInit

fairseqs_load_models = checkpoint_utils.load_model_ensemble_and_task
_UNLOADABLE = re.compile("Cannot load model parameters from checkpoint (.*?); ")
_BATCH_SIZE_OPTIONS = {"--batch-size", "--max-sentences", "--max-tokens"}


def is_fairseq_command(argv: Sequence[str]) -> bool:
    """Whether the process is one of fairseq's commands, such as fairseq-train or `python -m fairseq_cli.train`."""
    program = Path(argv[0]) if argv else Path()
    return program.name.startswith("fairseq-") or program.parent.name == "fairseq_cli"


def names_our_task(argv: Sequence[str]) -> bool:
    """Whether the arguments of a command choose `--task asvspoof`."""
    return "--task=asvspoof" in argv or any(pair == ("--task", "asvspoof") for pair in pairwise(argv))


def patch_fairseq() -> None:
    """Patch a command of fairseq that runs our task, where no option of it helps.

    It then reads every checkpoint safely and builds our models only, copies checkpoints whole or not at all, prints the
    user's errors as one line, and validates without a --batch-size. Call it in such a command only: no other model of
    fairseq can be loaded afterwards.
    """
    checkpoint_utils.load_checkpoint_to_cpu = _load_checkpoint
    checkpoint_utils.load_model_ensemble_and_task = _load_models
    PathManager.copy = staticmethod(_copy)
    sys.excepthook = _excepthook
    if Path(sys.argv[0]).stem in ("fairseq-validate", "validate"):  # which has no default, unlike fairseq-generate
        given = {argument.split("=")[0] for argument in sys.argv}
        sys.argv += [] if given & _BATCH_SIZE_OPTIONS else ["--batch-size", "8"]


def _load_checkpoint(path: str, arg_overrides: dict[str, Any] | None = None, load_on_all_ranks: bool = False) -> dict[str, Any]:
    """fairseq's own reader refuses old checkpoints on PyTorch 2.6 and later; --path, --finetune-from-model and
    --restore-file take these, and the original authors' detectors, through this project's.
    """
    state = read_for_fairseq(path)
    if state.get("args") is not None:
        vars(state["args"]).update(arg_overrides or {})
    if state.get("cfg") is not None:
        state["cfg"] = OmegaConf.create(state["cfg"], flags={"allow_objects": True})
        overwrite_args_by_name(state["cfg"], arg_overrides or {})
    state.setdefault("criterion", {})  # a trainer whose criterion has parameters asks for them
    return checkpoint_utils._upgrade_state_dict(state)


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
    """fairseq builds whatever a checkpoint asks for, and many of its own models and criterions run settings as Python code.
    Ours do not: only they are built, each from the very content that was checked.
    """
    if suffix or num_shards > 1:
        raise CheckpointError(f"{filenames[0]}: give whole checkpoints: --checkpoint-suffix and shards are not supported")
    ensemble = []
    for path in filenames:
        content = _only_ours(state or _load_checkpoint(path, arg_overrides), path)
        try:
            with SkipWeightInit() if strict else nullcontext():
                (model,), config, task = fairseqs_load_models([path], arg_overrides, task, strict, state=content)
        except UserError:
            raise
        except RuntimeError as error:
            message = f"{path}: its tensors do not fit its configuration ({first_misfit(error)}): name another file"
            raise CheckpointError(message) from None
        ensemble.append(model)
    return ensemble, config, task


def _only_ours(state: dict[str, Any], path: str) -> dict[str, Any]:
    """The content of a checkpoint without `args`, which fairseq would prefer to `cfg`; refuses what is not this project's."""
    config = state.get("cfg")
    if config is None or not is_ours(OmegaConf.to_container(config)):
        raise CheckpointError(f"{path}: not a detector trained with --task asvspoof: name another file")
    for section, registry in (("model", ARCH_MODEL_REGISTRY), ("criterion", CRITERION_REGISTRY)):
        settings = config.get(section)
        name = settings.get("_name") if OmegaConf.is_dict(settings) else settings
        absent = section == "criterion" and settings is None  # scoring needs none
        if not absent and not getattr(registry.get(name), "__module__", "").startswith("sls_plugin."):
            raise CheckpointError(f"{path}: asks for a {section} that is not this project's ({name}): do not trust this file")
    return state | {"args": None}


def _copy(src_path: str, dst_path: str, overwrite: bool = False) -> str:
    """fairseq copies `checkpoint1.pt` onto `checkpoint_last.pt`; a kill must not leave a torn file there."""
    if not overwrite and os.path.exists(dst_path):
        raise FileExistsError(dst_path)
    with replacing(dst_path) as temporary:
        shutil.copyfile(src_path, temporary)
    return dst_path


def _excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    message = _one_line_message(error)
    if message:
        print(f"error: {message}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


def _one_line_message(error: BaseException) -> str:
    """The message of a UserError, also of one that a data worker or another process raised; empty for other errors."""
    last_line = (str(error).strip().splitlines() or [""])[-1]  # a worker's error has a traceback for its message
    if isinstance(error, (UserError, ProcessRaisedException)):
        for kind in UserError.__subclasses__():
            prefix = f"{kind.__module__}.{kind.__qualname__}: "
            if last_line.startswith(prefix):
                return last_line.removeprefix(prefix)
    if isinstance(error, UserError):
        return last_line
    return REMEDY if WORKER_DIED in last_line or _lost_connection_to_worker(error) else _misfit(error)


def _lost_connection_to_worker(error: BaseException) -> bool:
    """Whether a data loader could not read from one of its workers, because the worker is dead."""
    if not isinstance(error, (ConnectionError, EOFError)):
        return False
    files = [frame.filename for frame in tracebacks.extract_tb(error.__traceback__)]
    return any(file.endswith("torch/utils/data/dataloader.py") for file in files)


def _misfit(error: BaseException) -> str:
    """That a checkpoint's tensors are not the model's, upon which fairseq's trainer raises an error of its own; else nothing."""
    path, cause = _UNLOADABLE.match(str(error)), error.__context__
    if path is None or not str(cause).startswith("Error(s) in loading state_dict"):
        return ""
    remedy = "name another file or its own --arch; training goes on from what --save-dir holds: give another one to begin afresh"
    return f"{path[1]}: its tensors are not those of the model ({first_misfit(cause)}): {remedy}"
