"""Checkpoint files, written whole or not at all."""

import json
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from protocols.errors import UserError
from protocols.files import replacing

from .errors import CheckpointError


def fairseq_dictionary(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The dictionary that fairseq's own reader expects, as of a model that has not been trained yet."""
    history = {"criterion_name": "", "optimizer_name": "", "lr_scheduler_state": {}, "num_updates": 0}
    start = {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0, "version": 2}}
    return {"args": None, "cfg": config, "model": tensors, "optimizer_history": [history], "extra_state": start}


def write_pickled(content: dict[str, Any], path: str | Path) -> None:
    """Write a PyTorch file; raises CheckpointError, and leaves an old file unchanged, when that fails."""

    if Path(path).suffix == ".safetensors":  # PyTorch would read it by its name
        raise CheckpointError(f"{path}: not a safetensors file: name it .pt, or give --to safetensors")

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:  # PyTorch's own file does not report why a write failed
            torch.save(content, file)

    _write(path, write)


def write_safetensors(tensors: dict[str, torch.Tensor], path: str | Path, config: dict[str, Any] | None = None) -> None:
    """Write a safetensors file, with `cfg` in its header where there is one; errors as above."""
    metadata = {"format": "pt"} | ({} if config is None else {"cfg": json.dumps(config)})
    contiguous, stored = {}, set()
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage().data_ptr()
        shared = storage in stored  # the format has no shared tensors
        contiguous[name] = tensor.clone(memory_format=torch.contiguous_format) if shared else tensor.contiguous()
        stored.add(storage)

    def write(temporary: Path) -> None:
        temporary.touch()
        mode = temporary.stat().st_mode  # the user's umask; safetensors makes files that only their owner may read
        save_file(contiguous, temporary, metadata)
        temporary.chmod(mode)

    _write(path, write)


def write_json(content: dict[str, Any], path: str | Path) -> None:
    _write(path, lambda temporary: temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8"))


def _write(path: str | Path, write: Callable[[Path], object]) -> None:
    if Path(path).is_dir():
        raise CheckpointError(f"{path}: a folder: name a file")
    try:
        with replacing(path) as temporary:
            write(temporary)
    except UserError as error:
        raise CheckpointError(str(error)) from None
    except (OSError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: not written ({_reason(error)}): free some space, or choose another folder; an old file is unharmed"
        ) from None


def _reason(error: BaseException) -> str:
    """Why a file was not written, by the system's error; PyTorch may have raised another one on top of it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
        cause = cause.__context__
    return textwrap.shorten(str(error), 100)
