"""The layout of fairseq's XLS-R and wav2vec 2.0 pre-training checkpoints, such as `xlsr2_300m.pt`."""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .errors import CheckpointError


@dataclass(frozen=True)
class XLSRCheckpoint:
    """A pre-trained backbone: fairseq's configuration of the model, and its tensors by name."""

    config: dict[str, Any]
    weights: dict[str, torch.Tensor]


def read_xlsr(path: str | Path) -> XLSRCheckpoint:
    """The backbone of a fairseq pre-training checkpoint (`args`, `cfg` with section `model`, `model`), memory-mapped.

    Only `cfg.model` is used: the pre-training task in it may have settings that this fairseq does not know.
    Raises CheckpointError when the file is missing, unreadable, needs arbitrary classes, or has another layout.
    """
    checkpoint = read_checkpoint(path)
    config = checkpoint.get("cfg")
    model = config.get("model") if isinstance(config, dict) else None
    weights = checkpoint.get("model")
    if not isinstance(model, dict) or not isinstance(weights, dict) or "mask_emb" not in weights:
        found = ", ".join(sorted(map(str, checkpoint))[:6]) or "nothing"
        raise CheckpointError(f"{path}: not an XLS-R checkpoint of fairseq (cfg.model and model expected, found {found})")
    return XLSRCheckpoint(model, weights)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The dictionary in a PyTorch file, on the CPU and memory-mapped; never unpickles arbitrary classes."""
    try:
        # files older than torch 1.6 are not zip archives and cannot be memory-mapped
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint: correct the path") from None
    except Exception as error:  # torch fails in many ways on a text or a damaged file, KeyError and UnicodeDecodeError included
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        reason = f"it asks for {wanted[1]}" if wanted else type(error).__name__  # torch's own text recommends the unsafe way
        raise CheckpointError(f"{path}: not a checkpoint that is safe to load ({reason}): name another file") from None
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f"{path}: holds a {type(checkpoint).__name__}, not the dictionary of a checkpoint")
    return checkpoint
