"""Pre-trained XLS-R and wav2vec 2.0 networks, from fairseq's files such as `xlsr2_300m.pt` and from Hugging Face's."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .checkpoint import open_pretrained


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
    checkpoint = open_pretrained(path)
    return XLSRCheckpoint(checkpoint.config["model"], checkpoint.tensors)
