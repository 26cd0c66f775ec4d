"""A checkpoint: its tensors under their plain names, its configuration and its layout, whatever kind of file it came in."""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .errors import CheckpointError
from .identification import identify, unknown_layout
from .layout import Comparison, Layout
from .reading import checkpoint_file, read_checkpoint
from .settings import plain_settings
from .shapes import Shapes

# What DataParallel, torch.compile and Lightning put before every name.
PREFIXES = ("module.", "_orig_mod.", "model.")
WRAPPERS = ("model", "state_dict", "model_state_dict", "net")  # keys under which training scripts save the tensors
WEIGHT_NORM = {".parametrizations.weight.original0": ".weight_g", ".parametrizations.weight.original1": ".weight_v"}
WEIGHT_TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
COUNTER_TYPES = (torch.int64, torch.int32)
MAX_TENSORS = 20_000  # XLS-R 2B has about 800
MAX_NAME = 200  # characters


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file by their plain names (no prefix, weight norm as `weight_g` and `weight_v`), memory-mapped.

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
        return shapes_of(self.tensors)


def read(path: str | Path) -> Checkpoint:
    """A file beside the layout that it resembles most; raises CheckpointError when it is unreadable or holds no tensors."""
    file = checkpoint_file(path)
    return parse(read_checkpoint(file), file)


def parse(content: dict[str, Any], file: Path) -> Checkpoint:
    """What `read` returns, from the content of a file that has been read."""
    config = plain_config(content, file)
    stored, prefix = _tensors(content, file)
    tensors = {_plain_name(name.removeprefix(prefix)): tensor.detach() for name, tensor in stored.items()}
    return Checkpoint(file, tensors, prefix, config, identify(shapes_of(tensors), config))


def require_known(checkpoint: Checkpoint) -> Checkpoint:
    """The same checkpoint; raises CheckpointError, with the nearest layout and what differs, when its layout is not known."""
    if checkpoint.comparison.differences:
        raise CheckpointError(f"{checkpoint.path}: {unknown_layout(checkpoint.comparison)}")
    return checkpoint


def shapes_of(tensors: dict[str, torch.Tensor]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def plain_config(content: dict[str, Any], source: object) -> dict[str, Any] | None:
    """fairseq's `cfg` as plain dictionaries; `args`, its flat predecessor, serves as the section `model`.

    Raises CheckpointError, naming `source`, when either holds anything but plain values.
    """
    config, args = (plain_settings(content.get(name), source) for name in ("cfg", "args"))
    if config is None and isinstance(content.get("args"), argparse.Namespace):
        config = {"model": args}
    return config if isinstance(config, dict) else None


def _tensors(content: dict[str, Any], file: Path) -> tuple[dict[str, torch.Tensor], str]:
    """The tensors of fairseq's dictionary, of another script's or of a plain state dict, and the prefix that all names have."""
    stored = next((content[name] for name in WRAPPERS if isinstance(content.get(name), dict)), content)
    others = [name for name, tensor in stored.items() if not _is_weight(name, tensor)]
    if others or not stored:
        listed = ", ".join(_printable(name) for name in others[:4]) or "nothing"
        found = f"{listed} beside {len(stored) - len(others):,} tensors"
        parts = [_printable(name) for name in others if _holds_tensors(stored[name])]
        remedy = f"save its part {parts[0]} alone" if parts else "name another file"
        raise CheckpointError(f"{file}: not the tensors by name that a model has (it holds {found}): {remedy}")
    if len(stored) > MAX_TENSORS:
        raise CheckpointError(f"{file}: {len(stored):,} tensors, more than any model has: name another file")
    return stored, _common_prefix(stored)


def _holds_tensors(part: object) -> bool:
    return isinstance(part, dict) and bool(part) and all(isinstance(tensor, torch.Tensor) for tensor in part.values())


def _common_prefix(names: Iterable[str]) -> str:
    """All of PREFIXES that stand before every name, one after another."""
    prefix = ""
    while added := next((part for part in PREFIXES if all(name.startswith(prefix + part) for name in names)), ""):
        prefix += added
    return prefix


def _is_weight(name: object, value: object) -> bool:
    """Whether an entry is one of a model's state dict: real numbers, all of them in the file; integers only as counters."""
    if not isinstance(name, str) or not name.isprintable() or len(name) > MAX_NAME or not isinstance(value, torch.Tensor):
        return False
    if value.layout != torch.strided or value.is_meta or value.is_quantized or value.is_neg():
        return False
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():  # one number that poses as many
        return False
    return value.dtype in WEIGHT_TYPES or (name.endswith("num_batches_tracked") and value.dtype in COUNTER_TYPES)


def _printable(name: object) -> str:
    text = str(name)[:MAX_NAME]
    return text if text.isprintable() else ascii(text)


def _plain_name(name: str) -> str:
    for parametrised, plain in WEIGHT_NORM.items():
        name = name.replace(parametrised, plain)
    return name
