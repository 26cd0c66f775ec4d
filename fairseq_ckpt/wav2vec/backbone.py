"""fairseq's wav2vec 2.0 network from the configuration in a checkpoint."""

import textwrap
import warnings
from pathlib import Path
from typing import Any

from fairseq.dataclass.utils import merge_with_parent
from fairseq.models.wav2vec import Wav2Vec2Config, Wav2Vec2Model
from omegaconf import OmegaConf

from fairseq_ckpt.errors import CheckpointError
from fairseq_ckpt.settings import plain_settings

from .spec import parse_conv_layers

# No published network comes near these. The largest XLS-R has 48 layers of 1,920 features.
MAX_DEPTH = {"encoder_layers": 100, "pos_conv_depth": 100, "quantizer_depth": 100, "adp_num": 100}
MAX_SIZE = 100_000


def build_backbone(config: dict[str, Any], source: str | Path) -> Wav2Vec2Model:
    """The network that `cfg.model` of a checkpoint describes, with fresh weights; settings unknown to fairseq are left out.

    Raises CheckpointError, naming `source`, when the configuration holds code, is too large or describes no network.

    >>> from fairseq_ckpt.wav2vec.random_backbone import TINY
    >>> len(build_backbone(TINY, "an example").encoder.layers)
    4
    """
    config = plain_settings(config, source)
    if "conv_feature_layers" in config and config["conv_feature_layers"] is not None:
        parse_conv_layers(config["conv_feature_layers"], source)  # fairseq evaluates it as Python
    _require_sane_sizes(config, source)
    try:
        if isinstance(config.get("latent_temp"), str):  # some files hold the three numbers as text
            config["latent_temp"] = [float(number) for number in config["latent_temp"].strip("()[] ").split(",")]
        settings = merge_with_parent(Wav2Vec2Config(), OmegaConf.create(config), remove_missing=True)
        with warnings.catch_warnings():  # torch's old weight_norm gives the tensors the names of the published files
            warnings.filterwarnings("ignore", message=".*weight_norm.*", category=FutureWarning)
            return Wav2Vec2Model(settings)
    except Exception as error:  # what a wrong value leads to depends on where it is first used
        reason = textwrap.shorten(str(error), 150)
        raise CheckpointError(f"{source}: no network can be built from its configuration ({reason})") from error


def _require_sane_sizes(config: dict[str, Any], source: str | Path) -> None:
    """Raises CheckpointError when a setting would take all memory, or all time."""
    for name, value in config.items():
        if name not in Wav2Vec2Config.__dataclass_fields__:
            continue
        largest = MAX_DEPTH.get(name, MAX_SIZE)
        number = value.strip() if isinstance(value, str) else value  # OmegaConf takes "24" for a number
        if isinstance(number, str) and number.lstrip("+-").isdecimal():
            number = int(number[:20])
        if isinstance(number, (int, float)) and abs(number) > largest:
            raise CheckpointError(f"{source}: {name} is {value}, more than any published network has: do not trust this file")
