"""A checkpoint of a known layout: what it holds under which names, whatever kind of file it came in."""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from .errors import CheckpointError
from .huggingface import config_from_hugging_face, fairseq_names
from .layouts import LAYOUTS, Comparison, Layout, compare, nearest
from .presets import PRETRAINING_TASK
from .reading import checkpoint_file, read_checkpoint
from .shapes import Shapes

MODULE = "module."  # what PyTorch's DataParallel puts before every name
WEIGHT_NORM = {".parametrizations.weight.original0": ".weight_g", ".parametrizations.weight.original1": ".weight_v"}


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file by their plain names (no `module.`, weight norm as `weight_g` and `weight_v`), memory-mapped.

    `config` is fairseq's `cfg` as plain dictionaries; None for a file that has none.
    """

    path: Path
    tensors: dict[str, torch.Tensor]
    prefix: str
    config: dict[str, Any] | None
    comparison: Comparison  # with the nearest layout

    @property
    def layout(self) -> Layout:
        return self.comparison.layout

    @property
    def shapes(self) -> Shapes:
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}


def examine(path: str | Path) -> Checkpoint:
    """A file beside the layout that it resembles most; raises CheckpointError when it is unreadable or holds no tensors."""
    file = checkpoint_file(path)
    content = read_checkpoint(file)
    config = plain_config(content)
    stored, prefix = _tensors(content, file)
    tensors = {_plain_name(name.removeprefix(prefix)): tensor for name, tensor in stored.items()}
    return Checkpoint(file, tensors, prefix, config, _comparison(tensors, config))


def open_checkpoint(path: str | Path) -> Checkpoint:
    """A file of a known layout; raises CheckpointError for any other, with the nearest layout and what differs."""
    checkpoint = examine(path)
    if checkpoint.comparison.differences:
        raise CheckpointError(f"{checkpoint.path}: {_unknown(checkpoint.comparison)}")
    return checkpoint


def open_pretrained(path: str | Path) -> Checkpoint:
    """A pre-trained XLS-R or wav2vec 2.0 network, under fairseq's names and with fairseq's configuration of the model."""
    checkpoint = examine(path)
    if checkpoint.layout.name == "huggingface" and not checkpoint.comparison.differences:
        names = fairseq_names(list(checkpoint.tensors))
        tensors = {names[name]: tensor for name, tensor in checkpoint.tensors.items()}
        config = {"model": config_from_hugging_face(checkpoint.path.parent / "config.json"), "task": PRETRAINING_TASK}
        return replace(checkpoint, tensors=tensors, config=config)
    if "mask_emb" in checkpoint.tensors and isinstance((checkpoint.config or {}).get("model"), dict):
        return checkpoint  # of whatever kind: its own configuration says which network it fits
    found = checkpoint.layout.title if not checkpoint.comparison.differences else _unknown(checkpoint.comparison)
    raise CheckpointError(f"{path}: not an XLS-R checkpoint of fairseq with its configuration ({found}): name another file")


def is_ours(config: dict[str, Any] | None) -> bool:
    """Whether training with this project's task wrote a file, by its `cfg`."""
    task, model = ((config or {}).get(section) for section in ("task", "model"))
    return isinstance(task, dict) and task.get("_name") == "asvspoof" and isinstance(model, dict)


def plain_config(content: dict[str, Any]) -> dict[str, Any] | None:
    """fairseq's `cfg` as plain dictionaries; `args`, its flat predecessor, serves as the section `model`."""
    if content.get("cfg") is not None:
        config = _plain(content["cfg"])
    elif isinstance(content.get("args"), argparse.Namespace):
        config = {"model": _plain(content["args"])}
    else:
        return None
    return config if isinstance(config, dict) else None


def _plain(value: Any) -> Any:
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value)
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    return {key: _plain(part) for key, part in value.items()} if isinstance(value, dict) else value


def _tensors(content: dict[str, Any], file: Path) -> tuple[dict[str, torch.Tensor], str]:
    """The tensors of fairseq's dictionary or of a plain state dict, and the prefix that all their names have."""
    stored = content["model"] if isinstance(content.get("model"), dict) else content
    others = [str(name) for name, tensor in stored.items() if not isinstance(name, str) or not _is_weight(name, tensor)]
    if others or not stored:
        found = f"{', '.join(others[:4]) or 'nothing'} beside {len(stored) - len(others):,} tensors"
        raise CheckpointError(f"{file}: not the tensors by name that a model has (it holds {found}): name another file")
    return stored, MODULE if all(name.startswith(MODULE) for name in stored) else ""


def _is_weight(name: str, value: Any) -> bool:
    """Whether a value is what a model's state dict holds: real numbers in memory, whole ones only as BatchNorm's counters."""
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_meta or value.is_quantized:
        return False
    return value.is_floating_point() or name.endswith("num_batches_tracked")


def _plain_name(name: str) -> str:
    for parametrised, plain in WEIGHT_NORM.items():
        name = name.replace(parametrised, plain)
    return name


def _comparison(tensors: dict[str, torch.Tensor], config: dict[str, Any] | None) -> Comparison:
    """With the layout that `cfg` names, for files of this project; else with the nearest."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if not is_ours(config):
        return nearest(shapes)
    model = config["model"]
    name = model.get("_name", "")
    layout = next((layout for layout in LAYOUTS if name in (layout.name, *layout.architectures)), None)
    if layout is None or any(model.get(name, value) != value for name, value in layout.settings.items()):
        layout = Layout(name, "of no published layout", lambda shapes: shapes)
    return compare(layout, shapes)


def _unknown(found: Comparison) -> str:
    if not found.likeness:
        return "none of its tensors has a name as in a known layout: name another file"
    shown = "; ".join(found.differences[:3])
    more = f"; and {len(found.differences) - 3:,} more" if len(found.differences) > 3 else ""
    return f"no known layout; the nearest is {found.layout.name} ({found.layout.title}), but {shown}{more}"
