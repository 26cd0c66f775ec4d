"""The state of training in a checkpoint, from which fairseq resumes."""

from pathlib import Path
from typing import Any

import torch

from .errors import CheckpointError
from .settings import plain_settings

PARTS = ("criterion", "optimizer_history", "extra_state", "last_optimizer_state")
# fairseq looks a meter up among all names of its module. These are what its training and ours log.
METERS = ("AverageMeter", "SumMeter", "TimeMeter", "StopwatchMeter")


def training_state(content: dict[str, Any], source: Path) -> dict[str, Any]:
    """The parts of a checkpoint's content that fairseq resumes from; raises CheckpointError on what training does not write."""
    state = {name: content[name] for name in PARTS if content.get(name) is not None}
    if "optimizer_history" in state:
        state["optimizer_history"] = _history(state["optimizer_history"], source)
    if "extra_state" in state:
        state["extra_state"] = _extra_state(state["extra_state"], source)
    _tensors(state.get("criterion", {}), source)
    _dictionary(state.get("last_optimizer_state", {}), source)
    return state


def _history(history: Any, source: Path) -> list[dict[str, Any]]:
    history = plain_settings(history, source)
    last = history[-1] if isinstance(history, list) and history else None
    if not (isinstance(last, dict) and isinstance(last.get("num_updates", 0), int)):
        raise _damaged(source)
    return history


def _extra_state(state: Any, source: Path) -> dict[str, Any]:
    meters, average = _dictionary(state, source).get("metrics"), state.get("ema")
    others = {name: _number(value) for name, value in state.items() if name not in ("metrics", "ema")}
    plain = plain_settings(others, source)
    position = plain.get("train_iterator", {"epoch": 1})
    if not (isinstance(position, dict) and isinstance(position.get("epoch"), int)):
        raise _damaged(source)
    if meters is not None:
        plain["metrics"] = _meters(meters, source)
    if average is not None:
        plain["ema"] = _tensors(average, source)
    return plain


def _number(value: Any) -> Any:
    """A number that several processes have summed is a tensor."""
    return value.item() if isinstance(value, torch.Tensor) and value.numel() == 1 else value


def _tensors(tensors: Any, source: Path) -> dict[str, Any]:
    if not all(isinstance(tensor, torch.Tensor) for tensor in _dictionary(tensors, source).values()):
        raise _damaged(source)
    return tensors


def _meters(meters: Any, source: Path) -> dict[str, Any]:
    for group in _dictionary(meters, source).values():
        for entry in group if isinstance(group, list) else [None]:
            if not (isinstance(entry, (list, tuple)) and len(entry) == 4 and entry[2] in METERS):
                raise _damaged(source)
    return meters


def _dictionary(value: Any, source: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _damaged(source)
    return value


def _damaged(source: Path) -> CheckpointError:
    return CheckpointError(f"{source}: its state of training is not as training writes it: convert it --to fairseq to drop it")
