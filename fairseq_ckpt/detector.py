"""Detectors, of this project or of the original authors, in the one form that fairseq takes."""

from pathlib import Path
from typing import Any

from .checkpoint import is_ours, open_checkpoint, plain_config
from .errors import CheckpointError
from .originals import original_config
from .reading import read_checkpoint
from .writing import fairseq_dictionary


def read_detector(path: str | Path) -> dict[str, Any]:
    """The checkpoint of a detector: `cfg` with the task `asvspoof`, `model`, and what fairseq keeps beside them.

    A state dict of the original authors gets the configuration that its tensors show. Raises CheckpointError when the file
    is unreadable or holds no detector.
    """
    checkpoint = read_for_fairseq(path)
    if not is_ours(checkpoint["cfg"]) or not isinstance(checkpoint.get("model"), dict):
        found = ", ".join(list(map(str, checkpoint))[:4])
        raise CheckpointError(f"{path}: not a detector trained with --task asvspoof (it holds {found}): name another file")
    return checkpoint


def read_for_fairseq(path: str | Path) -> dict[str, Any]:
    """What fairseq is to find in a file: the dictionary that it wrote, or an original detector in that form."""
    content = read_checkpoint(path)
    config = plain_config(content)
    if is_ours(config) and isinstance(content.get("model"), dict):
        # safetensors lack the history of training; fairseq would prefer `args`, which ours never have, to `cfg`
        return fairseq_dictionary(config, content["model"]) | content | {"cfg": config, "args": None}
    if config is not None:
        return content | {"cfg": content.get("cfg") and config}
    detector = open_checkpoint(path)
    return fairseq_dictionary(original_config(detector), detector.tensors)
