"""The layout of the checkpoints that training with this plugin writes."""

from pathlib import Path
from typing import Any

from .errors import CheckpointError
from .xlsr import read_checkpoint


def read_detector(path: str | Path) -> dict[str, Any]:
    """The checkpoint of a detector: `cfg` with the task `asvspoof`, `model` and what fairseq keeps beside them.

    Raises CheckpointError when the file is unreadable or has another layout.
    """
    checkpoint = read_checkpoint(path)
    config = checkpoint.get("cfg")
    task = config.get("task") if isinstance(config, dict) else None
    if not isinstance(task, dict) or task.get("_name") != "asvspoof" or not isinstance(checkpoint.get("model"), dict):
        found = ", ".join(list(map(str, checkpoint))[:4]) or "nothing"
        raise CheckpointError(f"{path}: not a detector trained with --task asvspoof (it holds {found}): name another file")
    return checkpoint
