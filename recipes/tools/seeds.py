"""Error rates over the seeds of an experiment, and the published ones beside them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from omegaconf import OmegaConf


@dataclass(frozen=True)
class OverSeeds:
    """Error rates of several runs, as fractions: mean, standard deviation (n - 1), the lowest, 95 % interval of the mean."""

    n_runs: int
    mean: float
    standard_deviation: float
    best: float
    mean_interval: tuple[float, float]


def over_seeds(eers: Sequence[float]) -> OverSeeds:
    """The statistics of two or more runs."""
    return OverSeeds(len(eers), mean(eers), stdev(eers), min(eers), mean_interval(eers))


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % confidence interval of the mean of a few rates (Student's t), clipped to [0, 1]."""
    from scipy.stats import t  # slow to import

    half = t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return max(0.0, mean(values) - half), min(1.0, mean(values) + half)


@dataclass(frozen=True)
class Published:
    """What the authors of an experiment report of a track, as fractions; None for what they or our source do not say."""

    best: float
    mean: float | None = None
    n_runs: int | None = None

    def rows(self) -> list[tuple[str, float]]:
        """Names and error rates for a table; a mean names the number of its runs."""
        if self.n_runs == 1:
            return [("published, one run", self.best)]
        best = "published best" + (f" of {self.n_runs}" if self.n_runs else "")
        if self.mean is None:
            return [(best, self.best)]
        of = f" of {self.n_runs}" if self.n_runs else ", unknown number of runs"
        return [(best, self.best), (f"published mean{of}", self.mean)]


def read_published(path: Path | None, config: str) -> dict[str, Published]:
    """By track, from an experiment's `published.yaml`; empty where it has none for this configuration."""
    if path is None or not path.exists():
        return {}
    tracks: Mapping[str, Mapping[str, Any]] = OmegaConf.to_container(OmegaConf.load(path)).get(config, {})
    return {track: _published(**figures) for track, figures in tracks.items()}


def _published(best: float, mean: float | None = None, runs: int | None = None) -> Published:
    """From percentages."""
    return Published(best / 100, None if mean is None else mean / 100, runs)
