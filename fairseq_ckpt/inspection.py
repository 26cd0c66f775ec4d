"""A summary of a checkpoint, without reading the values of its tensors."""

import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from .checkpoint import Checkpoint, read, require_known
from .fingerprint import file_sha256
from .identification import is_ours
from .reading import is_safetensors
from .verification import BATCH_NORM
from .wav2vec.huggingface import config_from_hugging_face


def inspect(path: str | Path) -> dict[str, Any]:
    """Layout, sizes, types, configuration and hash of a file; raises CheckpointError for an unknown layout."""
    checkpoint = require_known(read(path))
    config = checkpoint.config
    if checkpoint.layout.name == "huggingface":
        config = {"model": config_from_hugging_face(checkpoint.path.parent / "config.json")}
    tensors = checkpoint.tensors
    parameters = [tensor.numel() for name, tensor in tensors.items() if not name.endswith(BATCH_NORM)]
    return {
        "file": str(checkpoint.path),
        "layout": checkpoint.layout.name,
        "title": checkpoint.layout.title,
        "origin": _origin(checkpoint),
        "format": _format(checkpoint.path),
        "prefix": checkpoint.prefix,
        "tensors": len(tensors),
        "parameters": sum(parameters),
        "dtypes": dict(Counter(str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values())),
        "bytes": checkpoint.path.stat().st_size,
        "sha256": file_sha256(checkpoint.path),
        "config": config,
    }


def _origin(checkpoint: Checkpoint) -> str:
    if is_ours(checkpoint.config):
        return "trained with --task asvspoof"
    if checkpoint.layout.name == "huggingface":
        return "Hugging Face"
    return "fairseq" if checkpoint.config else "state dict"


def _format(path: Path) -> str:
    if is_safetensors(path):
        return "safetensors"
    return "PyTorch archive" if zipfile.is_zipfile(path) else "PyTorch before 1.6"
