"""Several systems on the same trials, and whether their differences are significant."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from protocols.keys import Keys
from sls_plugin.evaluation.evaluation import Bootstrap, Evaluation, eer_samples, evaluate_trials, warnings_on_resamples
from sls_plugin.evaluation.scored_trials import ScoredTrials, read_scored_trials
from sls_plugin.metrics.bootstrap import PairedComparison, compare_paired, confidence_interval

MAX_SYSTEMS = 5  # whose pairs are all compared


@dataclass(frozen=True, slots=True)
class Pair:
    """Two systems by their positions, the one with the higher equal error rate first."""

    first: int
    second: int
    comparison: PairedComparison


def evaluate_together(
    score_files: Sequence[str | Path], keys: Keys, bootstrap: Bootstrap | None, allow_missing: bool = False
) -> tuple[list[Evaluation], list[Pair]]:
    """The evaluation of each system, with intervals from one bootstrap, and the comparison of their pairs.

    With `allow_missing` all systems are evaluated on the trials that all of them score. Raises DataError as `evaluate` does.
    """
    systems = [read_scored_trials(path, keys, allow_missing) for path in score_files]
    if allow_missing:
        systems = on_common_trials(systems)
    evaluations = [evaluate_trials(scored) for scored in systems]
    if not bootstrap:
        return evaluations, []
    samples = eer_samples(systems, bootstrap)
    with_intervals = [
        replace(
            evaluation,
            bootstrap=bootstrap,
            eer_ci=confidence_interval(system_samples),
            warnings=(*evaluation.warnings, *warnings_on_resamples(evaluation.scored, evaluation.eer, bootstrap)),
        )
        for evaluation, system_samples in zip(evaluations, samples.T, strict=True)
    ]
    return with_intervals, list(_compared([evaluation.eer for evaluation in evaluations], samples))


def on_common_trials(systems: Sequence[ScoredTrials]) -> list[ScoredTrials]:
    """The systems on the trials that all of them score."""
    common = set.intersection(*({trial.id for trial in scored.trials} for scored in systems))
    return [scored.restricted_to(common) for scored in systems]


def _compared(eers: Sequence[float], samples: np.ndarray) -> Iterator[Pair]:
    """All pairs, best system first; of more than `MAX_SYSTEMS` systems only the pairs with the best one."""
    from_best = sorted(range(len(eers)), key=lambda system: eers[system])
    pairs = combinations(from_best, 2) if len(eers) <= MAX_SYSTEMS else ((from_best[0], other) for other in from_best[1:])
    for better, worse in pairs:
        yield Pair(worse, better, compare_paired((eers[worse], eers[better]), samples[:, [worse, better]]))
