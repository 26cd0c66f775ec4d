"""Score files to log-likelihood ratios: calibration of one system, linear fusion of several."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protocols import DataError
from protocols.keys import Keys
from sls_plugin.evaluation.scored_trials import read_scored_trials
from sls_plugin.metrics.calibration import Calibration, fit_calibration
from sls_plugin.metrics.dcf import cllr
from sls_plugin.scores.extra_columns import refuse_extra_columns
from sls_plugin.scores.score_file import read_scores


@dataclass(frozen=True, eq=False)
class Fusion:
    """What was learned from the labelled trials of one or several systems; `cllr` is its cost on these trials, in bits."""

    systems: Sequence[Path]
    calibration: Calibration
    cllr: float

    @property
    def formula(self) -> str:
        """The log-likelihood ratio as a sum, such as 'LLR = -1.5 +2 x dev.txt'."""
        terms = [f"{weight:+.6g} x {path.name}" for path, weight in zip(self.systems, self.calibration.weights, strict=True)]
        return f"LLR = {self.calibration.offset:.6g} {' '.join(terms)}"

    @property
    def warnings(self) -> list[str]:
        """A line for each system whose higher scores do not speak for bona fide."""
        return [
            f"{path} has the weight {weight:.6g}: {'is its sign inverted?' if weight < 0 else 'its scores are uninformative'}"
            for path, weight in zip(self.systems, self.calibration.weights, strict=True)
            if weight <= 0
        ]

    def likelihood_ratios(self, paths: Sequence[Path]) -> dict[str, float]:
        """The natural-log likelihood ratio of each trial in other score files, one per system, in the order of the first.

        Raises DataError when the files do not have the same trials, and as `refuse_extra_columns` does.
        """
        first, *others = tables = [read_scores(path) for path in paths]
        for path, table in zip(paths, tables, strict=True):
            refuse_extra_columns(path, table)
        for path, table in zip(paths[1:], others, strict=True):
            if differing := first.keys() ^ table.keys():
                what = f"{len(differing):,} trials are only in it or only in {paths[0]}, such as {min(differing)!r}"
                raise DataError(f"{path}: {what}: fusion needs the same trials of all systems")
        ratios = self.calibration.apply(np.array([[table[name] for table in tables] for name in first]))
        return dict(zip(first, ratios.tolist(), strict=True))


def learn_fusion(paths: Sequence[Path], keys: Keys) -> Fusion:
    """Logistic regression on the trials of the keys, from the score file of each system.

    Raises DataError as `read_scored_trials` does, and on scores that are too large to calibrate.
    """
    systems = [read_scored_trials(path, keys) for path in paths]
    bonafide = np.stack([system.bonafide for system in systems], axis=1)  # trials x systems
    spoof = np.stack([system.spoof for system in systems], axis=1)
    try:
        calibration = fit_calibration(bonafide, spoof)
    except ValueError as error:
        raise DataError(f"{paths[0]}: scores are too large to calibrate: rescale them ({error})") from None
    return Fusion(paths, calibration, cllr(calibration.apply(bonafide), calibration.apply(spoof)))
