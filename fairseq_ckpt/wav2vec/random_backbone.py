"""Random checkpoints in the layout of fairseq's `xlsr2_300m.pt`, for tests and for a first run without the real one."""

from pathlib import Path
from typing import Any

from .spec import PRETRAINING_TASK, XLSR_300M

# The same kind of network, small enough to train on a CPU in a minute or two; as many frames per second.
TINY = XLSR_300M | {
    "conv_feature_layers": "[(32, 10, 5)] + [(32, 3, 2)] * 4 + [(32, 2, 2)] * 2",
    "encoder_layers": 4,
    "encoder_embed_dim": 48,
    "encoder_ffn_embed_dim": 96,
    "encoder_attention_heads": 4,
    "conv_pos": 16,
    "conv_pos_groups": 4,
    "final_dim": 16,
    "latent_vars": 8,
}
PRESETS = {"tiny": TINY, "300m": XLSR_300M}

# The real file's task section has settings that fairseq 0.12 does not know; a reader must ignore them.
UNKNOWN_SETTINGS = {"eval_wer": False, "multiple_train_files": False}
SPEECH_LEVEL = 0.05  # RMS of speech at -26 dB below full scale


def make_random(config: dict[str, Any], path: str | Path, seed: int = 1) -> int:
    """Write a randomly initialised wav2vec 2.0 checkpoint, whole or not at all; returns its number of parameters."""
    import torch  # slow to import, as the two below; the command line needs PRESETS at once

    from fairseq_ckpt.writing import fairseq_dictionary, write_pickled

    from .backbone import build_backbone

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_backbone(config, path)
    # XLS-R was trained on waveforms of unit variance, detectors feed it raw ones. A trained front-end copes. The output of a
    # random one would be little more than its biases, and a small network trains badly on that.
    model.feature_extractor.conv_layers[0][0].bias.data *= SPEECH_LEVEL
    config = {"_name": None, "model": config, "task": PRETRAINING_TASK | UNKNOWN_SETTINGS}
    write_pickled(fairseq_dictionary(config, model.state_dict()), path)
    return sum(parameter.numel() for parameter in model.parameters())
