"""wav2vec 2.0 and XLS-R of any size: names and shapes of fairseq's tensors, and the settings that follow from them.

Baevski et al., "wav2vec 2.0" (NeurIPS 2020); Babu et al., "XLS-R" (Interspeech 2022).
"""

from dataclasses import dataclass
from typing import Any

from .errors import CheckpointError
from .presets import XLSR_300M
from .shapes import Shapes, affine, count, size

KERNELS = (10, 3, 3, 3, 3, 2, 2)  # of the convolutions, in every published model, and of a file that lacks some of them
STRIDES = (5, 2, 2, 2, 2, 2, 2)  # of the same; shapes do not show them
# Nor do they show the number of attention heads: that of the published models by width (base, large and 300M, 1B, 2B).
HEADS = {768: 12, 1024: 16, 1280: 16, 1920: 16}
# Only pre-training uses these; every published detector carries them along.
PRETRAINING_ONLY = ("mask_emb", "quantizer.", "project_q.", "final_proj.")


@dataclass(frozen=True)
class Wav2Vec:
    """The sizes of a pre-trained wav2vec 2.0 network."""

    convolutions: tuple[tuple[int, int], ...]  # channels and kernel of each
    conv_bias: bool
    conv_layer_norm: bool  # a layer norm behind each convolution (XLS-R, large) or a group norm behind the first (base)
    n_layers: int
    n_features: int
    n_inner: int
    position_kernel: int
    position_groups: int
    n_codes: int
    code_groups: int
    code_size: int
    n_targets: int

    @classmethod
    def of(cls, shapes: Shapes) -> "Wav2Vec":
        """The sizes that tensors show, by fairseq's names."""
        n_features = size(shapes, "encoder.layer_norm.weight", 0, 1024)
        code_size = size(shapes, "quantizer.vars", 2, 384)
        front_end = "feature_extractor.conv_layers"
        layers = [(f"{front_end}.{number}.0.weight", kernel) for number, kernel in enumerate(KERNELS)]
        return cls(
            convolutions=tuple((size(shapes, name, 0, 512), size(shapes, name, 2, kernel)) for name, kernel in layers),
            conv_bias=any(f"{front_end}.{number}.0.bias" in shapes for number in range(len(KERNELS))),
            conv_layer_norm=f"{front_end}.0.2.weight" not in shapes,
            n_layers=count(shapes, r"encoder\.layers\.(\d+)\.", 24),
            n_features=n_features,
            n_inner=size(shapes, "encoder.layers.0.fc1.weight", 0, 4 * n_features),
            position_kernel=size(shapes, "encoder.pos_conv.0.weight_v", 2, 128),
            position_groups=n_features // max(size(shapes, "encoder.pos_conv.0.weight_v", 1, n_features // 16), 1),
            n_codes=size(shapes, "quantizer.vars", 1, 640),
            code_groups=size(shapes, "project_q.weight", 1, 768) // max(code_size, 1),
            code_size=code_size,
            n_targets=size(shapes, "final_proj.weight", 0, 768),
        )

    @property
    def n_channels(self) -> int:
        return self.convolutions[-1][0]

    def tensors(self) -> Shapes:
        """Names and shapes of the whole network with its pre-training parts, as `xlsr2_300m.pt` has them."""
        n_features = self.n_features
        shapes: Shapes = {"mask_emb": (n_features,)} | self._front_end()
        if self.n_channels != n_features:
            shapes |= affine("post_extract_proj", n_features, self.n_channels)
        shapes |= {
            "encoder.pos_conv.0.bias": (n_features,),
            "encoder.pos_conv.0.weight_g": (1, 1, self.position_kernel),
            "encoder.pos_conv.0.weight_v": (n_features, n_features // max(self.position_groups, 1), self.position_kernel),
        }
        for number in range(self.n_layers):
            shapes |= self._layer(f"encoder.layers.{number}")
        shapes |= affine("encoder.layer_norm", n_features) | affine("layer_norm", self.n_channels)
        shapes |= {"quantizer.vars": (1, self.n_codes, self.code_size)}
        shapes |= affine("quantizer.weight_proj", self.n_codes, self.n_channels)
        shapes |= affine("project_q", self.n_targets, self.code_groups * self.code_size)
        return shapes | affine("final_proj", self.n_targets, n_features)

    def _front_end(self) -> Shapes:
        shapes: Shapes = {}
        n_in = 1
        for number, (n_out, kernel) in enumerate(self.convolutions):
            name = f"feature_extractor.conv_layers.{number}"
            shapes |= affine(f"{name}.0", n_out, n_in, kernel)
            if not self.conv_bias:
                del shapes[f"{name}.0.bias"]
            if self.conv_layer_norm:
                shapes |= affine(f"{name}.2.1", n_out)
            elif number == 0:
                shapes |= affine(f"{name}.2", n_out)
            n_in = n_out
        return shapes

    def _layer(self, name: str) -> Shapes:
        n_features, shapes = self.n_features, {}
        for projection in ("k_proj", "v_proj", "q_proj", "out_proj"):
            shapes |= affine(f"{name}.self_attn.{projection}", n_features, n_features)
        shapes |= affine(f"{name}.self_attn_layer_norm", n_features) | affine(f"{name}.final_layer_norm", n_features)
        return shapes | affine(f"{name}.fc1", self.n_inner, n_features) | affine(f"{name}.fc2", n_features, self.n_inner)

    def shown(self) -> dict[str, Any]:
        """The settings of fairseq's `cfg.model` that shapes show."""
        layers = [(channels, kernel, stride) for (channels, kernel), stride in zip(self.convolutions, STRIDES, strict=True)]
        return {
            "extractor_mode": "layer_norm" if self.conv_layer_norm else "default",
            "layer_norm_first": self.conv_layer_norm,  # the two go together in every published model
            "conv_bias": self.conv_bias,
            "conv_feature_layers": str(layers),
            "encoder_layers": self.n_layers,
            "encoder_embed_dim": self.n_features,
            "encoder_ffn_embed_dim": self.n_inner,
            "conv_pos": self.position_kernel,
            "conv_pos_groups": self.position_groups,
            "final_dim": self.n_targets,
            "latent_vars": self.n_codes // max(self.code_groups, 1),
            "latent_groups": self.code_groups,
            "latent_dim": self.code_groups * self.code_size,
        }

    def config(self, source: object) -> dict[str, Any]:
        """fairseq's `cfg.model` of such a network; what shapes cannot tell is as published for XLS-R 300M.

        Raises CheckpointError, naming `source`, for a width that no published model has: its attention heads are unknown.
        """
        if self.n_features not in HEADS:
            raise CheckpointError(
                f"{source}: {self.n_features} features: no published model is as wide, so that its number of attention heads "
                "is unknown: give a checkpoint with its configuration"
            )
        return XLSR_300M | self.shown() | {"encoder_attention_heads": HEADS[self.n_features]}

    def fewest_samples(self, n_frames: int) -> int:
        """The fewest samples of which the convolutions make `n_frames`."""
        for (_, kernel), stride in reversed(list(zip(self.convolutions, STRIDES, strict=True))):
            n_frames = (n_frames - 1) * stride + kernel
        return n_frames
