"""The scorer `eer` of `fairseq-generate`."""

import sys

import numpy as np
from fairseq.dataclass import FairseqDataclass
from fairseq.scoring import BaseScorer, register_scorer

from sls_plugin.metrics.det import equal_error_rate


@register_scorer("eer", dataclass=FairseqDataclass)
class EERScorer(BaseScorer):
    """Equal error rate of all labelled trials of the generated split; trials without a label are ignored."""

    def score(self) -> float:
        """The rate as a fraction; NaN when a class is missing."""
        return self._eer()[0]

    def result_string(self) -> str:
        eer, threshold = self._eer()
        counts = f"{self.ref.count('bonafide'):,} bona fide, {self.ref.count('spoof'):,} spoof"
        if np.isnan(eer):
            result = f"EER undefined: it needs trials of both classes ({counts})"
        else:
            result = f"EER {100 * eer:.4f} % at threshold {threshold:.6g} ({counts})"
        print(result, file=sys.stderr)  # with --results-path, fairseq sends its own last line and the log to a file
        return result

    def _eer(self) -> tuple[float, float]:
        scores, labels = np.array(self.pred, dtype=float), np.array(self.ref)
        bonafide, spoof = scores[labels == "bonafide"], scores[labels == "spoof"]
        if len(bonafide) == 0 or len(spoof) == 0:
            return float("nan"), float("nan")
        return equal_error_rate(bonafide, spoof)
