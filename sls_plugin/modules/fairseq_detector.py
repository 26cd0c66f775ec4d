"""The contract of detectors that fairseq builds and trains."""

from typing import Any

from fairseq.models import BaseFairseqModel

from .countermeasure import Countermeasure


class FairseqDetector(Countermeasure, BaseFairseqModel):
    """A detector that can be registered with `register_model`."""

    num_updates = 0  # updates so far in this training

    @classmethod
    def build_model(cls, cfg: Any, task: Any = None) -> "FairseqDetector":
        return cls(cfg)

    def set_num_updates(self, num_updates: int) -> None:
        """fairseq calls it after every update; all parts that have such a method are informed too."""
        super().set_num_updates(num_updates)
        self.num_updates = num_updates

    def cfg_for_checkpoint(self) -> dict[str, Any]:
        """Settings that replace those of the training run in its checkpoints."""
        return {}
