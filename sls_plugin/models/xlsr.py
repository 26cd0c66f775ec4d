"""The self-supervised backbone that all XLS-R detectors share."""

import textwrap
from dataclasses import dataclass, field
from typing import Any, Optional

import torch
from fairseq.dataclass import FairseqDataclass
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.backbone import build_backbone
from fairseq_ckpt.xlsr import read_xlsr
from protocols import DataError

# Only pre-training uses these. They stay in every detector's checkpoint, as in the published ones, and are never trained.
PRETRAINING_ONLY = ("mask_emb", "quantizer", "project_q", "final_proj")
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
        config = OmegaConf.to_container(OmegaConf.create(cfg.w2v_args)) | overrides
        self.model = build_backbone(config, cfg.w2v_path or "the checkpoint's w2v_args")
        if pretrained is not None:
            self._load(pretrained.weights)
        self._freeze()

    def _load(self, weights: dict[str, Tensor]) -> None:
        try:
            self.model.load_state_dict(weights, strict=True)
        except RuntimeError as error:
            first = textwrap.shorten(str(error).splitlines()[1], 150)
            raise CheckpointError(f"{self.cfg.w2v_path}: tensors do not fit its own configuration ({first})") from None

    def _freeze(self) -> None:
        """Parameters that no update may touch; those of a frozen start are left to the optimiser, which counts updates."""
        frozen: list[nn.Module | nn.Parameter] = [getattr(self.model, name, None) for name in PRETRAINING_ONLY]
        n_layers = len(self.layers)
        if not 0 <= self.cfg.freeze_below_layer <= n_layers:
            raise DataError(f"--freeze-below-layer {self.cfg.freeze_below_layer}: the backbone has {n_layers} layers")
        if self.cfg.freeze_backbone_updates < 0:
            raise DataError(f"--freeze-backbone-updates {self.cfg.freeze_backbone_updates}: give a number from 0 on")
        if self.cfg.freeze_backbone:
            frozen = [self.model]
        elif self.cfg.freeze_below_layer:
            model, encoder = self.model, self.model.encoder
            frozen += [model.feature_extractor, model.layer_norm, model.post_extract_proj, encoder.pos_conv]
            frozen += self.layers[: self.cfg.freeze_below_layer]
            if not encoder.layer_norm_first:  # then it comes before the layers
                frozen.append(encoder.layer_norm)
        for part in frozen:
            if part is not None:
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

    def forward(self, source: Tensor) -> list[Tensor]:
        """The outputs of the transformer layers, each T x B x C, before the final layer norm.

        Waveforms (B x samples) may be float32 whatever the type of the weights.
        A layer that layerdrop skips in training is missing from the list.
        """
        return [layer_output for layer_output, *_ in self._run(source)["layer_results"]]

    def features(self, source: Tensor) -> Tensor:
        """The backbone's final output, B x T x C: the last layer's, after the final layer norm."""
        return self._run(source)["x"]

    def hidden_states(self, source: Tensor) -> list[Tensor]:
        """The input of the first layer, the outputs of all layers but the last, and the final output, each T x B x C.

        Hugging Face calls them so: 25 for the 24 layers of XLS-R 300M, the last one after the final layer norm.
        """
        entering: list[Tensor] = []
        with self.layers[0].register_forward_pre_hook(lambda _, inputs: entering.append(inputs[0])):
            result = self._run(source)
        final = result["x"].transpose(0, 1)
        outputs = [layer_output for layer_output, *_ in result["layer_results"]]
        return [entering[0][: len(final)], *outputs[:-1], final]  # inside, fairseq fills up to an even number of frames

    def _run(self, source: Tensor) -> dict[str, Any]:
        trained = not self.cfg.freeze_backbone and self.num_updates >= self.cfg.freeze_backbone_updates
        if self.model.training != (self.training and trained):  # setting it walks through hundreds of modules
            self.model.train(self.training and trained)  # no dropout in features that are not trained
        if self.cfg.normalize:
            source = F.layer_norm(source, source.shape[1:])
        with torch.set_grad_enabled(torch.is_grad_enabled() and trained):
            return self.model(source.to(self.model.mask_emb.dtype), mask=False, features_only=True)


def scale_head_learning_rate(detector: nn.Module, scale: float) -> None:
    """Give all of a detector but its backbone a learning rate of its own, as a multiple of --lr."""
    if scale <= 0:
        raise DataError(f"--head-lr-scale {scale}: give a factor above 0")
    if scale != 1.0:
        for name, parameter in detector.named_parameters():
            if not name.startswith("ssl_model."):
                parameter.optim_overrides = {"optimizer": {"lr_scale": scale}}
