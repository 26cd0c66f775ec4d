"""From any known layout to any other that can hold it; tensors keep every bit, the state of training is left behind."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from .checkpoint import Checkpoint, is_ours, open_checkpoint, open_pretrained
from .errors import CheckpointError
from .huggingface import config_for_hugging_face, hugging_face_name
from .originals import original_config
from .reading import require_whole
from .wav2vec import Wav2Vec
from .writing import fairseq_dictionary, write_json, write_pickled, write_safetensors

PRETRAINED = ("xlsr", "huggingface")


def convert(path: str | Path, output: str | Path, to: str) -> Checkpoint:
    """Write the checkpoint of `path` in the layout `to` (a key of WRITERS); returns what was written, as it was read."""
    require_whole(path)
    checkpoint = _complete(open_checkpoint(path))
    WRITERS[to](checkpoint, Path(output))
    return checkpoint


def _complete(checkpoint: Checkpoint) -> Checkpoint:
    """With fairseq's names and a configuration."""
    if checkpoint.layout.name in PRETRAINED:
        return open_pretrained(checkpoint.path)
    if is_ours(checkpoint.config):
        return checkpoint
    return replace(checkpoint, config=original_config(checkpoint))


def _to_fairseq(checkpoint: Checkpoint, output: Path) -> None:
    write_pickled(fairseq_dictionary(checkpoint.config, checkpoint.tensors), output)


def _to_safetensors(checkpoint: Checkpoint, output: Path) -> None:
    write_safetensors(checkpoint.tensors, output, checkpoint.config)


def _to_original(checkpoint: Checkpoint, output: Path) -> None:
    if checkpoint.layout.name in PRETRAINED:
        raise CheckpointError(f"{checkpoint.path}: fairseq's layout is the original one of XLS-R: convert --to fairseq")
    prefix = checkpoint.prefix or checkpoint.layout.prefix
    write_pickled({f"{prefix}{name}": tensor for name, tensor in checkpoint.tensors.items()}, output)


def _to_hugging_face(checkpoint: Checkpoint, output: Path) -> None:
    if checkpoint.layout.name not in PRETRAINED:
        raise CheckpointError(f"{checkpoint.path}: {checkpoint.layout.title}: Hugging Face knows pre-trained networks only")
    config: dict[str, Any] = config_for_hugging_face(checkpoint.config["model"], Wav2Vec.of(checkpoint.shapes))
    tensors = {hugging_face_name(name): tensor for name, tensor in checkpoint.tensors.items()}
    write_safetensors(tensors, output / "model.safetensors")
    write_json(config, output / "config.json")


WRITERS: dict[str, Callable[[Checkpoint, Path], None]] = {
    "fairseq": _to_fairseq,
    "original": _to_original,
    "huggingface": _to_hugging_face,
    "safetensors": _to_safetensors,
}
