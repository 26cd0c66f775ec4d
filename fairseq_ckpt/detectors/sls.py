"""XLS-R + SLS (Zhang, Wen, Hu, ACM MM 2024)."""

from typing import Any

from fairseq_ckpt.published_detector import CLIP, Card, PublishedDetector
from fairseq_ckpt.shapes import Shapes, add_prefix, batch_norm, dim_of, strip_prefix, weight_and_bias
from fairseq_ckpt.wav2vec.spec import DETECTOR_PREFIX, PRETRAINING_TENSORS, Wav2VecSpec

POOL = 3  # frames, and features, that max-pooling makes one


def tensors(shapes: Shapes) -> Shapes:
    backbone = Wav2VecSpec.from_shapes(strip_prefix(DETECTOR_PREFIX, shapes))
    n_pooled = backbone.n_features // POOL
    head = batch_norm("first_bn", 1) | weight_and_bias("fc0", 1, backbone.n_features)
    head |= weight_and_bias("fc1", backbone.n_features, _pooled_frames(shapes, backbone) * n_pooled)
    return add_prefix(DETECTOR_PREFIX, backbone.tensors()) | head | weight_and_bias("fc3", 2, backbone.n_features)


def model_settings(shapes: Shapes, source: object) -> dict[str, Any]:
    """The backbone's, and the length of a clip: the published one, or the shortest that the head takes."""
    backbone = Wav2VecSpec.from_shapes(strip_prefix(DETECTOR_PREFIX, shapes))
    shortest = backbone.min_samples(POOL * _pooled_frames(shapes, backbone))
    max_samples = CLIP if shortest <= CLIP <= largest(shapes)["max_samples"] else shortest
    return {"w2v_args": backbone.config(source), "max_samples": max_samples}


def largest(shapes: Shapes) -> dict[str, int]:
    backbone = Wav2VecSpec.from_shapes(strip_prefix(DETECTOR_PREFIX, shapes))
    return {"max_samples": backbone.min_samples(POOL * (_pooled_frames(shapes, backbone) + 1)) - 1}


def _pooled_frames(shapes: Shapes, backbone: Wav2VecSpec) -> int:
    n_pooled = max(backbone.n_features // POOL, 1)
    return dim_of(shapes, "fc1.weight", 1, 67 * n_pooled) // n_pooled


DETECTOR = PublishedDetector(
    name="sls",
    cards=(
        Card(
            "sls_xlsr_300m", "XLS-R + SLS", 340_790_021, 144.9, "64,400-65,359",
            eer_2021_la=2.87, eer_2021_df=1.92, eer_in_the_wild=7.46,
        ),
    ),
    citation="Zhang, Wen, Hu: Audio Deepfake Detection with XLS-R and SLS Classifier. ACM MM 2024",
    trained_on="ASVspoof 2019 LA",
    tensors=tensors,
    prefix="module.",
    unused=rf"{PRETRAINING_TENSORS}|ssl_model\.model\.encoder\.layer_norm\.",
    model_settings=model_settings,
    largest=largest,
    variant={"layer_fusion": "gate", "pooling": "3x3"},
)  # fmt: skip
