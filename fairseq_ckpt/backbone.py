"""fairseq's wav2vec 2.0 network from the configuration in a checkpoint."""

import re
import textwrap
import warnings
from pathlib import Path
from typing import Any

from fairseq.dataclass.utils import merge_with_parent
from fairseq.models.wav2vec import Wav2Vec2Config, Wav2Vec2Model
from omegaconf import OmegaConf

from .errors import CheckpointError

# fairseq evaluates this setting as Python; nothing but sums of short lists of (channels, kernel, stride) may reach it.
_LAYER = r"\(\d{1,5},\d{1,4},\d{1,4}\)"
_LAYERS = rf"\[{_LAYER}(?:,{_LAYER})*,?\](?:\*\d{{1,2}})?"
_CONV_LAYERS = re.compile(rf"{_LAYERS}(?:\+{_LAYERS})*")


def build_backbone(config: dict[str, Any], source: str | Path) -> Wav2Vec2Model:
    """The network that `cfg.model` of a checkpoint describes, with fresh weights; settings unknown to fairseq are left out.

    Raises CheckpointError, naming `source`, when the configuration holds code or describes no network.
    """
    layers = config.get("conv_feature_layers")
    if layers is not None and not (isinstance(layers, str) and _CONV_LAYERS.fullmatch(re.sub(r"\s", "", layers))):
        raise CheckpointError(f"{source}: conv_feature_layers is not a sum of lists of numbers: do not trust this file")
    try:
        if isinstance(config.get("latent_temp"), str):  # some files hold the three numbers as text
            config = config | {"latent_temp": [float(number) for number in config["latent_temp"].strip("()[] ").split(",")]}
        settings = merge_with_parent(Wav2Vec2Config(), OmegaConf.create(config), remove_missing=True)
        with warnings.catch_warnings():  # torch's old weight_norm gives the tensors the names of the published files
            warnings.filterwarnings("ignore", message=".*weight_norm.*", category=FutureWarning)
            return Wav2Vec2Model(settings)
    except Exception as error:  # what a wrong value leads to depends on where it is first used
        reason = textwrap.shorten(str(error), 150)
        raise CheckpointError(f"{source}: no network can be built from its configuration ({reason})") from error
