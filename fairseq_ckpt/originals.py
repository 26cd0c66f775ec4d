"""The original authors' detectors as this project's training would have written them."""

from collections.abc import Callable
from typing import Any

from .checkpoint import Checkpoint
from .detector_tensors import BACKBONE
from .errors import CheckpointError
from .shapes import Shapes, below, count
from .wav2vec import Wav2Vec

PUBLISHED_LENGTH = 64_600  # samples at 16 kHz, 4.04 s; short clips are repeated
OTHER_CLIPS = {
    "xlsr_mamba": {"max_samples": 66_800, "padding": "tile"},  # for ASVspoof; In-the-Wild was scored at 64,600
    "prosody_encoder": {"max_samples": 64_000, "padding": "zero"},
}


def original_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """The `cfg` that belongs to an original state dict; raises CheckpointError when no model of the project can run it."""
    if checkpoint.layout.name not in MODELS:
        raise CheckpointError(
            f"{checkpoint.path}: {checkpoint.layout.title}: no detector that can be scored or trained further: name another file"
        )
    model = MODELS[checkpoint.layout.name](checkpoint.shapes, checkpoint.path)
    clips = {"max_samples": model.get("max_samples", PUBLISHED_LENGTH), "crop": "start", "padding": "tile"}
    clips |= OTHER_CLIPS.get(checkpoint.layout.name, {})
    task = {"_name": "asvspoof", "data": "", "seed": 1, "train_subset": "train", "results_path": None}
    return {
        "task": task | clips,
        "model": {"_name": checkpoint.layout.name} | model,
        "criterion": {"_name": "weighted_cross_entropy", "class_weights": "0.1,0.9"},  # for the loss of fairseq-validate
    }


def _sls(shapes: Shapes, source: object) -> dict[str, Any]:
    backbone = Wav2Vec.of(below(BACKBONE, shapes))
    pooled_frames = shapes["fc1.weight"][1] // (backbone.n_features // 3)
    shortest, longest = (backbone.fewest_samples(3 * pooled) for pooled in (pooled_frames, pooled_frames + 1))
    max_samples = PUBLISHED_LENGTH if shortest <= PUBLISHED_LENGTH < longest else shortest
    return {"w2v_args": backbone.config(source), "max_samples": max_samples}


def _on_xlsr(shapes: Shapes, source: object) -> dict[str, Any]:
    return {"w2v_args": Wav2Vec.of(below(BACKBONE, shapes)).config(source)}


def _xlsr_mamba(shapes: Shapes, source: object) -> dict[str, Any]:
    n_layers = sum(count(shapes, rf"conformer\.{direction}_layers\.(\d+)\.", 6) for direction in ("forward", "backward"))
    return _on_xlsr(shapes, source) | {"mamba_features": shapes["conformer.norm_f.weight"][0], "mamba_layers": n_layers}


def _aasist(shapes: Shapes, source: object) -> dict[str, Any]:
    n_channels = shapes["encoder.2.0.conv1.weight"][0]
    # Shapes do not show how many nodes the graphs keep; the light model, of 24 channels, keeps other shares.
    spectral, temporal, joint = (0.4, 0.5, 0.7) if n_channels == 24 else (0.5, 0.7, 0.5)
    ratios = {"spectral_pool_ratio": spectral, "temporal_pool_ratio": temporal, "joint_pool_ratio": joint}
    return {"encoder_channels": n_channels} | ratios


MODELS: dict[str, Callable[[Shapes, object], dict[str, Any]]] = {
    "sls": _sls,
    "xlsr_aasist": _on_xlsr,
    "xlsr_mamba": _xlsr_mamba,
    "aasist": _aasist,
    "rawgat_st": lambda shapes, source: {"max_samples": PUBLISHED_LENGTH},
    "rawnet2": lambda shapes, source: {},
    "prosody_encoder": lambda shapes, source: {},
}
