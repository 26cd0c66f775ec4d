"""The prosody encoder of the detector that learns prosody without content."""

from itertools import pairwise

from fairseq_ckpt.published_detector import Card, PublishedDetector
from fairseq_ckpt.shapes import Shapes, batch_norm, weight_and_bias

CHANNELS = (64, 64, 128, 256, 512)  # before the four layers and after each


def tensors(shapes: Shapes) -> Shapes:
    network = weight_and_bias("conv1", 64, 1, 3, 3) | batch_norm("bn1", 64)
    for number, (n_in, n_out) in enumerate(pairwise(CHANNELS), start=1):
        name = f"layer{number}"
        network |= weight_and_bias(f"{name}.conv1", n_out, n_in, 3, 3) | batch_norm(f"{name}.bn1", n_out)
        network |= weight_and_bias(f"{name}.conv2", n_out, n_out, 3, 3) | batch_norm(f"{name}.bn2", n_out)
        network |= weight_and_bias(f"{name}.shortcut.0", n_out, n_in, 1, 1) | batch_norm(f"{name}.shortcut.1", n_out)
    return network | weight_and_bias("fc1", 256, 512) | weight_and_bias("fc2", 2, 256)


DETECTOR = PublishedDetector(
    name="prosody_encoder",
    cards=(Card("prosody_encoder", "prosody encoder", 5_035_970, 8.2, "any; 64,000"),),
    citation="github.com/Adityahulk/deepfake_mlaad",
    trained_on="MLAAD (spoof) and LibriSpeech (bona fide)",
    licence="MIT",
    tensors=tensors,
    max_samples=64_000,
    padding="zero",
)
