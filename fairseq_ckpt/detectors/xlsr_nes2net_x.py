"""XLS-R + Nes2Net-X (Liu et al., IEEE T-IFS 2025)."""

from fairseq_ckpt.published_detector import Card, PublishedDetector
from fairseq_ckpt.shapes import Shapes, add_prefix, batch_norm, strip_prefix, weight_and_bias
from fairseq_ckpt.wav2vec.spec import DETECTOR_PREFIX, PRETRAINING_TENSORS, Wav2VecSpec, backbone_settings

N_CHUNKS = 8


def tensors(shapes: Shapes) -> Shapes:
    backbone = Wav2VecSpec.from_shapes(strip_prefix(DETECTOR_PREFIX, shapes))
    n_channels = backbone.n_features // N_CHUNKS
    nest = batch_norm("bn", backbone.n_features) | weight_and_bias("fc", 2, backbone.n_features)
    for number in range(N_CHUNKS - 1):
        nest |= batch_norm(f"bns.{number}", n_channels) | add_prefix(f"Build_in_Res2Nets.{number}.", _block(n_channels))
    return add_prefix(DETECTOR_PREFIX, backbone.tensors()) | add_prefix("Nested_Res2Net_TDNN.", nest)


def _block(n_channels: int) -> Shapes:
    n_grouped = n_channels // N_CHUNKS
    block = weight_and_bias("conv1", n_channels, n_channels, 1) | batch_norm("bn1", n_channels)
    block |= weight_and_bias("conv3", n_channels, n_channels, 1) | batch_norm("bn3", n_channels)
    block |= weight_and_bias("se.se.1", n_channels, n_channels, 1) | weight_and_bias("se.se.3", n_channels, n_channels, 1)
    for number in range(N_CHUNKS - 1):
        block |= weight_and_bias(f"convs.{number}", n_grouped, n_grouped, 3, 1) | batch_norm(f"bns.{number}", n_grouped)
        block[f"weighted_sum.{number}"] = (1, 1, 1, number + 2)
    return block


DETECTOR = PublishedDetector(
    name="xlsr_nes2net_x",
    cards=(
        Card(
            "xlsr_nes2net_x_300m", "XLS-R + Nes2Net-X", 317_902_631, 145.0, "any",
            eer_2021_la=1.88, eer_2021_df=1.49, eer_in_the_wild=5.15,
        ),
    ),
    citation="Liu, Truong, Das, Lee, Li: Nes2Net: A Lightweight Nested Architecture for Foundation Model Driven Speech "
    "Anti-Spoofing. IEEE T-IFS 2025",
    trained_on="ASVspoof 2019 LA",
    tensors=tensors,
    unused=PRETRAINING_TENSORS,
    model_settings=backbone_settings,
)  # fmt: skip
