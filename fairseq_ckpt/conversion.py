"""Any known layout to any other that can hold it. Tensors keep every bit; the state of training is left out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .checkpoint import Checkpoint, read, require_known
from .detector import detector_config
from .errors import CheckpointError
from .identification import PRETRAINED
from .pretrained import as_pretrained
from .reading import require_whole
from .wav2vec.huggingface import config_for_hugging_face, hugging_face_name
from .wav2vec.spec import Wav2VecSpec
from .writing import fairseq_dictionary, write_json, write_pickled, write_safetensors


def convert(path: str | Path, output: str | Path, to: str) -> Checkpoint:
    """Write the checkpoint of `path` in the layout `to` (a key of WRITERS); returns what was written, as it was read."""
    require_whole(path)
    checkpoint = _complete(require_known(read(path)))
    WRITERS[to](checkpoint, Path(output))
    return checkpoint


def _complete(checkpoint: Checkpoint) -> Checkpoint:
    """With fairseq's names and a configuration."""
    if checkpoint.layout in PRETRAINED:
        return as_pretrained(checkpoint)
    return replace(checkpoint, config=detector_config(checkpoint))


def _to_fairseq(checkpoint: Checkpoint, output: Path) -> None:
    write_pickled(fairseq_dictionary(checkpoint.config, checkpoint.tensors), output)


def _to_safetensors(checkpoint: Checkpoint, output: Path) -> None:
    write_safetensors(checkpoint.tensors, output, checkpoint.config)


def _to_original(checkpoint: Checkpoint, output: Path) -> None:
    if checkpoint.layout in PRETRAINED:
        raise CheckpointError(f"{checkpoint.path}: fairseq's layout is the original one of XLS-R: convert --to fairseq")
    prefix = checkpoint.prefix or checkpoint.layout.prefix
    write_pickled({f"{prefix}{name}": tensor for name, tensor in checkpoint.tensors.items()}, output)


def _to_hugging_face(checkpoint: Checkpoint, output: Path) -> None:
    if checkpoint.layout not in PRETRAINED:
        raise CheckpointError(f"{checkpoint.path}: {checkpoint.layout.title}: Hugging Face has pre-trained networks only")
    network = Wav2VecSpec.from_shapes(checkpoint.shapes)
    config = config_for_hugging_face(checkpoint.config["model"], network, checkpoint.path)
    tensors = {hugging_face_name(name): tensor for name, tensor in checkpoint.tensors.items()}
    write_safetensors(tensors, output / "model.safetensors")
    write_json(config, output / "config.json")


WRITERS: dict[str, Callable[[Checkpoint, Path], None]] = {
    "fairseq": _to_fairseq,
    "original": _to_original,
    "huggingface": _to_hugging_face,
    "safetensors": _to_safetensors,
}
