"""RawGAT-ST (Tak et al., ASVspoof workshop 2021)."""

from fairseq_ckpt.block_shapes import UNUSED_FIRST_NORM, graph_attention, residual_encoder
from fairseq_ckpt.published_detector import CLIP, Card, PublishedDetector
from fairseq_ckpt.shapes import Shapes, batch_norm, dim_of, weight_and_bias


def tensors(shapes: Shapes) -> Shapes:
    n_nodes = dim_of(shapes, "proj_S.weight", 1, 23)  # frames, pooled
    network = batch_norm("first_bn", 1) | residual_encoder("encoder_T", 64) | residual_encoder("encoder_S", 64)
    network |= graph_attention("GAT_layer_T", 64, 32) | graph_attention("GAT_layer_S", 64, 32)
    network |= graph_attention("GAT_layer_ST", 32, 16)
    for name, n_features in (("pool_T", 32), ("pool_S", 32), ("pool_ST", 16)):
        network |= weight_and_bias(f"{name}.proj", 1, n_features)
    network |= weight_and_bias("proj_T", 12, 14) | weight_and_bias("proj_S", 12, n_nodes)
    return network | weight_and_bias("proj_ST", 1, 16) | weight_and_bias("out_layer", 2, 7)


DETECTOR = PublishedDetector(
    name="rawgat_st",
    cards=(Card("rawgat_st", "RawGAT-ST", 437_034, 37.0, "64,600"),),
    citation="Tak, Jung, Patino, Kamble, Todisco, Evans: End-to-End Spectro-Temporal Graph Attention Networks for Speaker "
    "Verification Anti-Spoofing and Speech Deepfake Detection. ASVspoof workshop 2021",
    trained_on="ASVspoof 2019 LA",
    tensors=tensors,
    unused=UNUSED_FIRST_NORM,
    model_settings=lambda shapes, source: {"max_samples": CLIP},
)
