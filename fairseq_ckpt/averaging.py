"""The mean of several checkpoints of one model."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from .checkpoint import Checkpoint, is_ours, open_checkpoint
from .errors import CheckpointError
from .originals import original_config
from .writing import fairseq_dictionary, write_pickled


def average(paths: Sequence[str | Path], output: str | Path) -> Checkpoint:
    """Write the mean of detectors, each counted once, in fairseq's layout; `cfg` is that of the first.

    Means are taken in float64 and kept in the type of the first. Running means and variances of BatchNorm are averaged like
    weights (exactly those of the averaged network would need a pass over the training data); counters keep their highest value.
    Raises CheckpointError when the files do not hold the same tensors.
    """
    checkpoints = [open_checkpoint(path) for path in paths]
    first, *others = checkpoints
    if first.layout.name == "huggingface":
        raise CheckpointError(f"{first.path}: convert it --to fairseq first")
    for other in others:
        _require_same(first, other)
    tensors = {name: _mean([checkpoint.tensors[name] for checkpoint in checkpoints]) for name in first.tensors}
    config = first.config if first.layout.name == "xlsr" or is_ours(first.config) else original_config(first)
    averaged = replace(first, tensors=tensors, config=config)
    write_pickled(fairseq_dictionary(config, tensors), output)
    return averaged


def _require_same(first: Checkpoint, other: Checkpoint) -> None:
    if other.layout.name != first.layout.name:
        raise CheckpointError(f"{other.path}: {other.layout.name}, but {first.path} is {first.layout.name}: average one model")
    for name in sorted(first.shapes.keys() | other.shapes.keys()):
        if first.shapes.get(name) != other.shapes.get(name):
            raise CheckpointError(f"{other.path}: {name} is not as in {first.path}: average checkpoints of one model")


def _mean(tensors: list[torch.Tensor]) -> torch.Tensor:
    if not tensors[0].is_floating_point():
        return torch.stack(tensors).amax(dim=0)
    total = torch.zeros(tensors[0].shape, dtype=torch.float64)
    for tensor in tensors:
        total += tensor
    return (total / len(tensors)).to(tensors[0].dtype)
