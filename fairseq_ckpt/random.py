"""Random checkpoints in the layout of fairseq's `xlsr2_300m.pt`, for tests and for a first run without the real one."""

import os
from pathlib import Path
from typing import Any

import torch

from .backbone import build_backbone

# The published configuration of XLS-R 300M, as far as it differs from fairseq's defaults.
XLSR_300M = {
    "_name": "wav2vec2",
    "extractor_mode": "layer_norm",
    "layer_norm_first": True,
    "conv_bias": True,
    "conv_feature_layers": "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512, 2, 2)] * 2",
    "encoder_layers": 24,
    "encoder_embed_dim": 1024,
    "encoder_ffn_embed_dim": 4096,
    "encoder_attention_heads": 16,
    "final_dim": 768,
    "latent_vars": 320,
    "latent_groups": 2,
    "latent_temp": [2.0, 0.1, 0.999995],
    "quantize_targets": True,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "dropout_input": 0.0,
    "dropout_features": 0.0,
    "encoder_layerdrop": 0.0,
    "feature_grad_mult": 1.0,
}
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

# The real file's task section has settings that fairseq 0.12 does not know; a reader must not mind them.
TASK = {
    "_name": "audio_pretraining",
    "data": "",
    "sample_rate": 16_000,
    "normalize": True,
    "eval_wer": False,
    "multiple_train_files": False,
}


def make_random(config: dict[str, Any], path: str | Path, seed: int = 1) -> int:
    """Write a randomly initialised wav2vec 2.0 checkpoint, whole or not at all; returns its number of parameters."""
    path = Path(path)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_backbone(config, path)
    for block in model.feature_extractor.conv_layers:
        torch.nn.init.zeros_(block[0].bias)  # else it outweighs the waveform, and a small network trains badly
    checkpoint = {
        "args": None,
        "cfg": {"_name": None, "model": config, "task": TASK},
        "model": model.state_dict(),
        "optimizer_history": [
            {"criterion_name": "Wav2vecCriterion", "optimizer_name": "FairseqAdam", "lr_scheduler_state": {}, "num_updates": 0}
        ],  # fairseq's own reader looks at the last entry
        "extra_state": {},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        torch.save(checkpoint, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return sum(parameter.numel() for parameter in model.parameters())
