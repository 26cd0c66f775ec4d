"""The smallest backbone: what a new file in sls_plugin/models/backbones needs."""

from dataclasses import asdict, dataclass
from itertools import pairwise

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from sls_plugin.models.backbones import Backbone, BackboneConfig, register_backbone


@dataclass
class ToyConfig:
    """The size of the network."""

    n_features: int = 12
    n_layers: int = 2


class ToyLayer(nn.Module):
    """Self-attention and a feed-forward block, each with a residual connection; T x B x C."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(n_features, 2)
        self.feed_forward = nn.Sequential(nn.Linear(n_features, n_features), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return x + self.feed_forward(x)


@register_backbone
class Toy(Backbone):
    """Two convolutions and a few transformer layers."""

    convolutions = ((20, 10), (8, 4))

    def __init__(self, cfg: BackboneConfig) -> None:
        super().__init__(cfg)
        weights = None
        if cfg.w2v_args is None:  # as in the file that --w2v-path names
            checkpoint = torch.load(cfg.w2v_path)
            cfg.w2v_args, weights = asdict(ToyConfig(**checkpoint["config"])), checkpoint["weights"]
        size = ToyConfig(**OmegaConf.create(cfg.w2v_args))
        self.n_features = size.n_features
        channels = pairwise((1, size.n_features, size.n_features))
        convolutions = zip(channels, self.convolutions, strict=True)
        self.convolution = nn.Sequential(*(nn.Conv1d(*ends, kernel, stride) for ends, (kernel, stride) in convolutions))
        self.layers = nn.ModuleList(ToyLayer(size.n_features) for _ in range(size.n_layers))
        self.final_norm = nn.LayerNorm(size.n_features)
        self.front_end = [self.convolution]
        if weights is not None:
            self.load_state_dict(weights)

    def embed(self, source: Tensor) -> Tensor:
        return self.convolution(source.unsqueeze(1)).permute(2, 0, 1)  # B x C x T > T x B x C
