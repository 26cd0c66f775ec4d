"""The self-supervised backbone that all XLS-R detectors share."""

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Optional

import numpy as np
import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.modules import GradMultiply, gelu
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.pretrained import read_xlsr
from fairseq_ckpt.wav2vec.backbone import build_backbone
from protocols import SettingError
from sls_plugin.modules.frame_convolutions import FrameConvolutions
from sls_plugin.modules.packed_weights import PackedLinear, PackedSelfAttention

# Only pre-training uses these. They stay in every detector's checkpoint, as in the published ones, and are never trained.
PRETRAINING_ONLY = ("mask_emb", "quantizer", "project_q", "final_proj")
# Settings of fairseq's with which its networks compute in a way that no detector has been published with.
USUAL = {"layer_type": "transformer", "quantize_input": False, "crop_seq_to_multiple": 1}
OVERRIDES = ("dropout", "attention_dropout", "activation_dropout", "dropout_input", "encoder_layerdrop")


@dataclass
class XLSRConfig(FairseqDataclass):
    w2v_path: Optional[str] = field(
        default=None, metadata={"help": "pre-trained XLS-R or wav2vec 2.0 checkpoint of fairseq, such as xlsr2_300m.pt"}
    )
    w2v_args: Any = field(
        default=None, metadata={"help": "the backbone's configuration; training fills it in, so that scoring needs no --w2v-path"}
    )
    normalize: bool = field(
        default=False,
        metadata={"help": "scale each clip to zero mean and unit variance, as pre-training did and the SLS authors do not"},
    )
    dropout: Optional[float] = field(default=None, metadata={"help": "dropout of the backbone; by default the checkpoint's"})
    attention_dropout: Optional[float] = field(default=None, metadata={"help": "likewise, after the attention's softmax"})
    activation_dropout: Optional[float] = field(default=None, metadata={"help": "likewise, inside the feed-forward blocks"})
    dropout_input: Optional[float] = field(default=None, metadata={"help": "likewise, on the projected features"})
    encoder_layerdrop: Optional[float] = field(
        default=None,
        metadata={"help": "chance to skip a layer in training (several GPUs also need --find-unused-parameters)"},
    )
    freeze_backbone: bool = field(default=False, metadata={"help": "train the head alone"})
    freeze_backbone_updates: int = field(
        default=0,
        metadata={
            "help": "train the head alone for the first N updates (with --optimizer l2_adam; several GPUs also need "
            "--find-unused-parameters)"
        },
    )
    freeze_below_layer: int = field(
        default=0, metadata={"help": "keep transformer layers 0 to K-1 and all that comes before them as pre-trained"}
    )
    checkpoint_activations: bool = field(
        default=False,
        metadata={"help": "train in less memory and a third more time: each layer is computed again for its gradients"},
    )
    head_lr_scale: float = field(
        default=1.0, metadata={"help": "the head's learning rate, as a multiple of --lr (with --optimizer l2_adam)"}
    )


class XLSR(nn.Module):
    """fairseq's own Wav2Vec2Model with every transformer layer tapped; tensor names `model.*`."""

    def __init__(self, cfg: XLSRConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.num_updates = 0
        pretrained = None
        if cfg.w2v_args is None:
            if cfg.w2v_path is None:
                raise CheckpointError("--w2v-path is missing: name a pre-trained XLS-R checkpoint, such as xlsr2_300m.pt")
            pretrained = read_xlsr(cfg.w2v_path)
            cfg.w2v_args = pretrained.config
        overrides = {name: getattr(cfg, name) for name in OVERRIDES if getattr(cfg, name) is not None}
        # fairseq's own way to compute activations again gives a layer no gradients if those below are frozen.
        overrides["checkpoint_activations"] = False
        config = OmegaConf.to_container(OmegaConf.create(cfg.w2v_args)) | overrides
        source = cfg.w2v_path or "the checkpoint's w2v_args"
        self.model = build_backbone(config, source)
        for name, usual in USUAL.items():
            if (value := self.model.cfg[name]) != usual:
                raise CheckpointError(
                    f"{source}: its {name} is {value}: give a wav2vec 2.0 or XLS-R network, with {name} {usual}"
                )
        self._quicken()
        if pretrained is not None:
            self._load(pretrained.weights)
        self.frozen: list[nn.Module] = []
        self._freeze()
        self.train()

    def _load(self, weights: dict[str, Tensor]) -> None:
        try:
            self.model.load_state_dict(weights, strict=True)
        except RuntimeError as error:
            first = textwrap.shorten(str(error).splitlines()[1], 150)
            raise CheckpointError(f"{self.cfg.w2v_path}: tensors do not fit its own configuration ({first})") from None

    def _quicken(self) -> None:
        """Put parts that compute the same in less time in the place of fairseq's; tensors keep their names."""
        if self.model.cfg.extractor_mode == "layer_norm":
            self.model.feature_extractor = FrameConvolutions(self.model.feature_extractor.conv_layers)
        for layer in self.layers:
            if layer.activation_fn is gelu:  # fairseq's makes a copy in single precision, which torch's does without
                layer.activation_fn = F.gelu

    def pack_weights(self) -> None:
        """Make ready to score on a CPU, and for that alone."""
        for layer in self.layers:
            layer.self_attn = PackedSelfAttention(layer.self_attn)
            layer.fc1, layer.fc2 = (PackedLinear(linear.weight, linear.bias) for linear in (layer.fc1, layer.fc2))

    def _freeze(self) -> None:
        """Parameters that no update may touch; those of a frozen start are left to the optimiser, which counts updates."""
        for name in PRETRAINING_ONLY:
            if (part := getattr(self.model, name, None)) is not None:
                part.requires_grad_(False)
        n_layers = len(self.layers)
        if not 0 <= self.cfg.freeze_below_layer <= n_layers:
            raise SettingError(f"--freeze-below-layer {self.cfg.freeze_below_layer}: the backbone has {n_layers} layers")
        if self.cfg.freeze_backbone_updates < 0:
            raise SettingError(f"--freeze-backbone-updates {self.cfg.freeze_backbone_updates}: give a number from 0 on")
        model, encoder = self.model, self.model.encoder
        if self.cfg.freeze_backbone:
            self.frozen = [model]
        elif self.cfg.freeze_below_layer:
            entering = [model.feature_extractor, model.layer_norm, model.post_extract_proj, model.dropout_input, encoder.pos_conv]
            self.frozen = [part for part in entering if part is not None] + [*self.layers[: self.cfg.freeze_below_layer]]
            if not encoder.layer_norm_first:  # then it comes before the layers
                self.frozen.append(encoder.layer_norm)
        elif model.feature_grad_mult == 0:
            self.frozen = [model.feature_extractor]
        for part in self.frozen:
            part.requires_grad_(False)
        if self.cfg.freeze_backbone_updates:
            for parameter in self.model.parameters():
                parameter.optim_overrides = {"optimizer": {"frozen_updates": self.cfg.freeze_backbone_updates}}

    def freeze_final_norm(self) -> None:
        """Keep the norm behind the last layer as pre-trained; a backbone with norms behind its blocks has none there."""
        if self.model.encoder.layer_norm_first:
            self.model.encoder.layer_norm.requires_grad_(False)

    @property
    def layers(self) -> nn.ModuleList:
        return self.model.encoder.layers

    @property
    def n_features(self) -> int:
        return self.model.encoder.embedding_dim

    def n_frames(self, n_samples: int) -> int:
        """Frames that the convolutional front-end makes of `n_samples`."""
        for kernel, stride in self._convolutions():
            n_samples = (n_samples - kernel) // stride + 1
        return n_samples

    def n_samples(self, n_frames: int) -> int:
        """The fewest samples that give `n_frames`."""
        for kernel, stride in reversed(self._convolutions()):
            n_frames = (n_frames - 1) * stride + kernel
        return n_frames

    def _convolutions(self) -> list[tuple[int, int]]:
        blocks = self.model.feature_extractor.conv_layers
        return [(block[0].kernel_size[0], block[0].stride[0]) for block in blocks]

    def set_num_updates(self, num_updates: int) -> None:
        self.num_updates = num_updates
        self.train(self.training)

    def train(self, mode: bool = True) -> "XLSR":
        """As for every module, but parts that are not trained stay in evaluation mode: no dropout acts in them."""
        super().train(mode)
        for part in self.frozen if self._is_trained else [self.model]:
            part.eval()
        return self

    @property
    def _is_trained(self) -> bool:
        return not self.cfg.freeze_backbone and self.num_updates >= self.cfg.freeze_backbone_updates

    def forward(self, source: Tensor) -> list[Tensor]:
        """The outputs of the transformer layers, each T x B x C, before the final layer norm.

        Waveforms (B x samples) may be float32 whatever the type of the weights.
        A layer that layerdrop skips in training is missing from the list.
        """
        return list(self.layer_outputs(source))

    def layer_outputs(self, source: Tensor) -> Iterator[Tensor]:
        """Likewise, but each as soon as it is computed: who sums them up need not keep them."""
        return islice(self._states(source), 1, None)

    def features(self, source: Tensor) -> Tensor:
        """The backbone's final output, B x T x C: the last layer's, after the final layer norm."""
        for state in self._states(source):
            last = state
        return self._run(self._final, last).transpose(0, 1)

    def hidden_states(self, source: Tensor) -> Iterator[Tensor]:
        """The input of the first layer, the outputs of all layers but the last, and the final output, each T x B x C.

        Hugging Face calls them so: 25 for the 24 layers of XLS-R 300M, the last one after the final layer norm.
        """
        states = self._states(source)
        last = next(states)
        for state in states:
            yield last
            last = state
        yield self._run(self._final, last)

    def _states(self, source: Tensor) -> Iterator[Tensor]:
        """The input of the first layer and the output of each, T x B x C, one after the other."""
        if self.cfg.normalize:
            source = F.layer_norm(source, source.shape[1:])
        x = self._run(self._entering, source.to(self.model.mask_emb.dtype))
        yield x
        layerdrop = self.model.encoder.layerdrop
        for layer in self.layers:
            if layer.training and layerdrop > 0 and np.random.random() <= layerdrop:  # from numpy, as in fairseq
                continue
            x, _ = self._run(layer, x)
            yield x

    def _run(self, part: Callable[[Tensor], Any], x: Tensor) -> Any:
        """What a part of the network makes of x. Gradients are switched here: a generator must not, for its caller's sake."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._is_trained):
            if self.cfg.checkpoint_activations and torch.is_grad_enabled():
                return checkpoint(part, x, use_reentrant=False)
            return part(x)

    def _entering(self, source: Tensor) -> Tensor:
        """Waveforms (B x samples) to the input of the first layer, T x B x C."""
        network, encoder = self.model, self.model.encoder
        x = network.feature_extractor(source)  # B x C x T
        if network.feature_grad_mult != 1.0:
            x = GradMultiply.apply(x, network.feature_grad_mult)
        x = network.layer_norm(x.transpose(1, 2))
        if network.post_extract_proj is not None:
            x = network.post_extract_proj(x)
        x = network.dropout_input(x)  # B x T x C
        x = x + encoder.pos_conv(x.transpose(1, 2)).transpose(1, 2)
        if not encoder.layer_norm_first:
            x = encoder.layer_norm(x)
        return F.dropout(x, encoder.dropout, encoder.pos_conv.training).transpose(0, 1)

    def _final(self, x: Tensor) -> Tensor:
        return self.model.encoder.layer_norm(x) if self.model.encoder.layer_norm_first else x


def scale_head_learning_rate(detector: nn.Module, scale: float) -> None:
    """Give all of a detector but its backbone a learning rate of its own, as a multiple of --lr."""
    if scale <= 0:
        raise SettingError(f"--head-lr-scale {scale}: give a factor above 0")
    if scale != 1.0:
        for name, parameter in detector.named_parameters():
            if not name.startswith("ssl_model."):
                parameter.optim_overrides = {"optimizer": {"lr_scale": scale}}
