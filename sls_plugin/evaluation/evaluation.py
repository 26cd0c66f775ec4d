"""Scores against keys: the figures of one system, and the warnings that belong to them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protocols import DataError
from protocols.corpora import find_corpus
from protocols.keys import Keys
from sls_plugin.evaluation.breakdown import GroupResult, OfficialTable, official_table, per_attack, per_condition
from sls_plugin.evaluation.scored_trials import ScoredTrials, read_scored_trials
from sls_plugin.metrics.bootstrap import bootstrap_eers, confidence_interval
from sls_plugin.metrics.dcf import act_dcf, cllr, min_dcf
from sls_plugin.metrics.det import equal_error_rate, tie_aware_equal_error_rate, ties_across_classes
from sls_plugin.metrics.tdcf import ASVErrorRates, asv_error_rates, min_tdcf_2019, min_tdcf_2021

MANY_TIES = 0.01  # of the trials of a class
FEW_ERRORS = 10  # trials; a bootstrap of fewer is too narrow
FEW_SPEAKERS = 10


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The number of resamples, and whether they draw single trials within each class or whole speakers."""

    n_samples: int
    by_speaker: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """How well the scores of a system separate the two classes of trials; rates are fractions.

    `eer_ci` (95 %) is None without a bootstrap. `asv_source` says where the ASV system's error rates come from; it,
    `min_tdcf` (2021 form) and `min_tdcf_2019` are None without an ASV system, the two costs also where its rates leave them
    undefined. `table` is None for a corpus without an official one. `warnings` are sentences for the reader.
    """

    scored: ScoredTrials
    negated: bool
    eer: float
    eer_threshold: float
    eer_tie_aware: float
    bootstrap: Bootstrap | None
    eer_ci: tuple[float, float] | None
    asv_source: str | None
    min_tdcf: float | None
    min_tdcf_2019: float | None
    min_dcf: float
    act_dcf: float
    cllr: float
    per_attack: Mapping[str, GroupResult]
    per_condition: Mapping[str, GroupResult]
    table: OfficialTable | None
    warnings: tuple[str, ...]


def evaluate(
    path: str | Path,
    keys: Keys,
    allow_missing: bool = False,
    negate: bool = False,
    bootstrap: Bootstrap | None = None,
) -> Evaluation:
    """Evaluate a score file; with `negate` all scores change their sign first.

    Raises DataError as `read_scored_trials` and `eer_samples` do.
    """
    return evaluate_trials(read_scored_trials(path, keys, allow_missing, negate), negate, bootstrap)


def evaluate_trials(scored: ScoredTrials, negated: bool = False, bootstrap: Bootstrap | None = None) -> Evaluation:
    """Evaluate scored trials; `negated` is whether the sign of their scores was changed."""
    bonafide, spoof = scored.bonafide, scored.spoof
    eer, eer_threshold = equal_error_rate(bonafide, spoof)
    tie_aware = tie_aware_equal_error_rate(bonafide, spoof)[0]
    rates, asv_source = _asv_rates(scored.keys)
    min_tdcf = _min_tdcf(min_tdcf_2021, bonafide, spoof, rates)
    table = official_table(scored)
    warnings = [
        *_warnings_on_trials(scored, table),
        *_warnings_on_scores(scored, eer, tie_aware, negated),
        *_warnings_on_asv(scored.keys, rates, min_tdcf),
        *(warnings_on_resamples(scored, eer, bootstrap) if bootstrap else []),
    ]
    return Evaluation(
        scored=scored,
        negated=negated,
        eer=eer,
        eer_threshold=eer_threshold,
        eer_tie_aware=tie_aware,
        bootstrap=bootstrap,
        eer_ci=confidence_interval(eer_samples([scored], bootstrap)[:, 0]) if bootstrap else None,
        asv_source=asv_source,
        min_tdcf=min_tdcf,
        min_tdcf_2019=_min_tdcf(min_tdcf_2019, bonafide, spoof, rates),
        min_dcf=min_dcf(bonafide, spoof)[0],
        act_dcf=act_dcf(bonafide, spoof),
        cllr=cllr(bonafide, spoof),
        per_attack=per_attack(scored),
        per_condition=per_condition(scored),
        table=table,
        warnings=tuple(warnings),
    )


def eer_samples(systems: Sequence[ScoredTrials], bootstrap: Bootstrap) -> np.ndarray:
    """Equal error rates on resampled trials, samples x systems; the systems are scored on the same trials.

    Raises DataError when whole speakers cannot be drawn.
    """
    scored, speakers = systems[0], None
    if bootstrap.by_speaker:
        names = scored.facts("speaker")
        if not all(names):
            what = f"the speaker of {names.count(''):,} of {len(names):,} trials is unknown"
            raise DataError(f"{scored.keys.path}: {what}: resample trials instead")
        speakers = np.unique(names, return_inverse=True)[1]
        if fewest_speakers(scored) < 2:
            raise DataError(f"{scored.keys.path}: a class has only one speaker: resample trials instead")
    scores = np.stack([system.scores for system in systems])
    try:
        return bootstrap_eers(scores, scored.is_bonafide, bootstrap.n_samples, speakers)
    except ValueError as error:
        raise DataError(f"{scored.keys.path}: {error}: resample trials instead") from None


def _asv_rates(keys: Keys) -> tuple[ASVErrorRates | None, str | None]:
    """The error rates of the organisers' ASV system and where they come from: its scores beside the keys, or the paper."""
    if keys.asv:
        scores, kinds = keys.asv.scores, np.array(keys.asv.kinds)
        rates = asv_error_rates(*(scores[kinds == kind] for kind in ("target", "nontarget", "spoof")))
        return rates, f"{scores.size:,} scores of the organisers' system, {keys.asv.path.name}"
    system = find_corpus(keys.corpus).keys.asv
    published = system and system.published_rates
    if published and keys.phase == "eval" and all(trial.id.startswith(published.ids) for trial in keys.trials):
        rates = ASVErrorRates(published.miss, published.false_acceptance, published.spoof_acceptance)
        return rates, "the published error rates of the organisers' system: no ASV scores beside the keys"
    return None, None


def _min_tdcf(
    measure: Callable[[np.ndarray, np.ndarray, ASVErrorRates], tuple[float, float]],
    bonafide: np.ndarray,
    spoof: np.ndarray,
    rates: ASVErrorRates | None,
) -> float | None:
    """The value of one form; None without an ASV system, and where its error rates leave the form undefined."""
    if rates is None:
        return None
    try:
        value = measure(bonafide, spoof, rates)[0]
    except ValueError:
        return None
    return None if np.isnan(value) else value


def fewest_speakers(scored: ScoredTrials) -> int:
    """The number of speakers of the class that has fewer."""
    speakers = np.array(scored.facts("speaker"))
    return min(np.unique(speakers[in_class]).size for in_class in (scored.is_bonafide, ~scored.is_bonafide))


def _warnings_on_trials(scored: ScoredTrials, table: OfficialTable | None) -> Iterator[str]:
    """Where the trials are not those that papers report."""
    phases = sorted({*scored.facts("phase")} - {""})
    if len(phases) > 1:
        yield f"the phases {', '.join(phases)} are pooled: published figures are those of --phase eval"
    if scored.n_missing:
        yield f"{scored.n_missing:,} trials of the keys have no score and are left out: no official figures"
    if table and table.n_outside:
        yield f"{table.n_outside:,} trials have no row or column in the official table: they count in its pooled cells only"


def _warnings_on_scores(scored: ScoredTrials, eer: float, tie_aware: float, negated: bool) -> Iterator[str]:
    """Inverted scores and ties."""
    bonafide, spoof = scored.bonafide, scored.spoof
    if eer > 0.5 and (other := equal_error_rate(-bonafide, -spoof)[0]) < eer:
        remedy = "without --negate" if negated else "with --negate"
        yield (
            f"the EER of {_percent(eer)} is above 50 %: the sign of the scores may be inverted (higher must mean more "
            f"bona fide); `sls evaluate` {remedy} gives {_percent(other)}"
        )
    tied_bonafide, tied_spoof = ties_across_classes(bonafide, spoof)
    if max(tied_bonafide / bonafide.size, tied_spoof / spoof.size) >= MANY_TIES:
        together = "which is the same here" if _percent(tie_aware) == _percent(eer) else f"which gives {_percent(tie_aware)}"
        yield (
            f"many ties: {tied_bonafide:,} bona fide trials and {tied_spoof:,} spoofs share a score with the other "
            f"class; the official EER ({_percent(eer)}) rejects the bona fide ones first instead of all together, {together}"
        )


def _warnings_on_asv(keys: Keys, rates: ASVErrorRates | None, min_tdcf: float | None) -> Iterator[str]:
    """Why there is no t-DCF in a corpus that has one."""
    if find_corpus(keys.corpus).keys.asv and rates is None:
        yield "no min t-DCF: the organisers' ASV scores are not beside the keys (protocols/README.md: where to put them)"
    elif rates and min_tdcf is None:
        yield f"no min t-DCF: in this phase the ASV scores lack targets, nontargets or spoofs ({keys.asv.scores.size:,} trials)"


def warnings_on_resamples(scored: ScoredTrials, eer: float, bootstrap: Bootstrap) -> Iterator[str]:
    """Where a confidence interval is too narrow."""
    n_errors = round(eer * min(scored.bonafide.size, scored.spoof.size))
    if n_errors < FEW_ERRORS:
        yield f"only about {n_errors} trials of the smaller class are in error: the true interval is wider than the one shown"
    if bootstrap.by_speaker and (n_speakers := fewest_speakers(scored)) < FEW_SPEAKERS:
        yield f"a class has only {n_speakers} speakers: the true interval is wider than the one shown"


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f} %"
