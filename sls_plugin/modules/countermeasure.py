"""The contract of all detectors, as scoring, exporting and the criterions use it."""

from torch import Tensor, nn

from protocols import DataError


class Countermeasure(nn.Module):
    """A countermeasure: waveforms (B x samples, float, 16 kHz) to B x 2 (spoof, bona fide), logits, log-probabilities or cosines.

    Clips of fewer than `min_samples` samples raise DataError.
    """

    min_samples: int
    output_layer = "linear"  # what the last layer computes: logits, or the cosines that `modules/output_layer.py` describes
    returns_features = False  # whether `forward(source, with_features=True)` returns the output and the features, B x C

    def scores(self, output: Tensor) -> Tensor:
        """The scores that the detector's authors publish, here the bona fide output; B."""
        return output[:, 1]

    def log_likelihood_ratios(self, output: Tensor) -> Tensor:
        """Output of bona fide minus output of spoof, uncalibrated; B."""
        return output[:, 1] - output[:, 0]

    def forward_with_layer_weights(self, source: Tensor) -> tuple[Tensor, Tensor | None]:
        """The output, and the weight of each backbone layer in it (L x B); None for a detector without such weights."""
        return self(source), None

    def require_samples(self, n_samples: int) -> None:
        """Raise DataError if the detector does not take clips of `n_samples`."""
        if n_samples < self.min_samples:
            raise DataError(
                f"clips of {n_samples:,} samples: {type(self).__name__} needs at least {self.min_samples:,}: "
                "raise --max-samples or --windows"
            )

    def pack_weights(self) -> None:
        """Prepare for faster scoring on a CPU, where the detector can; afterwards it can only be used for inference."""
