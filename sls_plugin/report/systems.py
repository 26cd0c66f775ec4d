"""The systems of a report, with keys or without."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sls_plugin.evaluation.evaluation import Evaluation


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSystem:
    """The scores of one system without keys."""

    name: str
    ids: Sequence[str]
    scores: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class EvaluatedSystem:
    """One system with its evaluation; a score above the threshold means bona fide."""

    name: str
    evaluation: Evaluation
    threshold: float


def system_names(score_files: Sequence[str | Path]) -> list[str]:
    """What tells the systems apart: the names of their files, or their paths where names repeat."""
    stems = Counter(Path(path).stem for path in score_files)
    return [Path(path).stem if stems[Path(path).stem] == 1 else str(path) for path in score_files]
