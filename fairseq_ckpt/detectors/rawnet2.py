"""RawNet2 for anti-spoofing (Tak et al., ICASSP 2021)."""

from itertools import pairwise

from fairseq_ckpt.block_shapes import UNUSED_FIRST_NORM, residual_block
from fairseq_ckpt.published_detector import Card, PublishedDetector
from fairseq_ckpt.shapes import Shapes, batch_norm, weight_and_bias

CHANNELS = (20, 20, 20, 128, 128, 128, 128)  # before the six blocks and after each


def tensors(shapes: Shapes) -> Shapes:
    network = batch_norm("first_bn", 20) | batch_norm("bn_before_gru", 128)
    for number, (n_in, n_out) in enumerate(pairwise(CHANNELS)):
        network |= residual_block(f"block{number}.0", n_in, n_out, first=number == 0, kernels=((3,), (3,), (1,)))
        network |= weight_and_bias(f"fc_attention{number}.0", n_out, n_out)
    for number, n_in in enumerate((128, 1024, 1024)):
        network |= {f"gru.weight_ih_l{number}": (3072, n_in), f"gru.weight_hh_l{number}": (3072, 1024)}
        network |= {f"gru.bias_ih_l{number}": (3072,), f"gru.bias_hh_l{number}": (3072,)}
    return network | weight_and_bias("fc1_gru", 1024, 1024) | weight_and_bias("fc2_gru", 2, 1024)


DETECTOR = PublishedDetector(
    name="rawnet2",
    cards=(Card("rawnet2", "RawNet2", 17_621_410, 4.2, "any"),),
    citation="Tak, Patino, Todisco, Nautsch, Evans, Larcher: End-to-End Anti-Spoofing with RawNet2. ICASSP 2021",
    trained_on="ASVspoof 2019 LA",
    tensors=tensors,
    unused=UNUSED_FIRST_NORM,
)
