"""A detector's checkpoint, of this project or of the original authors, from one read of its file."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .checkpoint import Checkpoint, parse, read, require_known
from .detectors import find_detector
from .errors import CheckpointError
from .identification import LAYOUTS, XLSR, is_ours
from .layout import Layout
from .published_detector import LONGEST_CLIP, PADDINGS
from .reading import checkpoint_file, read_checkpoint
from .shapes import strip_prefix
from .training_state import training_state
from .wav2vec.spec import DETECTOR_PREFIX, require_matching_sizes
from .writing import fairseq_dictionary

SECTIONS = ("task", "model", "criterion")  # of fairseq's configuration, as far as a checkpoint's own is used


@dataclass(frozen=True)
class DetectorCheckpoint:
    """All that scoring needs of a detector, checked, as one read of its file gave it.

    `config` is fairseq's `cfg` as plain dictionaries, with the sections `task` and `model`: the file's own, or for the
    original authors' files the one that their tensors show. `layout` is None for a model that nobody published.
    """

    path: Path
    config: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    layout: Layout | None


def read_detector(path: str | Path) -> DetectorCheckpoint:
    """Read a detector that was trained with `--task asvspoof` or by the original authors.

    Raises CheckpointError when the file is unreadable, holds no detector, or has settings that its tensors do not fit.
    """
    return _as_detector(read(path))


def read_for_fairseq(path: str | Path) -> dict[str, Any]:
    """The dictionary that fairseq expects of a detector's file: `cfg` with its task, model and criterion, and plain values.

    The state of training is kept where the file has one. Raises CheckpointError as above.
    """
    file = checkpoint_file(path)
    content = read_checkpoint(file)
    detector = _as_detector(parse(content, file))
    config = {section: detector.config[section] for section in SECTIONS if detector.config.get(section) is not None}
    return fairseq_dictionary(config, detector.tensors) | training_state(content, file)


def detector_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """fairseq's `cfg` of a detector: its own, or for the original authors' files the one that its tensors show.

    Raises CheckpointError when the layout is not known, or is not that of a detector.
    """
    if is_ours(checkpoint.config):
        return checkpoint.config
    layout = require_known(checkpoint).layout
    detector = find_detector(layout.name)
    if detector is None:
        reason = f"{layout.title}: no detector that can be scored or trained further"
        raise CheckpointError(f"{checkpoint.path}: {reason}: name another file")
    return detector.original_config(checkpoint.shapes, checkpoint.path)


def _as_detector(checkpoint: Checkpoint) -> DetectorCheckpoint:
    if checkpoint.config is not None and not is_ours(checkpoint.config):
        reason = f"not a detector trained with --task asvspoof ({checkpoint.layout.title})"
        raise CheckpointError(f"{checkpoint.path}: {reason}: name another file")
    config = detector_config(checkpoint)
    _require_known_model(config["model"], checkpoint.path)
    _require_no_other_file(config, checkpoint.path)
    _require_task(config, checkpoint.path)
    _require_fitting(config["model"], checkpoint)
    layout = checkpoint.layout if checkpoint.layout in LAYOUTS else None
    return DetectorCheckpoint(checkpoint.path, config, checkpoint.tensors, layout)


def _require_known_model(model: dict[str, Any], path: Path) -> None:
    """fairseq's registry has models that evaluate their settings as Python."""
    if find_detector(model.get("_name")) is None:
        found = model.get("_name")
        raise CheckpointError(f"{path}: asks for a model that is not this project's ({found}): do not trust this file")


def _require_no_other_file(config: dict[str, Any], path: Path) -> None:
    """A checkpoint holds all that it needs; a path in it could name a device, or a file that is not its author's business."""
    model, criterion = config["model"], config.get("criterion")
    if not isinstance(model.get("w2v_args"), (dict, type(None))):
        raise CheckpointError(f"{path}: its w2v_args are no configuration: do not trust this file")
    if model.get("w2v_path") and model.get("w2v_args") is None:
        raise CheckpointError(f"{path}: lacks the configuration of its backbone (w2v_args): name a checkpoint that has it")
    teacher = criterion.get("teacher_path") if isinstance(criterion, dict) else None
    if teacher and not (isinstance(teacher, str) and not os.path.lexists(teacher)):
        raise CheckpointError(f"{path}: its teacher_path names another file: do not trust this file")


def _require_task(config: dict[str, Any], path: Path) -> None:
    task, model = config["task"], config["model"]
    for section in (task, model):
        length = section.get("max_samples", 1 if section is model else None)
        if type(length) is not int or not 1 <= length <= LONGEST_CLIP:
            raise CheckpointError(f"{path}: max_samples is {length!r}, not a number of samples up to an hour: name another file")
    if task.get("padding") not in PADDINGS:
        raise CheckpointError(f"{path}: padding is {task.get('padding')!r}, not {' or '.join(PADDINGS)}: name another file")
    for name in ("data", "train_subset"):
        if not isinstance(task.get(name, ""), str):
            raise CheckpointError(f"{path}: {name} is {task[name]!r}, not a text: name another file")


def _require_fitting(model: dict[str, Any], checkpoint: Checkpoint) -> None:
    """That the model which `cfg` describes is not larger than its tensors: building it could take all memory."""
    path = checkpoint.path
    if checkpoint.comparison.differences:
        reason = f"its tensors do not fit its configuration ({checkpoint.comparison.differences[0]})"
        raise CheckpointError(f"{path}: {reason}: name another file")
    if isinstance(model.get("w2v_args"), dict) and model.get("backbone", XLSR) == XLSR:
        require_matching_sizes(model["w2v_args"], strip_prefix(DETECTOR_PREFIX, checkpoint.shapes), path)
    if checkpoint.layout not in LAYOUTS:
        return
    for name, largest in find_detector(checkpoint.layout.name).largest(checkpoint.shapes).items():
        value = model.get(name, largest)
        if type(value) is not int or value > largest:
            reason = f"its tensors do not fit its configuration ({name} is {value!r}, they allow {largest})"
            raise CheckpointError(f"{path}: {reason}: name another file")
