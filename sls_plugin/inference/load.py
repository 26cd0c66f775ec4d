"""A checkpoint file to a detector that is ready to score, built from the very content that was checked."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sls_plugin.data.clip_dataset import Segment
from sls_plugin.inference.onnx_detector import SUFFIX, load_exported


@dataclass(frozen=True)
class Card:
    """What is known of a detector: its name, its training data and licence (None if unknown), its clips in samples."""

    name: str
    clip_samples: int
    trained_on: str | None = None
    licence: str | None = None


@dataclass(frozen=True)
class LoadedDetector:
    """A model, the segment of an utterance that it takes, and its card."""

    model: nn.Module
    segment: Segment
    card: Card


def load_detector(path: str | Path) -> LoadedDetector:
    """Load a checkpoint of this project or of the original authors, or an ONNX file of `sls export`.

    Raises CheckpointError on a file that is no detector, DataError on an unusable ONNX file.
    """
    if Path(path).suffix.lower() == SUFFIX:
        model, segment = load_exported(path)  # without fairseq
        name = model.about.get("architecture", "")
        return LoadedDetector(model, segment, Card(name if name.isidentifier() else "exported", segment.n_samples))
    with _root_logger_kept():
        from fairseq_ckpt.detector import read_detector  # slow to import, like fairseq below

        checkpoint = read_detector(path)
        task = checkpoint.config["task"]
        segment = Segment(task["max_samples"], "start", str(task["padding"]))
        model = build_model(checkpoint.config["model"], checkpoint.tensors, path)
    return LoadedDetector(model, segment, _card(checkpoint, segment))


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    """Leave logging to the caller: modules of fairseq configure it when they are imported, one to print all that is logged."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers


def build_model(config: dict[str, Any], tensors: dict[str, Tensor], path: str | Path) -> nn.Module:
    """The registered model of a checked configuration, with these tensors; CheckpointError when they do not fit."""
    from fairseq.models import ARCH_MODEL_REGISTRY

    import sls_plugin.models  # noqa: F401  (registers them)
    from sls_plugin.inference.settings import SkipWeightInit, building, model_settings, require_finite
    from sls_plugin.modules.lora import merge_adapters

    with building(path), SkipWeightInit():
        model = ARCH_MODEL_REGISTRY[config["_name"]].build_model(model_settings(config), None)
        model.load_state_dict(tensors, strict=True)
        require_finite(tensors, path)
    merge_adapters(model)
    return model.eval()


def _card(checkpoint: Any, segment: Segment) -> Card:
    """The card of an authors' file as published; that of this project's checkpoints with their training manifests."""
    from fairseq_ckpt.detectors import find_detector

    published = find_detector(checkpoint.config["model"]["_name"])
    task = checkpoint.config["task"]
    if task.get("data"):
        manifests = [f"{Path(task['data']) / part}.tsv" for part in task.get("train_subset", "train").split("+")]
        return Card(published.title, segment.n_samples, " and ".join(manifests))
    return Card(published.title, segment.n_samples, published.trained_on, published.licence)
