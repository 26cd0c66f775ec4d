"""Pre-trained XLS-R and wav2vec 2.0 networks, from fairseq's files such as `xlsr2_300m.pt` and from Hugging Face's."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from .checkpoint import Checkpoint, read
from .errors import CheckpointError
from .identification import unknown_layout
from .wav2vec.huggingface import config_from_hugging_face, fairseq_names
from .wav2vec.spec import PRETRAINING_TASK, require_matching_sizes


@dataclass(frozen=True)
class XLSRCheckpoint:
    """A pre-trained backbone: fairseq's configuration of the model, and its tensors by name."""

    config: dict[str, Any]
    weights: dict[str, torch.Tensor]


def read_xlsr(path: str | Path) -> XLSRCheckpoint:
    """The backbone of a fairseq pre-training checkpoint, or of a folder of Hugging Face, memory-mapped.

    Of fairseq's configuration only `cfg.model` is used: the task in it may have settings that this fairseq does not know.
    Raises CheckpointError when the file is missing, unreadable, needs arbitrary classes, or has another layout.
    """
    checkpoint = as_pretrained(read(path))
    return XLSRCheckpoint(checkpoint.config["model"], checkpoint.tensors)


def as_pretrained(checkpoint: Checkpoint) -> Checkpoint:
    """A pre-trained network under fairseq's names and with fairseq's configuration; CheckpointError for anything else."""
    found = checkpoint.comparison
    if found.layout.name == "huggingface" and not found.differences:
        names = fairseq_names(list(checkpoint.tensors))
        tensors = {names[name]: tensor for name, tensor in checkpoint.tensors.items()}
        config = {"model": config_from_hugging_face(checkpoint.path.parent / "config.json"), "task": PRETRAINING_TASK}
        checkpoint = replace(checkpoint, tensors=tensors, config=config)
    elif "mask_emb" not in checkpoint.tensors or not isinstance((checkpoint.config or {}).get("model"), dict):
        kind = unknown_layout(found) if found.differences else found.layout.title
        reason = f"not an XLS-R checkpoint of fairseq with its configuration ({kind})"
        raise CheckpointError(f"{checkpoint.path}: {reason}: name another file")
    require_matching_sizes(checkpoint.config["model"], checkpoint.shapes, checkpoint.path)
    return checkpoint
