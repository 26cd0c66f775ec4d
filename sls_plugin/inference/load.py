"""A checkpoint file to a detector that is ready to score, built from the very content that was checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fairseq_ckpt.errors import CheckpointError, first_misfit
from protocols import UserError
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
        return LoadedDetector(model, segment, Card(model.about.get("architecture", "exported"), segment.n_samples))
    from fairseq_ckpt.detector import read_detector  # slow to import, like fairseq below

    checkpoint = read_detector(path)
    task = checkpoint.config["task"]
    segment = Segment(task["max_samples"], "start", str(task["padding"]))
    model = build_model(checkpoint.config["model"], checkpoint.tensors, path)
    return LoadedDetector(model, segment, _card(checkpoint, segment))


def build_model(config: dict[str, Any], tensors: dict[str, Tensor], path: str | Path) -> nn.Module:
    """The registered model of a checked configuration, with these tensors; CheckpointError when they do not fit."""
    from fairseq.models import build_model as build_registered
    from omegaconf import OmegaConf

    import sls_plugin.models  # noqa: F401  (registers them)

    try:
        with SkipWeightInit():
            model = build_registered(OmegaConf.create(config, flags={"allow_objects": True}), None, from_checkpoint=True)
        model.load_state_dict(tensors, strict=True)
    except UserError:
        raise
    except RuntimeError as error:
        message = f"{path}: its tensors do not fit its configuration ({first_misfit(error)}): name another file"
        raise CheckpointError(message) from None
    return model.eval()


class SkipWeightInit(TorchFunctionMode):
    """Builds models without drawing random weights that a checkpoint replaces: this saves seconds for XLS-R 300M."""

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__module__", None) == "torch.nn.init" or function in (Tensor.uniform_, Tensor.normal_):
            return args[0] if args else kwargs["tensor"]
        return function(*args, **kwargs)


def _card(checkpoint: Any, segment: Segment) -> Card:
    """The card of an authors' file as published; that of this project's checkpoints with their training manifests."""
    from fairseq_ckpt.detectors import find_detector

    published = find_detector(checkpoint.config["model"]["_name"])
    task = checkpoint.config["task"]
    if task.get("data"):
        manifests = [f"{Path(task['data']) / part}.tsv" for part in task.get("train_subset", "train").split("+")]
        return Card(published.title, segment.n_samples, " and ".join(manifests))
    return Card(published.title, segment.n_samples, published.trained_on, published.licence)
