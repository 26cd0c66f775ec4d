"""AASIST and AASIST-L (Jung et al., ICASSP 2022)."""

from typing import Any

from fairseq_ckpt.block_shapes import UNUSED_FIRST_NORM, spectro_temporal_graphs
from fairseq_ckpt.published_detector import Card, PublishedDetector
from fairseq_ckpt.shapes import Shapes, dim_of

# The channels and the shares of nodes that the graphs keep. Tensors show only the channels.
AASIST = {"encoder_channels": 64, "spectral_pool_ratio": 0.5, "temporal_pool_ratio": 0.7, "joint_pool_ratio": 0.5}
AASIST_L = {"encoder_channels": 24, "spectral_pool_ratio": 0.4, "temporal_pool_ratio": 0.5, "joint_pool_ratio": 0.7}


def tensors(shapes: Shapes) -> Shapes:
    return spectro_temporal_graphs(n_bands=23, n_channels=dim_of(shapes, "encoder.2.0.conv1.weight", 0, 64))


def model_settings(shapes: Shapes, source: object) -> dict[str, Any]:
    channels = largest(shapes)
    return AASIST_L if channels["encoder_channels"] == AASIST_L["encoder_channels"] else AASIST | channels


def largest(shapes: Shapes) -> dict[str, int]:
    return {"encoder_channels": shapes["encoder.2.0.conv1.weight"][0]}


DETECTOR = PublishedDetector(
    name="aasist",
    cards=(
        Card("aasist", "AASIST", 297_866, 19.1, "any", eer_2019_la=0.83),
        Card("aasist_l", "AASIST-L", 85_306, 13.2, "any", eer_2019_la=0.99),
    ),
    citation="Jung, Heo, Tak, Shim, Chung, Lee, Yu, Evans: AASIST: Audio Anti-Spoofing Using Integrated Spectro-Temporal Graph "
    "Attention Networks. ICASSP 2022",
    trained_on="ASVspoof 2019 LA",
    tensors=tensors,
    unused=UNUSED_FIRST_NORM,
    model_settings=model_settings,
    largest=largest,
)
