"""Hashes of files, and of the tensors in them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BLOCK = 1 << 20  # bytes


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, read block by block."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def tensors_sha256(tensors: Mapping[str, "torch.Tensor"]) -> str:
    """SHA-256 of tensors: sorted names, types, shapes and every bit of the values, whatever kind of file they are in."""
    import torch  # slow to import, and not needed for files

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
