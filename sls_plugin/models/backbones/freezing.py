"""Freezing: which parts of a backbone stay as pre-trained, and until when; adapters are trained in their place."""

from collections.abc import Sequence

from torch import nn

from protocols import SettingError
from sls_plugin.modules.lora import adapters
from sls_plugin.optim.l2_adam import set_parameter_options

from .config import BackboneConfig


class Freezable(nn.Module):
    """A pre-trained network that can be frozen: all of it, all parts below a layer, or all of it for the first updates.

    Frozen parts stay in evaluation mode, without dropout. With adapters all parts are frozen but these.
    """

    layers: Sequence[nn.Module]  # from the lowest on
    front_end: Sequence[nn.Module]  # all that comes before the layers

    def __init__(self, cfg: BackboneConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.num_updates = 0
        self.frozen: list[nn.Module] = []

    def freeze(self) -> None:
        """Freeze what the settings say; called once the network is built."""
        cfg, n_layers = self.cfg, len(self.layers)
        if not 0 <= cfg.freeze_below_layer <= n_layers:
            raise SettingError(f"--freeze-below-layer {cfg.freeze_below_layer}: the backbone has {n_layers} layers")
        if cfg.freeze_backbone_updates < 0:
            raise SettingError(f"--freeze-backbone-updates {cfg.freeze_backbone_updates}: must be >= 0")
        if cfg.lora_rank and (cfg.freeze_backbone or cfg.freeze_below_layer):
            raise SettingError("--lora-rank freezes the backbone itself: leave out --freeze-backbone and --freeze-below-layer")
        if cfg.freeze_backbone or cfg.lora_rank:
            self.frozen += self.children()
        elif cfg.freeze_below_layer:
            self.frozen += [*self.front_end, *self.layers[: cfg.freeze_below_layer]]
        for part in self.frozen:
            part.requires_grad_(False)
        for adapter in adapters(self):
            adapter.requires_grad_(True)
        if cfg.freeze_backbone_updates:  # the optimiser counts updates, and skips these parameters at first
            set_parameter_options(self.parameters(), frozen_updates=cfg.freeze_backbone_updates)

    @property
    def is_trained(self) -> bool:
        """Whether the current update trains any part of the network."""
        return not self.cfg.freeze_backbone and self.num_updates >= self.cfg.freeze_backbone_updates

    def set_num_updates(self, num_updates: int) -> None:
        """fairseq calls it after every update."""
        self.num_updates = num_updates
        self.train(self.training)

    def train(self, mode: bool = True) -> "Freezable":
        super().train(mode)
        for part in self.frozen if self.is_trained else self.children():
            part.eval()
        return self
