"""What every detector with two raw outputs shares."""

from fairseq.models import BaseFairseqModel
from torch import Tensor

from protocols import DataError


class Detector(BaseFairseqModel):
    """A countermeasure: waveforms (B x samples, float, 16 kHz) to B x 2 (spoof, bona fide), logits or log-probabilities.

    It is heard in full only from `fewest_samples` on; a shorter clip raises DataError.
    """

    fewest_samples: int

    @classmethod
    def build_model(cls, cfg: object, task: object = None) -> "Detector":
        return cls(cfg)

    def scores(self, output: Tensor) -> Tensor:
        """What the authors write as a trial's score: the bona fide output; B."""
        return output[:, 1]

    def log_likelihood_ratios(self, output: Tensor) -> Tensor:
        """Logit of bona fide minus logit of spoof, uncalibrated; B."""
        return output[:, 1] - output[:, 0]

    def require_samples(self, n_samples: int) -> None:
        if n_samples < self.fewest_samples:
            raise DataError(
                f"clips of {n_samples:,} samples: {type(self).__name__} needs at least {self.fewest_samples:,}: "
                "raise --max-samples or --windows"
            )
