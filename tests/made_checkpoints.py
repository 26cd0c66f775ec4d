"""Checkpoints that the tests make: originals of every detector, with weights that follow from the tensors' names."""

from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from reference.sls_reference import ReferenceSLS
from reference.synthetic_weights import synthetic_tensor

from fairseq_ckpt.wav2vec.backbone import build_backbone
from fairseq_ckpt.wav2vec.random_backbone import TINY

# As wide as the smallest published network, whose attention heads are therefore known, and small everywhere else.
NARROW = TINY | {
    "encoder_layers": 2,
    "encoder_embed_dim": 768,
    "encoder_ffn_embed_dim": 32,
    "encoder_attention_heads": 12,
}
# wav2vec 2.0 base (`wav2vec_small.pt`): a group norm in front, norms behind the blocks. Also small everywhere else.
BASE = NARROW | {"extractor_mode": "default", "layer_norm_first": False, "conv_bias": False}


def synthetic(names_and_shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    return {name: synthetic_tensor(name, shape) for name, shape in names_and_shapes.items()}


def reference_sls(config: dict[str, Any] = NARROW, n_frames: int = 12) -> ReferenceSLS:
    """The naive reference in eval mode; the same at every call."""
    torch.manual_seed(3)
    model = ReferenceSLS(build_backbone(config, "the test"), n_frames).eval()
    for name, tensor in model.state_dict().items():
        if not name.startswith("ssl_model."):
            tensor.copy_(synthetic_tensor(name, tensor.shape))
    return model


def write_original_sls(path: Path, prefix: str = "module.", **reference: Any) -> ReferenceSLS:
    """What the authors of SLS save: the state dict of the model in DataParallel."""
    model = reference_sls(**reference)
    torch.save({f"{prefix}{name}": tensor for name, tensor in model.state_dict().items()}, path)
    return model


def aasist_tensors(n_channels: int = 64) -> dict[str, torch.Tensor]:
    """A state dict of AASIST (64) or AASIST-L (24), from the model itself."""
    from sls_plugin.models.aasist import AASIST, AASISTConfig

    cfg = OmegaConf.structured(AASISTConfig(encoder_channels=n_channels))
    return synthetic({name: tuple(tensor.shape) for name, tensor in AASIST(cfg).state_dict().items()})
