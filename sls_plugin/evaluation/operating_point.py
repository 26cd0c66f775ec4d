"""Scores of labelled trials to a decision: calibration, threshold, expected errors, and how sure all of them are."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fairseq_ckpt.fingerprint import file_sha256
from protocols import DataError
from protocols.keys import Keys
from sls_plugin.evaluation.scored_trials import ScoredTrials, read_scored_trials
from sls_plugin.metrics.bootstrap import Counts, confidence_interval, map_resamples
from sls_plugin.metrics.calibration import Calibration, fit_calibration
from sls_plugin.metrics.operating_point import (
    Cuts,
    Share,
    accepting_at_most,
    at_equal_rates,
    auc_above_chance,
    fewest_trials,
    rejecting_at_most,
    share_of,
)
from sls_plugin.scores.decision import Decision, ExpectedErrors, ScoreCalibration, ScoreSettings, Source
from sls_plugin.scores.run_metadata import read_metadata

FEWEST_TRIALS = 10  # of a class: fewer cannot show that a detector beats chance
FEWEST_SPEAKERS = 5  # of a class: fewer say nothing about other speakers
CHANCE_LEVEL = 0.01  # of the test against chance: so many detectors that guess pass it


@dataclass(frozen=True, slots=True)
class Rule:
    """How the threshold is chosen, and the prior and the band of a decision.

    The threshold rejects at most a share `max_false_alarms` of bona fide recordings, or has the least expected cost (`costs` of
    a false alarm and of a miss, at the `prior` of bona fide), or else equal error rates.
    """

    max_false_alarms: float | None = None
    costs: tuple[float, float] | None = None
    prior: float = 0.5
    max_error: float | None = None

    @property
    def llr_threshold(self) -> float | None:
        """The likelihood ratio, in natural logarithm, above which bona fide costs less."""
        return self.costs and math.log(self.costs[1] * (1 - self.prior) / (self.costs[0] * self.prior))

    def __str__(self) -> str:
        if self.costs:
            return f"costs of {self.costs[0]:g} per false alarm and {self.costs[1]:g} per miss, at the prior {self.prior:g}"
        if self.max_false_alarms is not None:
            return f"at most {100 * self.max_false_alarms:g} % false alarms"
        return "equal error rates"


def learn_decision(path: Path, keys: Keys, rule: Rule, n_resamples: int) -> Decision:
    """Learn from the trials of the keys how the scores of a detector are to be judged.

    Speakers are resampled where all are known and each class has a few, otherwise trials. Raises DataError as
    `read_scored_trials` does, on scores that are not better than chance, and on too few trials for the rule.
    """
    scored = read_scored_trials(path, keys)
    speakers = _speakers(scored)
    auc, p_value = _require_better_than_chance(path, scored, speakers)
    _require_enough(path, scored, rule)
    cuts = Cuts(scored.scores, scored.is_bonafide)
    try:
        calibration = fit_calibration(scored.bonafide, scored.spoof)
        point = partial(_operating_point, scored, cuts, rule, calibration)
        threshold, weight, offset = point(np.ones(scored.scores.size, dtype=np.int64))
        samples = map_resamples(point, scored.is_bonafide, n_resamples, speakers)
    except ValueError as error:
        raise DataError(f"{path}: scores are too large to calibrate: rescale them ({error})") from None
    if not (weight > 0 and np.isfinite(samples).all()):
        raise DataError(f"{path}: higher scores do not speak for bona fide: look for outliers among the scores")
    threshold_interval, *calibration_intervals = map(confidence_interval, samples.T)
    low, high = _band(cuts, rule, threshold)
    return Decision(
        rule=str(rule),
        prior=rule.prior,
        calibration=ScoreCalibration(weight, calibration_intervals[0], offset, calibration_intervals[1]),
        threshold=threshold,
        threshold_interval=threshold_interval,
        max_error=rule.max_error,
        spoof_up_to=low,
        bonafide_above=high,
        auc=auc,
        chance_p_value=p_value,
        errors=_expected_errors(scored, speakers, low, high),
        source=_source(path, scored, speakers, n_resamples),
    )


def _operating_point(
    scored: ScoredTrials, cuts: Cuts, rule: Rule, near: Calibration, counts: Counts
) -> tuple[float, float, float]:
    """The threshold, and the weight and offset of the calibration, when trial i is there `counts[i]` times."""
    of_class = [np.repeat(scored.scores[trials], counts[trials]) for trials in (scored.is_bonafide, ~scored.is_bonafide)]
    calibration = fit_calibration(*of_class, start=near)
    weight, offset = float(calibration.weights[0]), calibration.offset
    if rule.llr_threshold is not None:
        return (rule.llr_threshold - offset) / (weight or math.nan), weight, offset
    rejected, accepted = cuts.errors(counts)
    place = at_equal_rates(rejected, accepted)
    if rule.max_false_alarms is not None:
        place = rejecting_at_most(rule.max_false_alarms, rejected)
    return float(cuts.thresholds[place]), weight, offset


def _band(cuts: Cuts, rule: Rule, threshold: float) -> tuple[float, float]:
    """The thresholds between which a score is undecided: the errors allowed in each class, around the threshold."""
    if rule.max_error is None:
        return threshold, threshold
    rejected, accepted = cuts.errors()
    low = float(cuts.thresholds[rejecting_at_most(rule.max_error, rejected)])
    high = float(cuts.thresholds[accepting_at_most(rule.max_error, accepted)])
    return min(low, threshold), max(high, threshold)


def _expected_errors(scored: ScoredTrials, speakers: np.ndarray | None, low: float, high: float) -> ExpectedErrors:
    def share(happens: Callable[[np.ndarray], np.ndarray], in_class: np.ndarray) -> Share:
        return share_of(happens(scored.scores[in_class]), None if speakers is None else speakers[in_class])

    bonafide, spoof = scored.is_bonafide, ~scored.is_bonafide
    return ExpectedErrors(
        false_alarms=share(lambda scores: scores <= low, bonafide),
        misses=share(lambda scores: scores > high, spoof),
        undecided_bonafide=share(lambda scores: (scores > low) & (scores <= high), bonafide),
        undecided_spoof=share(lambda scores: (scores > low) & (scores <= high), spoof),
    )


def _speakers(scored: ScoredTrials) -> np.ndarray | None:
    """A number for the speaker of each trial; None where one is unknown, or a class has too few."""
    names = scored.facts("speaker")
    if not all(names):
        return None
    speakers = np.unique(names, return_inverse=True)[1]
    fewest = min(np.unique(speakers[trials]).size for trials in (scored.is_bonafide, ~scored.is_bonafide))
    return speakers if fewest >= FEWEST_SPEAKERS else None


def _require_better_than_chance(path: Path, scored: ScoredTrials, speakers: np.ndarray | None) -> tuple[float, float]:
    """The AUC and its p-value; DataError when guessing does as well."""
    if (n_trials := min(scored.bonafide.size, scored.spoof.size)) < FEWEST_TRIALS:
        raise DataError(f"{path}: {n_trials} trials of a class: a threshold needs at least {FEWEST_TRIALS} of each")
    auc, p_value = auc_above_chance(scored.scores, scored.is_bonafide, speakers)
    if p_value < CHANCE_LEVEL:
        return auc, p_value
    inverted = auc_above_chance(-scored.scores, scored.is_bonafide, speakers)[1] < CHANCE_LEVEL
    remedy = "negate them if higher means more spoof" if inverted else "use another detector, or more labelled recordings"
    what = f"no threshold: not better than chance here (AUC {auc:.3f}, p = {p_value:.2g}, required < {CHANCE_LEVEL})"
    raise DataError(f"{path}: {what}: {remedy}")


def _require_enough(path: Path, scored: ScoredTrials, rule: Rule) -> None:
    """DataError when a class has too few trials for the errors that the rule allows in it."""
    for option, share, classes in (
        ("--max-false-alarms", rule.max_false_alarms, {"bona fide trials": scored.bonafide}),
        ("--max-error", rule.max_error, {"bona fide trials": scored.bonafide, "spoofs": scored.spoof}),
    ):
        for name, scores in classes.items():
            if share is not None and scores.size < (fewest := fewest_trials(share)):
                what = f"{scores.size:,} {name}, and {option} {share:g} needs at least {fewest:,}"
                raise DataError(f"{path}: {what}: label more recordings, or allow more errors")


def _source(path: Path, scored: ScoredTrials, speakers: np.ndarray | None, n_resamples: int) -> Source:
    return Source(
        scores=path.name,
        scores_sha256=_sha256(path),
        keys=scored.keys.path.name,
        keys_sha256=_sha256(scored.keys.path),
        corpus=scored.keys.corpus,
        phase=scored.keys.phase,
        n_bonafide=scored.bonafide.size,
        n_spoof=scored.spoof.size,
        resampled="trials" if speakers is None else "speakers",
        n_speakers=None if speakers is None else int(np.unique(speakers).size),
        n_resamples=n_resamples,
        settings=ScoreSettings.of_run(read_metadata(path)),
    )


def _sha256(path: Path) -> str | None:
    """The hash of a file; None for a pipe, which has been read."""
    return file_sha256(path) if path.is_file() else None
