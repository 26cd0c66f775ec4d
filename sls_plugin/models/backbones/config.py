"""The settings that all backbones share."""

from dataclasses import dataclass, field
from typing import Any, Optional

from fairseq.dataclass import FairseqDataclass


@dataclass
class BackboneConfig(FairseqDataclass):
    """Which self-supervised network is used, and how it is trained.

    What is particular to one network stands in `w2v_args`, which comes from its pre-trained checkpoint.
    """

    backbone: str = field(default="xlsr", metadata={"help": "self-supervised network, named after its file in models/backbones"})
    w2v_path: Optional[str] = field(
        default=None, metadata={"help": "pre-trained checkpoint of the backbone, such as xlsr2_300m.pt"}
    )
    w2v_args: Any = field(
        default=None, metadata={"help": "configuration of the backbone, read from --w2v-path and stored in every checkpoint"}
    )
    normalize: bool = field(
        default=False, metadata={"help": "scale each clip to zero mean and unit variance (the SLS authors do not)"}
    )
    dropout: Optional[float] = field(
        default=None, metadata={"help": "dropout of the backbone's blocks (default: as in its checkpoint)"}
    )
    attention_dropout: Optional[float] = field(
        default=None, metadata={"help": "dropout of the attention weights (default: as in the checkpoint)"}
    )
    activation_dropout: Optional[float] = field(
        default=None, metadata={"help": "dropout inside the feed-forward blocks (default: as in the checkpoint)"}
    )
    dropout_input: Optional[float] = field(
        default=None, metadata={"help": "dropout of the projected features (default: as in the checkpoint)"}
    )
    encoder_layerdrop: Optional[float] = field(
        default=None,
        metadata={"help": "probability of skipping a layer in training (several GPUs also need --find-unused-parameters)"},
    )
    freeze_backbone: bool = field(default=False, metadata={"help": "train the head only"})
    freeze_backbone_updates: int = field(
        default=0,
        metadata={
            "help": "train only the head for the first N updates (needs --optimizer l2_adam or adamw; several GPUs also need "
            "--find-unused-parameters)"
        },
    )
    freeze_below_layer: int = field(default=0, metadata={"help": "freeze transformer layers 0 to K-1 and everything before them"})
    lora_rank: int = field(
        default=0,
        metadata={"help": "train adapters of this rank on the attention's queries and values in place of the backbone (LoRA)"},
    )
    checkpoint_activations: bool = field(
        default=False, metadata={"help": "recompute activations in the backward pass: less memory, a third more time"}
    )
