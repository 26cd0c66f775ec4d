"""wav2vec 2.0 and XLS-R of any size: names and shapes of fairseq's tensors, and the settings that follow from them.

Baevski et al., "wav2vec 2.0" (NeurIPS 2020); Babu et al., "XLS-R" (Interspeech 2022).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fairseq_ckpt.errors import CheckpointError
from fairseq_ckpt.shapes import Shapes, count_indices, dim_of, strip_prefix, weight_and_bias

# The published configuration of XLS-R 300M, where it differs from fairseq's defaults.
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
# The task of pre-training, as far as it describes the input.
PRETRAINING_TASK = {"_name": "audio_pretraining", "data": "", "sample_rate": 16_000, "normalize": True}

KERNELS = (10, 3, 3, 3, 3, 2, 2)  # of the convolutions, in every published model, and of a file that lacks some of them
STRIDES = (5, 2, 2, 2, 2, 2, 2)  # of the same; shapes do not show them
# Nor do they show the number of attention heads. By width: base, large and 300M, 1B, 2B.
HEADS = {768: 12, 1024: 16, 1280: 16, 1920: 16}

# Parts that only pre-training uses. Every published detector keeps them.
PRETRAINING_ONLY = ("mask_emb", "quantizer", "project_q", "final_proj")
DETECTOR_PREFIX = "ssl_model.model."  # of the backbone's tensors in a detector
PRETRAINING_TENSORS = rf"{re.escape(DETECTOR_PREFIX)}({'|'.join(PRETRAINING_ONLY)})\b"  # pattern of their names in a detector

# The settings that make a network large.
SIZES = ("encoder_layers", "encoder_embed_dim", "encoder_ffn_embed_dim", "conv_pos", "final_dim")
QUANTIZER_SIZES = ("latent_vars", "latent_groups", "latent_dim")

# What fairseq may evaluate as Python: sums of short lists of (channels, kernel, stride), each repeated at most 99 times.
_CONV_LAYER = r"\([0-9]{1,5},[0-9]{1,4},[0-9]{1,4}\)"
_CONV_LAYER_LIST = re.compile(rf"\[({_CONV_LAYER}(?:,{_CONV_LAYER})*),?\](?:\*([1-9][0-9]?))?")
_MAX_CONV_TEXT = 1000  # characters


@dataclass(frozen=True)
class Wav2VecSpec:
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
    def from_shapes(cls, shapes: Shapes) -> "Wav2VecSpec":
        """The sizes that tensors show, by fairseq's names; where tensors are missing, those of XLS-R 300M.

        >>> spec = Wav2VecSpec.from_shapes({"encoder.layer_norm.weight": (768,), "encoder.layers.11.fc1.weight": (3072, 768)})
        >>> spec.n_features, spec.n_layers, spec.min_samples(n_frames=1)
        (768, 1, 400)
        """
        n_features = dim_of(shapes, "encoder.layer_norm.weight", 0, 1024)
        code_size = dim_of(shapes, "quantizer.vars", 2, 384)
        front_end = "feature_extractor.conv_layers"
        layers = [(f"{front_end}.{number}.0.weight", kernel) for number, kernel in enumerate(KERNELS)]
        return cls(
            convolutions=tuple((dim_of(shapes, name, 0, 512), dim_of(shapes, name, 2, kernel)) for name, kernel in layers),
            conv_bias=any(f"{front_end}.{number}.0.bias" in shapes for number in range(len(KERNELS))),
            conv_layer_norm=f"{front_end}.0.2.weight" not in shapes,
            n_layers=count_indices(shapes, r"encoder\.layers\.(\d+)\.", 24),
            n_features=n_features,
            n_inner=dim_of(shapes, "encoder.layers.0.fc1.weight", 0, 4 * n_features),
            position_kernel=dim_of(shapes, "encoder.pos_conv.0.weight_v", 2, 128),
            position_groups=n_features // max(dim_of(shapes, "encoder.pos_conv.0.weight_v", 1, n_features // 16), 1),
            n_codes=dim_of(shapes, "quantizer.vars", 1, 640),
            code_groups=dim_of(shapes, "project_q.weight", 1, 768) // max(code_size, 1),
            code_size=code_size,
            n_targets=dim_of(shapes, "final_proj.weight", 0, 768),
        )

    @property
    def n_channels(self) -> int:
        return self.convolutions[-1][0]

    def tensors(self) -> Shapes:
        """Names and shapes of the whole network with its pre-training parts, as `xlsr2_300m.pt` has them."""
        n_features = self.n_features
        shapes: Shapes = {"mask_emb": (n_features,)} | self._front_end()
        if self.n_channels != n_features:
            shapes |= weight_and_bias("post_extract_proj", n_features, self.n_channels)
        shapes |= {
            "encoder.pos_conv.0.bias": (n_features,),
            "encoder.pos_conv.0.weight_g": (1, 1, self.position_kernel),
            "encoder.pos_conv.0.weight_v": (n_features, n_features // max(self.position_groups, 1), self.position_kernel),
        }
        for number in range(self.n_layers):
            shapes |= self._layer(f"encoder.layers.{number}")
        shapes |= weight_and_bias("encoder.layer_norm", n_features) | weight_and_bias("layer_norm", self.n_channels)
        shapes |= {"quantizer.vars": (1, self.n_codes, self.code_size)}
        shapes |= weight_and_bias("quantizer.weight_proj", self.n_codes, self.n_channels)
        shapes |= weight_and_bias("project_q", self.n_targets, self.code_groups * self.code_size)
        return shapes | weight_and_bias("final_proj", self.n_targets, n_features)

    def _front_end(self) -> Shapes:
        shapes: Shapes = {}
        n_in = 1
        for number, (n_out, kernel) in enumerate(self.convolutions):
            name = f"feature_extractor.conv_layers.{number}"
            shapes |= weight_and_bias(f"{name}.0", n_out, n_in, kernel)
            if not self.conv_bias:
                del shapes[f"{name}.0.bias"]
            if self.conv_layer_norm:
                shapes |= weight_and_bias(f"{name}.2.1", n_out)
            elif number == 0:
                shapes |= weight_and_bias(f"{name}.2", n_out)
            n_in = n_out
        return shapes

    def _layer(self, name: str) -> Shapes:
        n_features, shapes = self.n_features, {}
        for projection in ("k_proj", "v_proj", "q_proj", "out_proj"):
            shapes |= weight_and_bias(f"{name}.self_attn.{projection}", n_features, n_features)
        for norm in ("self_attn_layer_norm", "final_layer_norm"):
            shapes |= weight_and_bias(f"{name}.{norm}", n_features)
        shapes |= weight_and_bias(f"{name}.fc1", self.n_inner, n_features)
        return shapes | weight_and_bias(f"{name}.fc2", n_features, self.n_inner)

    def to_fairseq_config(self) -> dict[str, Any]:
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
        """fairseq's whole `cfg.model`; what shapes do not show is as published for XLS-R 300M.

        Raises CheckpointError, naming `source`, for a width that no published model has: its attention heads are unknown.
        """
        if self.n_features not in HEADS:
            raise CheckpointError(
                f"{source}: {self.n_features} features: no published model is as wide, so that its number of attention heads "
                "is unknown: give a checkpoint with its configuration"
            )
        return XLSR_300M | self.to_fairseq_config() | {"encoder_attention_heads": HEADS[self.n_features]}

    def min_samples(self, n_frames: int) -> int:
        """The fewest samples of which the convolutions make `n_frames`."""
        return min_samples(((kernel, stride) for (_, kernel), stride in zip(self.convolutions, STRIDES, strict=True)), n_frames)


def min_samples(convolutions: Iterable[tuple[int, int]], n_frames: int) -> int:
    """The fewest samples of which convolutions, each a (kernel, stride), make `n_frames`.

    >>> min_samples([(10, 5), (3, 2)], n_frames=2)
    30
    """
    for kernel, stride in reversed(list(convolutions)):
        n_frames = (n_frames - 1) * stride + kernel
    return n_frames


def backbone_settings(shapes: Shapes, source: object) -> dict[str, Any]:
    """The setting `w2v_args` of a detector whose backbone has tensors of these shapes; raises CheckpointError as `config`."""
    return {"w2v_args": Wav2VecSpec.from_shapes(strip_prefix(DETECTOR_PREFIX, shapes)).config(source)}


def parse_conv_layers(text: Any, source: object) -> list[tuple[int, int, int]]:
    """The (channels, kernel, stride) of each convolution, from fairseq's setting `conv_feature_layers`.

    Raises CheckpointError, naming `source`, for anything but a sum of lists of numbers: fairseq evaluates it as Python.

    >>> parse_conv_layers("[(512, 10, 5)] + [(512, 3, 2)] * 2", "a.pt")
    [(512, 10, 5), (512, 3, 2), (512, 3, 2)]
    """
    terms = re.sub(r"\s", "", text).split("+") if isinstance(text, str) and len(text) <= _MAX_CONV_TEXT else [""]
    matches = [_CONV_LAYER_LIST.fullmatch(term) for term in terms]
    if not all(matches):
        raise CheckpointError(f"{source}: conv_feature_layers is not a sum of lists of numbers: do not trust this file")
    layers = []
    for match in matches:
        numbers = [int(number) for number in re.findall(r"\d+", match[1])]
        layers += [*zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)] * int(match[2] or 1)
    return layers


def require_matching_sizes(config: Mapping[str, Any], shapes: Shapes, source: object) -> None:
    """Raises CheckpointError, naming `source`, when `cfg.model` asks for a larger network than the tensors make.

    Building it would take the memory before its tensors could be compared. In these settings 0 stands for a default.
    """
    shown = Wav2VecSpec.from_shapes(shapes).to_fairseq_config()
    quantizes = config.get("quantize_targets") or config.get("quantize_input")
    for name in SIZES + (QUANTIZER_SIZES if quantizes else ()):
        value = config.get(name, 0)
        if not (isinstance(value, int) and value <= shown[name]):
            found = f"no encoder.layers.{shown[name]}" if name == "encoder_layers" else f"only {shown[name]}"
            raise CheckpointError(f"{source}: tensors do not fit its own configuration ({name} is {value!r}, they have {found})")
    if config.get("conv_feature_layers") is None:
        return
    for number, (channels, kernel, _) in enumerate(parse_conv_layers(config["conv_feature_layers"], source)):
        shape = shapes.get(f"feature_extractor.conv_layers.{number}.0.weight", ())
        if (*shape[:1], *shape[2:]) != (channels, kernel):
            reason = f"convolution {number} is to have {channels} channels and a kernel of {kernel}"
            raise CheckpointError(f"{source}: tensors do not fit its own configuration ({reason})")
