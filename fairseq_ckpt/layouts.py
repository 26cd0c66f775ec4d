"""The published layouts, told apart by names and shapes of their tensors, never by file names."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from . import detector_tensors
from .huggingface import hugging_face_tensors
from .shapes import Shapes
from .wav2vec import PRETRAINING_ONLY, Wav2Vec


@dataclass(frozen=True)
class Layout:
    """A kind of checkpoint: which tensors it has, and the prefix of their names in the original authors' files."""

    name: str
    title: str
    tensors: Callable[[Shapes], Shapes]  # all names and shapes, the sizes taken from those of a file
    prefix: str = ""
    unused: str = "$."  # pattern of the tensors that the model keeps but never uses, so that training leaves them as they were
    architectures: tuple[str, ...] = ()  # other names that this project's configurations have for the model
    settings: dict[str, str] = field(default_factory=dict)  # of this project's model; with others it has other tensors


PRETRAINING = rf"ssl_model\.model\.({'|'.join(map(re.escape, PRETRAINING_ONLY))})"
FIRST_NORM = r"(encoder(_[ST])?\.|block)\d\.(0\.)?bn1\."  # of AASIST's and RawNet2's residual blocks, which go on without it
LAYOUTS = (
    Layout("xlsr", "XLS-R or wav2vec 2.0, pre-trained with fairseq", lambda shapes: Wav2Vec.of(shapes).tensors()),
    Layout("huggingface", "XLS-R or wav2vec 2.0, pre-trained, of Hugging Face", hugging_face_tensors),
    Layout(
        "sls",
        "XLS-R + SLS",
        detector_tensors.sls,
        prefix="module.",
        unused=rf"{PRETRAINING}|ssl_model\.model\.encoder\.layer_norm\.",
        architectures=("sls_xlsr_300m",),
        settings={"layer_fusion": "gate", "pooling": "3x3"},
    ),
    Layout(
        "xlsr_aasist",
        "XLS-R + AASIST",
        detector_tensors.xlsr_aasist,
        unused=rf"{PRETRAINING}|{FIRST_NORM}",
        architectures=("xlsr_aasist_300m",),
    ),
    Layout(
        "xlsr_mamba",
        "XLSR-Mamba",
        detector_tensors.xlsr_mamba,
        unused=rf"{PRETRAINING}|conformer\.\w+_layers\.5\.",  # of six each
        architectures=("xlsr_mamba_300m",),
    ),
    Layout("aasist", "AASIST or AASIST-L", detector_tensors.aasist, unused=FIRST_NORM, architectures=("aasist_l",)),
    Layout("rawgat_st", "RawGAT-ST", detector_tensors.rawgat_st, unused=FIRST_NORM),
    Layout("rawnet2", "RawNet2", detector_tensors.rawnet2, unused=FIRST_NORM),
    Layout("prosody_encoder", "prosody encoder", detector_tensors.prosody_encoder),
)


@dataclass(frozen=True)
class Comparison:
    """A file's tensors beside those of a layout; `differences` in words, missing ones first."""

    layout: Layout
    likeness: float  # share of the names of both that both have
    differences: list[str]


def compare(layout: Layout, shapes: Shapes) -> Comparison:
    expected = layout.tensors(shapes)
    differences = [f"{name} is missing" for name in expected if name not in shapes]
    differences += [f"{name} is not part of it" for name in shapes if name not in expected]
    common = [name for name in shapes if name in expected]
    for name in common:
        if shapes[name] != expected[name]:
            differences.append(f"{name} is {_by(shapes[name])}, not {_by(expected[name])}")
    return Comparison(layout, len(common) / max(len(shapes.keys() | expected.keys()), 1), differences)


def nearest(shapes: Shapes) -> Comparison:
    """The layout that a file has, or else the one that it resembles most."""
    comparisons = [compare(layout, shapes) for layout in LAYOUTS]
    return max(comparisons, key=lambda found: (not found.differences, found.likeness, -len(found.differences)))


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
