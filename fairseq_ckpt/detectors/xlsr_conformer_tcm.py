"""XLS-R + Conformer with temporal-channel modelling (Truong et al., Interspeech 2024)."""

from fairseq_ckpt.published_detector import Card, PublishedDetector
from fairseq_ckpt.shapes import Shapes, add_prefix, batch_norm, strip_prefix, weight_and_bias
from fairseq_ckpt.wav2vec.spec import DETECTOR_PREFIX, PRETRAINING_TENSORS, Wav2VecSpec, backbone_settings

N_CHANNELS, N_HEADS, N_POSITIONS = 144, 4, 10_000
N_BLOCKS = 4


def tensors(shapes: Shapes) -> Shapes:
    backbone = Wav2VecSpec.from_shapes(strip_prefix(DETECTOR_PREFIX, shapes))
    head = weight_and_bias("LL", N_CHANNELS, backbone.n_features) | batch_norm("first_bn", 1)
    head |= {"conformer.positional_emb": (1, N_POSITIONS, N_CHANNELS), "conformer.class_token": (1, N_CHANNELS)}
    for number in range(N_BLOCKS):
        head |= add_prefix(f"conformer.encoder_blocks.{number}.", _block())
    return add_prefix(DETECTOR_PREFIX, backbone.tensors()) | head | weight_and_bias("conformer.fc5", 2, N_CHANNELS)


def _block() -> Shapes:
    n, per_head, inner = N_CHANNELS, N_CHANNELS // N_HEADS, 2 * N_CHANNELS
    block = {"attn.fn.qkv.weight": (3 * n, n), "attn.fn.pos_embed": (1, N_HEADS, n)}
    for name in ("ff1", "ff2"):
        block |= weight_and_bias(f"{name}.fn.norm", n) | weight_and_bias(f"{name}.fn.fn.net.0", 4 * n, n)
        block |= weight_and_bias(f"{name}.fn.fn.net.3", n, 4 * n)
    block |= weight_and_bias("attn.norm", n) | weight_and_bias("attn.fn.proj", n, n)
    block |= weight_and_bias("attn.fn.ht_proj", n, per_head) | weight_and_bias("attn.fn.ht_norm", per_head)
    block |= weight_and_bias("conv.net.0", n) | weight_and_bias("conv.net.2", 2 * inner, n, 1)
    block |= weight_and_bias("conv.net.4.conv", inner, 1, 31) | batch_norm("conv.net.5", inner)
    return block | weight_and_bias("conv.net.7", n, inner, 1) | weight_and_bias("post_norm", n)


DETECTOR = PublishedDetector(
    name="xlsr_conformer_tcm",
    cards=(
        Card(
            "xlsr_conformer_tcm_300m", "XLS-R + Conformer + TCM", 321_213_220, 145.8, "any; 66,800",
            eer_2021_la=1.03, eer_2021_df=2.06, eer_in_the_wild=7.79,
        ),
    ),
    citation="Truong, Tao, Nguyen, Luong, Lee, Chng: Temporal-Channel Modeling in Multi-head Self-Attention for Synthetic Speech "
    "Detection. Interspeech 2024",
    trained_on="ASVspoof 2019 LA",
    licence="MIT",
    tensors=tensors,
    unused=PRETRAINING_TENSORS,
    max_samples=66_800,
    model_settings=backbone_settings,
)  # fmt: skip
