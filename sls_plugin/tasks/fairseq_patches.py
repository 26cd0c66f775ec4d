"""Patches of fairseq, applied only when one of its commands runs our task."""

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
    """Patch fairseq where its options do not suffice.

    Afterwards checkpoints are read safely and only our models are built from them, checkpoints are copied atomically, errors
    of the user print one line, and fairseq-validate runs without --batch-size. Call this only in a fairseq command that runs
    our task, because no other model of fairseq can be loaded afterwards.
    """
    checkpoint_utils.load_checkpoint_to_cpu = _load_checkpoint
    checkpoint_utils.load_model_ensemble_and_task = _load_models
    PathManager.copy = staticmethod(_copy)
    sys.excepthook = _excepthook
    if Path(sys.argv[0]).stem in ("fairseq-validate", "validate"):  # unlike fairseq-generate, it has no default batch size
        given = {argument.split("=")[0] for argument in sys.argv}
        sys.argv += [] if given & _BATCH_SIZE_OPTIONS else ["--batch-size", "8"]


def _load_checkpoint(path: str, arg_overrides: dict[str, Any] | None = None, load_on_all_ranks: bool = False) -> dict[str, Any]:
    """Read a checkpoint for --path, --finetune-from-model or --restore-file with this project's reader.

    It also takes old checkpoints, which fairseq's own refuses on PyTorch 2.6 and later, and the original authors' detectors.
    """
    state = read_for_fairseq(path)
    if state.get("args") is not None:
        vars(state["args"]).update(arg_overrides or {})
    if state.get("cfg") is not None:
        state["cfg"] = OmegaConf.create(state["cfg"], flags={"allow_objects": True})
        overwrite_args_by_name(state["cfg"], arg_overrides or {})
    state.setdefault("criterion", {})  # expected when the criterion has parameters
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
    """Build only this project's models and criterions, each from the content that was checked.

    fairseq builds whatever a checkpoint names, and many of its models and criterions evaluate settings as Python code.
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
    """The content of a checkpoint without `args`, which fairseq would prefer to `cfg`; refuses other projects' models."""
    config = state.get("cfg")
    if config is None or not is_ours(OmegaConf.to_container(config)):
        raise CheckpointError(f"{path}: not a detector trained with --task asvspoof: name another file")
    for section, registry in (("model", ARCH_MODEL_REGISTRY), ("criterion", CRITERION_REGISTRY)):
        settings = config.get(section)
        name = settings.get("_name") if OmegaConf.is_dict(settings) else settings
        absent = section == "criterion" and settings is None  # not needed for scoring
        if not absent and not getattr(registry.get(name), "__module__", "").startswith("sls_plugin."):
            raise CheckpointError(f"{path}: asks for a {section} that is not this project's ({name}): do not trust this file")
    return state | {"args": None}


def _copy(src_path: str, dst_path: str, overwrite: bool = False) -> str:
    """Copy atomically: when fairseq copies `checkpoint1.pt` to `checkpoint_last.pt`, a kill must not leave a partial file."""
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
    """The message of a UserError, also if a data worker or another process raised it; empty for other errors."""
    last_line = (str(error).strip().splitlines() or [""])[-1]  # the message of a worker's error is a traceback
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
    """The message when fairseq's trainer could not load a checkpoint into the model; empty for other errors."""
    path, cause = _UNLOADABLE.match(str(error)), error.__context__
    if path is None or not str(cause).startswith("Error(s) in loading state_dict"):
        return ""
    remedy = "name another file or its own --arch; training resumes from --save-dir: to start anew, give another one"
    return f"{path[1]}: its tensors are not those of the model ({first_misfit(cause)}): {remedy}"
