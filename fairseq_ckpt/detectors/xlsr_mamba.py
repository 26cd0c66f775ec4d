"""XLSR-Mamba (Xiao, Das, IEEE SPL 2025)."""

from typing import Any

from fairseq_ckpt.published_detector import Card, PublishedDetector
from fairseq_ckpt.shapes import Shapes, add_prefix, batch_norm, count_indices, dim_of, strip_prefix, weight_and_bias
from fairseq_ckpt.wav2vec.spec import DETECTOR_PREFIX, PRETRAINING_TENSORS, Wav2VecSpec, backbone_settings

COLUMNS = ("forward_layers", "backward_layers")
N_LAYERS = 6  # of each column


def tensors(shapes: Shapes) -> Shapes:
    backbone = Wav2VecSpec.from_shapes(strip_prefix(DETECTOR_PREFIX, shapes))
    n_features = dim_of(shapes, "conformer.norm_f.weight", 0, 144)
    head = batch_norm("first_bn", 1) | weight_and_bias("LL", n_features, backbone.n_features)
    for column in COLUMNS:
        for number in range(_n_layers(shapes, column)):
            head |= _mamba(f"conformer.{column}.{number}", n_features)
    head |= {"conformer.norm_f.weight": (n_features,)}
    for name in ("f_attention_pool", "b_attention_pool"):
        head |= weight_and_bias(f"conformer.{name}", 1, n_features)
    head |= weight_and_bias("conformer.LL", n_features, 2 * n_features)
    return add_prefix(DETECTOR_PREFIX, backbone.tensors()) | head | weight_and_bias("conformer.classifier", 2, n_features)


def model_settings(shapes: Shapes, source: object) -> dict[str, Any]:
    return backbone_settings(shapes, source) | largest(shapes)


def largest(shapes: Shapes) -> dict[str, int]:
    n_layers = sum(_n_layers(shapes, column) for column in COLUMNS)
    return {"mamba_features": shapes["conformer.norm_f.weight"][0], "mamba_layers": n_layers}


def _n_layers(shapes: Shapes, column: str) -> int:
    return count_indices(shapes, rf"conformer\.{column}\.(\d+)\.", N_LAYERS)


def _mamba(name: str, n_features: int) -> Shapes:
    """A layer of Mamba (Gu, Dao, 2023) with its defaults: state of 16, twice as wide inside, steps of rank 1/16."""
    n_inner, n_rank, n_states = 2 * n_features, -(-n_features // 16), 16
    layer: Shapes = {
        f"{name}.mixer.A_log": (n_inner, n_states),
        f"{name}.mixer.D": (n_inner,),
        f"{name}.mixer.in_proj.weight": (2 * n_inner, n_features),
        f"{name}.mixer.x_proj.weight": (n_rank + 2 * n_states, n_inner),
        f"{name}.mixer.out_proj.weight": (n_features, n_inner),
        f"{name}.norm.weight": (n_features,),
    }
    layer |= weight_and_bias(f"{name}.mixer.conv1d", n_inner, 1, 4)
    return layer | weight_and_bias(f"{name}.mixer.dt_proj", n_inner, n_rank)


DETECTOR = PublishedDetector(
    name="xlsr_mamba",
    cards=(
        Card(
            "xlsr_mamba_300m", "XLSR-Mamba", 319_327_542, 145.5, "any; 66,800",
            eer_2021_la=0.93, eer_2021_df=1.88, eer_in_the_wild=6.71,
        ),
    ),
    citation="Xiao, Das: XLSR-Mamba: A Dual-Column Bidirectional State Space Model for Spoofing Attack Detection. IEEE SPL 2025",
    trained_on="ASVspoof 2019 LA",
    tensors=tensors,
    unused=rf"{PRETRAINING_TENSORS}|conformer\.\w+_layers\.{N_LAYERS - 1}\.",
    max_samples=66_800,  # for ASVspoof; the authors scored In-the-Wild at 64,600
    model_settings=model_settings,
    largest=largest,
)  # fmt: skip
