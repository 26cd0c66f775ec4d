"""The mean of several checkpoints of one model."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from .checkpoint import Checkpoint, read, require_known
from .detector import detector_config
from .errors import CheckpointError
from .reading import require_whole
from .writing import fairseq_dictionary, write_pickled


def average(paths: Sequence[str | Path], output: str | Path) -> Checkpoint:
    """Write the mean of checkpoints, each counted once, in fairseq's layout; `cfg` is that of the first.

    Means are computed in float64 and stored in the first file's type. BatchNorm's running means and variances are averaged
    like weights: those of the averaged network itself would need a pass over the training data. Counters keep the largest
    value. Raises CheckpointError when the files do not hold the same tensors.
    """
    for path in paths:
        require_whole(path)
    checkpoints = [require_known(read(path)) for path in paths]
    first = checkpoints[0]
    if first.layout.name == "huggingface":
        raise CheckpointError(f"{first.path}: convert it --to fairseq first")
    for checkpoint in checkpoints:
        _require_same(first, checkpoint)
    tensors = {name: _mean([checkpoint.tensors[name] for checkpoint in checkpoints]) for name in first.tensors}
    config = first.config if first.layout.name == "xlsr" else detector_config(first)
    averaged = replace(first, tensors=tensors, config=config)
    write_pickled(fairseq_dictionary(config, tensors), output)
    return averaged


def _require_same(first: Checkpoint, other: Checkpoint) -> None:
    if other.layout.name != first.layout.name:
        raise CheckpointError(f"{other.path}: {other.layout.name}, but {first.path} is {first.layout.name}: average one model")
    for name, tensor in other.tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise CheckpointError(f"{other.path}: {name} has values that are NaN or infinite: leave the file out")
    settings, others = ((checkpoint.config or {}).get("model") for checkpoint in (first, other))
    if settings and others and settings != others:
        names = sorted(name for name in settings.keys() | others.keys() if settings.get(name) != others.get(name))
        raise CheckpointError(f"{other.path}: {', '.join(names)} of the model differ from {first.path}: average one training run")
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
