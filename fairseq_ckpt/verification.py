"""Whether a checkpoint is complete and undamaged, and which parts of it were never trained."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from .checkpoint import Checkpoint, read
from .errors import CheckpointError
from .fingerprint import file_sha256, tensors_sha256
from .reading import require_whole

BATCH_NORM = (".running_mean", ".running_var", ".num_batches_tracked")
LAST_PART = r"\.(weight|bias|running_mean|running_var|num_batches_tracked)$"


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a checkpoint, and what looks untrained in it."""

    checkpoint: Checkpoint
    problems: list[str]
    notes: dict[str, list[str]]  # an observation, and the tensors or layers that it is true of
    tensors_sha256: str


def verify(path: str | Path, sha256: str | None = None) -> Verdict:
    """Check every byte and every value; raises CheckpointError when the file cannot be read at all."""
    checkpoint = read(path)
    problems = list(_damage(checkpoint.path, sha256))
    problems += [f"not as in layout {checkpoint.layout.name}: {difference}" for difference in checkpoint.comparison.differences]
    notes: dict[str, list[str]] = {}
    for name, tensor in checkpoint.tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            problems.append(f"{name} has {int((~torch.isfinite(tensor)).sum()):,} values that are NaN or infinite")
        if re.match(checkpoint.layout.unused, name):
            note = f"never trained, as {checkpoint.layout.name} does not use it"
        else:
            note = _sign_of_no_training(name, tensor, checkpoint.tensors)
        if note:
            layer = re.sub(LAST_PART, "", name)
            layers = notes.setdefault(note, [])
            if layer not in layers:
                layers.append(layer)
    return Verdict(checkpoint, problems, notes, tensors_sha256(checkpoint.tensors))


def _damage(path: Path, sha256: str | None) -> Iterator[str]:
    if sha256 is not None and file_sha256(path) != sha256.lower():
        yield "its SHA-256 is another one: fetch the file again"
    try:
        require_whole(path)
    except CheckpointError as error:
        yield str(error).removeprefix(f"{path}: ")


def _sign_of_no_training(name: str, tensor: torch.Tensor, tensors: dict[str, torch.Tensor]) -> str:
    """Why a tensor looks dead or untrained; empty when it does not."""
    if name.endswith(".num_batches_tracked"):
        return "" if tensor else "never saw a batch in training"
    if name.endswith(BATCH_NORM) or tensor.numel() < 2:
        return ""
    if tensor.dim() > 1 and (tensor == tensor.flatten()[0]).all():
        return "dead: all its values are the same"
    if tensor.dim() == 1 and name.endswith(".weight") and (tensor == 1).all() and _is_zero(tensors, name):
        return "as it was before training: weights 1, biases 0"
    return ""


def _is_zero(tensors: dict[str, torch.Tensor], weight: str) -> bool:
    bias = tensors.get(f"{weight.removesuffix('.weight')}.bias")
    return bias is not None and not bias.any()
