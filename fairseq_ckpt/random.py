"""Random checkpoints in the layout of fairseq's `xlsr2_300m.pt`, for tests and for a first run without the real one."""

from pathlib import Path
from typing import Any

import torch

from .backbone import build_backbone
from .presets import PRETRAINING_TASK
from .writing import fairseq_dictionary, write_pickled

# The real file's task section has settings that fairseq 0.12 does not know; a reader must not mind them.
UNKNOWN_SETTINGS = {"eval_wer": False, "multiple_train_files": False}
SPEECH_LEVEL = 0.05  # RMS of speech at -26 dB below full scale


def make_random(config: dict[str, Any], path: str | Path, seed: int = 1) -> int:
    """Write a randomly initialised wav2vec 2.0 checkpoint, whole or not at all; returns its number of parameters."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_backbone(config, path)
    # XLS-R learnt from waveforms of unit variance, detectors feed it raw ones. A trained front-end copes; a random one hears
    # little but its own biases, and a small network trains badly on that.
    model.feature_extractor.conv_layers[0][0].bias.data *= SPEECH_LEVEL
    config = {"_name": None, "model": config, "task": PRETRAINING_TASK | UNKNOWN_SETTINGS}
    write_pickled(fairseq_dictionary(config, model.state_dict()), path)
    return sum(parameter.numel() for parameter in model.parameters())
