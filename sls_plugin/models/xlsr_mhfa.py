"""XLS-R + multi-head factorised attentive pooling (MHFA): "An Attention-Based Backend Allowing Efficient Fine-Tuning of
Transformer Models for Speaker Verification" (Peng, Plchot, Stafylakis, Mosner, Burget, Cernocky, SLT 2022, arXiv 2210.01273).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from fairseq.models import register_model, register_model_architecture
from torch import Tensor, nn

from protocols import SettingError
from sls_plugin.modules.output_layer import build_output_layer
from sls_plugin.modules.precision import at_least_float32

from .backbones import BackboneDetector, BackboneDetectorConfig, build_backbone

N_COMPRESSED = 128
N_EMBEDDING = 256
MOST_HEADS = 1024


@dataclass
class XLSRMHFAConfig(BackboneDetectorConfig):
    """The size of the pooling."""

    mhfa_heads: int = field(default=32, metadata={"help": "number of attention heads"})


@register_model("xlsr_mhfa", dataclass=XLSRMHFAConfig)
class XLSRMHFA(BackboneDetector):
    """All hidden states of XLS-R > MHFA > output layer. Made for backbones that stay frozen.

    Output: logits, or the cosines of another `output_layer`, B x 2 (spoof, bona fide).
    """

    def __init__(self, cfg: XLSRMHFAConfig) -> None:
        super().__init__()
        self.cfg = cfg
        if not 1 <= cfg.mhfa_heads <= MOST_HEADS:
            raise SettingError(f"--mhfa-heads {cfg.mhfa_heads}: must be from 1 to {MOST_HEADS:,}")
        self.ssl_model = build_backbone(cfg)
        if self.ssl_model.layerdrop > 0:
            raise SettingError("--arch xlsr_mhfa_300m weighs every layer: set --encoder-layerdrop 0")
        self.min_samples = self.ssl_model.min_samples(1)
        self.mhfa = MHFA(self.ssl_model.n_layers + 1, self.ssl_model.n_features, cfg.mhfa_heads)
        self.output = build_output_layer(self.output_layer, N_EMBEDDING)
        self.scale_head_learning_rate()

    def forward(self, source: Tensor) -> Tensor:
        """Outputs (B x 2: spoof, bona fide) of waveforms (B x samples, float, 16 kHz)."""
        self.require_samples(source.shape[1])
        return self.head(self.ssl_model.hidden_states(source))

    def head(self, states: Iterable[Tensor]) -> Tensor:
        """The classifier on top of the backbone's hidden states, each T x B x C."""
        return at_least_float32(self.output(self.mhfa(states)))


class MHFA(nn.Module):
    """Embeddings (B x 256) of all hidden states (each T x B x C): keys say when to listen, values what is heard.

    Both are weighted sums of the hidden states, each with weights of its own.
    """

    def __init__(self, n_states: int, n_features: int, n_heads: int) -> None:
        super().__init__()
        self.weights_k = nn.Parameter(torch.zeros(n_states))
        self.weights_v = nn.Parameter(torch.zeros(n_states))
        self.cmp_linear_k = nn.Linear(n_features, N_COMPRESSED)
        self.cmp_linear_v = nn.Linear(n_features, N_COMPRESSED)
        self.att_head = nn.Linear(N_COMPRESSED, n_heads)
        self.pooling_fc = nn.Linear(n_heads * N_COMPRESSED, N_EMBEDDING)

    def forward(self, states: Iterable[Tensor]) -> Tensor:
        keys, values = (project(x) for project, x in zip((self.cmp_linear_k, self.cmp_linear_v), self._sums(states), strict=True))
        attention = torch.softmax(self.att_head(keys), dim=0)  # T x B x heads
        heads = torch.einsum("tbh,tbc->bhc", attention, values)
        return self.pooling_fc(heads.flatten(1))

    def _sums(self, states: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
        """The weighted sums for keys and for values, T x B x C.

        States are added as they come; half precision is summed in single precision.
        """
        of_keys, of_values = (torch.softmax(at_least_float32(weights), dim=0) for weights in (self.weights_k, self.weights_v))
        keys = values = torch.zeros((), device=of_keys.device)
        for state, of_key, of_value in zip(states, of_keys, of_values, strict=True):
            single = at_least_float32(state)
            keys, values = keys + of_key * single, values + of_value * single
        return keys.to(state.dtype), values.to(state.dtype)


@register_model_architecture("xlsr_mhfa", "xlsr_mhfa_300m")
def xlsr_mhfa_300m(cfg: XLSRMHFAConfig) -> None:
    """32 heads; the backbone's size comes from the checkpoint that `--w2v-path` names."""
