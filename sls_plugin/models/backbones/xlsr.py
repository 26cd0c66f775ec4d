"""XLS-R and wav2vec 2.0: fairseq's own network with every transformer layer tapped.

Baevski et al., "wav2vec 2.0" (NeurIPS 2020); Babu et al., "XLS-R" (Interspeech 2022).
"""

from collections.abc import Iterator, Sequence
from typing import Any

from fairseq.modules import GradMultiply, gelu
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.errors import first_misfit
from fairseq_ckpt.pretrained import read_xlsr
from fairseq_ckpt.wav2vec.backbone import build_backbone as build_network
from fairseq_ckpt.wav2vec.spec import PRETRAINING_ONLY
from protocols import SettingError
from sls_plugin.modules.frame_convolutions import FrameConvolutions
from sls_plugin.modules.packed_weights import PackedLinear, PackedSelfAttention

from .backbone import Backbone
from .config import BackboneConfig
from .registry import register_backbone

# fairseq's network computes something else with other values of these settings; no detector was published with them.
REQUIRED_SETTINGS = {"layer_type": "transformer", "quantize_input": False, "crop_seq_to_multiple": 1}
OVERRIDES = ("dropout", "attention_dropout", "activation_dropout", "dropout_input", "encoder_layerdrop")


@register_backbone
class XLSR(Backbone):
    """fairseq's Wav2Vec2Model; tensor names `model.*`, as in the published detectors."""

    def __init__(self, cfg: BackboneConfig) -> None:
        super().__init__(cfg)
        weights = None
        if cfg.w2v_args is None:
            if cfg.w2v_path is None:
                raise SettingError("--w2v-path is missing: name a pre-trained XLS-R checkpoint, such as xlsr2_300m.pt")
            pretrained = read_xlsr(cfg.w2v_path)
            cfg.w2v_args, weights = pretrained.config, pretrained.weights
        source = cfg.w2v_path or "the checkpoint's w2v_args"
        self.model = build_network(_with_overrides(cfg), source)
        for name, required in REQUIRED_SETTINGS.items():
            if (value := self.model.cfg[name]) != required:
                raise CheckpointError(
                    f"{source}: its {name} is {value}: give a wav2vec 2.0 or XLS-R network, with {name} {required}"
                )
        self._use_fast_modules()
        if weights is not None:
            self._load(weights)
        for name, parameter in self.model.named_parameters():
            if name.startswith(PRETRAINING_ONLY):  # kept in every detector's checkpoint, as in the published ones
                parameter.requires_grad_(False)
        if self.model.feature_grad_mult == 0:
            self.frozen = [self.model.feature_extractor]

    def _use_fast_modules(self) -> None:
        """Replace parts of fairseq's network by faster ones that compute the same; tensors keep their names."""
        if self.model.cfg.extractor_mode == "layer_norm":
            self.model.feature_extractor = FrameConvolutions(self.model.feature_extractor.conv_layers)
        for layer in self.layers:
            if layer.activation_fn is gelu:  # fairseq's makes a copy in single precision, torch's does not
                layer.activation_fn = F.gelu

    def _load(self, weights: dict[str, Tensor]) -> None:
        try:
            self.model.load_state_dict(weights, strict=True)
        except RuntimeError as error:
            reason = first_misfit(error)
            raise CheckpointError(f"{self.cfg.w2v_path}: tensors do not fit its own configuration ({reason})") from None

    def attention_projections(self) -> Iterator[nn.Linear]:
        for layer in self.layers:
            yield layer.self_attn.q_proj
            yield layer.self_attn.v_proj

    def pack_weights(self) -> None:
        for layer in self.layers:
            layer.self_attn = PackedSelfAttention(layer.self_attn)
            layer.fc1, layer.fc2 = (PackedLinear(linear.weight, linear.bias) for linear in (layer.fc1, layer.fc2))
        if isinstance(self.model.feature_extractor, FrameConvolutions):
            self.model.feature_extractor.pack_weights()

    @property
    def n_features(self) -> int:
        return self.model.encoder.embedding_dim

    @property
    def layers(self) -> nn.ModuleList:
        return self.model.encoder.layers

    @property
    def layerdrop(self) -> float:
        return self.model.encoder.layerdrop

    @property
    def convolutions(self) -> Sequence[tuple[int, int]]:
        blocks = self.model.feature_extractor.conv_layers
        return [(block[0].kernel_size[0], block[0].stride[0]) for block in blocks]

    @property
    def front_end(self) -> Sequence[nn.Module]:
        model, encoder = self.model, self.model.encoder
        parts = [model.feature_extractor, model.layer_norm, model.post_extract_proj, model.dropout_input, encoder.pos_conv]
        if not encoder.layer_norm_first:
            parts.append(encoder.layer_norm)
        return [part for part in parts if part is not None]

    @property
    def final_norm(self) -> nn.Module:
        encoder = self.model.encoder
        return encoder.layer_norm if encoder.layer_norm_first else nn.Identity()  # else it comes before the layers

    def embed(self, source: Tensor) -> Tensor:
        model, encoder = self.model, self.model.encoder
        x = model.feature_extractor(source)  # B x C x T
        if model.feature_grad_mult != 1.0:
            x = GradMultiply.apply(x, model.feature_grad_mult)
        x = model.layer_norm(x.transpose(1, 2))  # B x T x C
        if model.post_extract_proj is not None:
            x = model.post_extract_proj(x)
        x = model.dropout_input(x)
        x = x + encoder.pos_conv(x.transpose(1, 2)).transpose(1, 2)
        if not encoder.layer_norm_first:
            x = encoder.layer_norm(x)
        return F.dropout(x, encoder.dropout, encoder.pos_conv.training).transpose(0, 1)  # T x B x C

    def run_layer(self, layer: nn.Module, x: Tensor) -> Tensor:
        x, _ = layer(x)
        return x


def _with_overrides(cfg: BackboneConfig) -> dict[str, Any]:
    """The network's configuration with the dropout rates that the settings override."""
    overrides = {name: getattr(cfg, name) for name in OVERRIDES if getattr(cfg, name) is not None}
    # fairseq's own activation checkpointing gives a layer no gradients if those below it are frozen.
    overrides["checkpoint_activations"] = False
    return OmegaConf.to_container(OmegaConf.create(cfg.w2v_args)) | overrides
