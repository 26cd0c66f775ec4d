"""Several systems on the same trials, and whether their difference is more than chance."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from protocols.keys import Keys
from sls_plugin.evaluation.evaluation import Bootstrap, Evaluation, eer_samples, evaluate, warnings_on_resamples
from sls_plugin.evaluation.scored_trials import read_scored_trials
from sls_plugin.metrics.bootstrap import PairedComparison, compare_paired, confidence_interval

MAX_SYSTEMS = 5  # of which all pairs are compared


@dataclass(frozen=True, slots=True)
class Pair:
    """Two systems by their places, the one with the higher equal error rate first."""

    first: int
    second: int
    comparison: PairedComparison


def common_trials(score_files: Sequence[str | Path], keys: Keys) -> Keys:
    """The keys of the trials that all score files have, whose scores of other trials are then no error.

    Raises DataError as `read_scored_trials` does.
    """
    common = {trial.id for trial in keys.trials}
    for path in score_files:
        common &= {trial.id for trial in read_scored_trials(path, keys, allow_missing=True).trials}
    chosen = [trial for trial in keys.trials if trial.id in common]
    left_out = {trial.id for trial in keys.trials if trial.id not in common}
    return replace(keys, trials=chosen, other_phases=keys.other_phases | left_out)


def evaluate_together(
    score_files: Sequence[str | Path], keys: Keys, bootstrap: Bootstrap | None
) -> tuple[list[Evaluation], list[Pair]]:
    """The evaluation of each system, their intervals from one bootstrap, and the pairs that it compares.

    Raises DataError as `evaluate` does.
    """
    evaluations = [evaluate(path, keys) for path in score_files]
    if not bootstrap:
        return evaluations, []
    samples = eer_samples([evaluation.scored for evaluation in evaluations], bootstrap)
    with_intervals = [
        replace(
            evaluation,
            bootstrap=bootstrap,
            eer_ci=confidence_interval(of_system),
            warnings=(*evaluation.warnings, *warnings_on_resamples(evaluation.scored, evaluation.eer, bootstrap)),
        )
        for evaluation, of_system in zip(evaluations, samples.T, strict=True)
    ]
    return with_intervals, list(_compared([evaluation.eer for evaluation in evaluations], samples))


def _compared(eers: Sequence[float], samples: np.ndarray) -> Iterator[Pair]:
    """Every pair, or of more than `MAX_SYSTEMS` systems each with the best, from the best system on."""
    from_best = sorted(range(len(eers)), key=lambda system: eers[system])
    pairs = combinations(from_best, 2) if len(eers) <= MAX_SYSTEMS else ((from_best[0], other) for other in from_best[1:])
    for better, worse in pairs:
        yield Pair(worse, better, compare_paired((eers[worse], eers[better]), samples[:, [worse, better]]))
