"""Which layout a checkpoint has, by the names and shapes of its tensors, never by its file name."""

from typing import Any

from .detectors import DETECTORS, find_detector
from .layout import Comparison, Layout, compare
from .shapes import Shapes
from .wav2vec.huggingface import hugging_face_tensors
from .wav2vec.spec import Wav2VecSpec

PRETRAINED = (
    Layout("xlsr", "XLS-R or wav2vec 2.0, pre-trained with fairseq", lambda shapes: Wav2VecSpec.from_shapes(shapes).tensors()),
    Layout("huggingface", "XLS-R or wav2vec 2.0, pre-trained, of Hugging Face", hugging_face_tensors),
)
XLSR = "xlsr"  # the backbone of all published detectors that have one
LAYOUTS = (*PRETRAINED, *(detector.layout for detector in DETECTORS if detector.layout))


def nearest(shapes: Shapes) -> Comparison:
    """The layout that a file has, or else the one that it resembles most."""
    comparisons = [compare(layout, shapes) for layout in LAYOUTS]
    return max(comparisons, key=lambda found: (not found.differences, found.likeness, -len(found.differences)))


def identify(shapes: Shapes, config: dict[str, Any] | None) -> Comparison:
    """The layout that `cfg` names, for files that this project trained; else the nearest."""
    if not is_ours(config):
        return nearest(shapes)
    model = config["model"]
    detector = find_detector(model.get("_name"))
    published = {"backbone": XLSR, "output_layer": "linear", "lora_rank": 0} | dict(detector.variant) if detector else {}
    if detector and detector.layout and all(model.get(key, value) == value for key, value in published.items()):
        return compare(detector.layout, shapes)
    return compare(Layout(str(model.get("_name", "")), "of no published layout", lambda shapes: shapes), shapes)


def is_ours(config: dict[str, Any] | None) -> bool:
    """Whether training with this project's task wrote a file, by its `cfg`."""
    task, model = ((config or {}).get(section) for section in ("task", "model"))
    return isinstance(task, dict) and task.get("_name") == "asvspoof" and isinstance(model, dict)


def unknown_layout(found: Comparison) -> str:
    """That a file has no known layout, with the nearest and the first differences."""
    if not found.likeness:
        return "none of its tensors has a name as in a known layout: name another file"
    listed = "; ".join(found.differences[:3])
    more = f"; and {len(found.differences) - 3:,} more" if len(found.differences) > 3 else ""
    return f"no known layout; the nearest is {found.layout.name} ({found.layout.title}), but {listed}{more}"
