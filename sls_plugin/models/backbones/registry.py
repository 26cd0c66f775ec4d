"""The backbones by name."""

from protocols import SettingError
from sls_plugin.modules.lora import add_adapter

from .backbone import Backbone
from .config import BackboneConfig

BACKBONES: dict[str, type[Backbone]] = {}


def register_backbone(backbone: type[Backbone]) -> type[Backbone]:
    """Class decorator: makes a backbone available as `--backbone NAME`, where NAME is the name of its file."""
    BACKBONES[backbone.__module__.rpartition(".")[2]] = backbone
    return backbone


def build_backbone(cfg: BackboneConfig) -> Backbone:
    """The backbone that the settings describe, with their adapters, frozen as they say, with the weights of `w2v_path`.

    With `w2v_args`, as in a detector's checkpoint, it is built from these alone, with random weights.
    """
    name = cfg.get("backbone", "xlsr")  # checkpoints of version 0.3 do not have this setting
    if name not in BACKBONES:
        raise SettingError(f"--backbone {name}: no such backbone: choose from {', '.join(sorted(BACKBONES))}")
    backbone = BACKBONES[name](cfg)
    if cfg.lora_rank:
        for linear in backbone.attention_projections():
            add_adapter(linear, cfg.lora_rank)
    backbone.freeze()
    return backbone.train()
