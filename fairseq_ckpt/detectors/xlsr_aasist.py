"""XLS-R + AASIST (Tak et al., Odyssey 2022)."""

from fairseq_ckpt.block_shapes import UNUSED_FIRST_NORM, spectro_temporal_graphs
from fairseq_ckpt.published_detector import Card, PublishedDetector
from fairseq_ckpt.shapes import Shapes, add_prefix, batch_norm, strip_prefix, weight_and_bias
from fairseq_ckpt.wav2vec.spec import DETECTOR_PREFIX, PRETRAINING_TENSORS, Wav2VecSpec, backbone_settings


def tensors(shapes: Shapes) -> Shapes:
    backbone = Wav2VecSpec.from_shapes(strip_prefix(DETECTOR_PREFIX, shapes))
    head = weight_and_bias("LL", 128, backbone.n_features) | batch_norm("first_bn1", 64)
    head |= weight_and_bias("attention.0", 128, 64, 1, 1) | batch_norm("attention.2", 128)
    head |= weight_and_bias("attention.3", 64, 128, 1, 1) | spectro_temporal_graphs(n_bands=42, n_channels=64)
    return add_prefix(DETECTOR_PREFIX, backbone.tensors()) | head


DETECTOR = PublishedDetector(
    name="xlsr_aasist",
    cards=(
        Card(
            "xlsr_aasist_300m", "XLS-R + AASIST", 317_837_834, 146.2, "any",
            eer_2021_la=0.82, eer_2021_df=2.85, eer_in_the_wild=10.46,
        ),
    ),
    citation="Tak, Todisco, Wang, Jung, Yamagishi, Evans: Automatic Speaker Verification Spoofing and Deepfake Detection "
    "Using Wav2vec 2.0 and Data Augmentation. Odyssey 2022",
    trained_on="ASVspoof 2019 LA",
    tensors=tensors,
    unused=rf"{PRETRAINING_TENSORS}|{UNUSED_FIRST_NORM}",
    model_settings=backbone_settings,
)  # fmt: skip
