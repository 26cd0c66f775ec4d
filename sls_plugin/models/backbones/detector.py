"""What detectors with a self-supervised backbone share."""

from dataclasses import dataclass, field
from typing import Any

from protocols import SettingError
from sls_plugin.modules.fairseq_detector import FairseqDetector
from sls_plugin.modules.output_layer import OutputLayer
from sls_plugin.optim.l2_adam import set_parameter_options

from .backbone import Backbone
from .config import BackboneConfig


@dataclass
class BackboneDetectorConfig(BackboneConfig):
    """The backbone, and the learning rate and last layer of the head on top of it."""

    head_lr_scale: float = field(
        default=1.0, metadata={"help": "learning rate of the head, as a multiple of --lr (needs --optimizer l2_adam or adamw)"}
    )
    output_layer: OutputLayer = field(
        default="linear",
        metadata={
            "help": "last layer of the head: linear, cosines with a direction per class (for --criterion am_softmax), or the "
            "cosine with one direction (for --criterion oc_softmax)"
        },
    )


class BackboneDetector(FairseqDetector):
    """A detector with a self-supervised network and a head, which is all the rest of it."""

    cfg: BackboneDetectorConfig
    ssl_model: Backbone  # its name in the published checkpoints

    @property
    def output_layer(self) -> str:
        return str(self.cfg.output_layer)

    def cfg_for_checkpoint(self) -> dict[str, Any]:
        """The backbone's configuration: scoring needs no pre-trained file."""
        return {"w2v_args": self.cfg.w2v_args}

    def pack_weights(self) -> None:
        self.ssl_model.pack_weights()

    def scale_head_learning_rate(self) -> None:
        """Give the head its own learning rate, as `head_lr_scale` says."""
        scale = self.cfg.head_lr_scale
        if scale <= 0:
            raise SettingError(f"--head-lr-scale {scale}: must be > 0")
        if scale != 1.0:
            head = (parameter for name, parameter in self.named_parameters() if not name.startswith("ssl_model."))
            set_parameter_options(head, lr_scale=scale)
