"""Scores of a public checkpoint against its published error rates: whether they agree, and if not, which known reason fits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairseq_ckpt.published import PUBLISHED
from protocols import DataError, SettingError
from protocols.keys import Keys
from sls_plugin.evaluation.anchors import CHECKPOINTS, N_TRIALS, Anchor
from sls_plugin.evaluation.evaluation import Bootstrap, eer_samples
from sls_plugin.evaluation.scored_trials import ScoredTrials, read_scored_trials
from sls_plugin.metrics.bootstrap import confidence_interval
from sls_plugin.metrics.det import equal_error_rate, tie_aware_equal_error_rate
from sls_plugin.scores.run_metadata import RunMetadata, read_metadata

EQUAL = 0.02  # percentage points: rounding of the figure, and of float32 on another processor
USUAL = {"dtype": "float32", "windows": None, "hop": None, "channel": None}  # settings of `sls score` that the figures are of


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """The EERs of the scored trials of a phase in percent, with a 95 % interval; `n_all` trials are published."""

    phase: str
    n_trials: int
    n_all: int
    eer: float
    low: float
    high: float
    eer_negated: float
    eer_tie_aware: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A published figure, and the result in the same phase."""

    anchor: Anchor
    result: PhaseResult

    @property
    def is_equal(self) -> bool:
        """Whether the EER is the published one up to rounding."""
        return abs(self.result.eer - self.anchor.eer) <= EQUAL

    @property
    def agrees(self) -> bool:
        """Whether it is, or the published one lies in the interval."""
        return self.is_equal or self.result.low <= self.anchor.eer <= self.result.high

    def explained_by(self, eer: float, published: float) -> bool:
        """Whether an EER is near enough to a published one: up to rounding, or half the interval where the result disagrees."""
        margin = EQUAL if self.agrees else max(EQUAL, (self.result.high - self.result.low) / 2)
        return abs(eer - published) <= margin


@dataclass(frozen=True, slots=True)
class Reason:
    """A known reason for a difference: whether it fits (None: unknown), what was seen, and what to do about it."""

    name: str
    fits: bool | None
    seen: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class AnchorCheck:
    """Comparisons with the published figures of a checkpoint on a corpus; `reasons` where one of them is not the same."""

    comparisons: Sequence[Comparison]
    reasons: Sequence[Reason] = ()

    @property
    def is_equal(self) -> bool:
        """Whether all figures are the same, except those of other clips."""
        return all(comparison.is_equal or self.is_of_other_clips(comparison) for comparison in self.comparisons)

    @property
    def agrees(self) -> bool:
        """Whether all figures agree, except those of other clips."""
        return all(comparison.agrees or self.is_of_other_clips(comparison) for comparison in self.comparisons)

    def is_of_other_clips(self, comparison: Comparison) -> bool:
        """Whether a figure is of other clips than one that is the same."""
        return any(other.is_equal and other.anchor.clip != comparison.anchor.clip for other in self.comparisons)


def check_scores(name: str, path: Path, keys: Keys, bootstrap: Bootstrap) -> AnchorCheck:
    """Compare a score file of the checkpoint `name` with its figures; the keys are those of all phases.

    Raises DataError as `read_scored_trials`, and where no phase that has a figure is scored or has one class only, SettingError
    where no figure is published for the corpus.
    """
    anchors = [anchor for anchor in CHECKPOINTS[name].anchors if anchor.corpus == keys.corpus]
    if not anchors:
        known = sorted({anchor.corpus for anchor in CHECKPOINTS[name].anchors})
        raise SettingError(f"no figure of {name} on {keys.corpus} is published: there are figures on {', '.join(known)}")
    scored = read_scored_trials(path, keys, allow_missing=True)
    phases = _phases(scored)
    results = {
        phase: _result(phase, N_TRIALS[keys.corpus][phase], scored.restricted_to(phases[phase]), bootstrap)
        for phase in {anchor.phase for anchor in anchors} & phases.keys()
    }
    check = AnchorCheck([Comparison(anchor, results[anchor.phase]) for anchor in anchors if anchor.phase in results])
    if not check.comparisons:
        wanted = ", ".join(sorted({anchor.phase for anchor in anchors}))
        what = f"no figure of {name} is of phase {', '.join(phases)}"
        raise DataError(f"{path}: {what}: score the trials of phase {wanted}")
    if all(comparison.is_equal for comparison in check.comparisons):
        return check
    return AnchorCheck(check.comparisons, list(find_reasons(name, check, read_metadata(path))))


def _phases(scored: ScoredTrials) -> dict[str, set[str]]:
    """The ids of the scored trials of each phase, and of all phases together where each is scored."""
    groups: dict[str, set[str]] = {}
    for trial in scored.trials:
        groups.setdefault(trial.facts["phase"], set()).add(trial.id)
    if len(groups) > 1 and groups.keys() == {trial.facts["phase"] for trial in scored.keys.trials}:
        groups["all"] = {trial.id for trial in scored.trials}
    return groups


def _result(phase: str, n_all: int, scored: ScoredTrials, bootstrap: Bootstrap) -> PhaseResult:
    bonafide, spoof = scored.bonafide, scored.spoof
    eers = (
        equal_error_rate(bonafide, spoof)[0],
        *confidence_interval(eer_samples([scored], bootstrap)[:, 0]),
        equal_error_rate(-bonafide, -spoof)[0],
        tie_aware_equal_error_rate(bonafide, spoof)[0],
    )
    return PhaseResult(phase, len(scored.trials), n_all, *(100 * eer for eer in eers))


def find_reasons(name: str, check: AnchorCheck, record: RunMetadata | None) -> Iterator[Reason]:
    """Try every known reason on the figures that are not the same."""
    wrong = [comparison for comparison in check.comparisons if not comparison.is_equal]
    yield _sign(wrong)
    yield _trials(wrong)
    yield _phase(name, wrong)
    yield _clips(check, wrong)
    yield _checkpoint(name, wrong)
    yield _ties(wrong)
    yield _settings(name, record)


def _sign(wrong: Sequence[Comparison]) -> Reason:
    negated = f"with the other sign the EER is {wrong[0].result.eer_negated:.2f} %"
    if any(comparison.explained_by(comparison.result.eer_negated, comparison.anchor.eer) for comparison in wrong):
        return Reason("sign", True, f"{negated}, as published", "negate the scores: higher must mean more bona fide")
    return Reason("sign", False, negated)


def _trials(wrong: Sequence[Comparison]) -> Reason:
    for result in (comparison.result for comparison in wrong):
        if result.n_trials != result.n_all:
            seen = f"{result.n_trials:,} trials of phase {result.phase}, and the figure is of {result.n_all:,}"
            return Reason("trials", True, seen, "score all trials, and take the organisers' own keys")
    return Reason("trials", False, "there are as many as the figure is of")


def _phase(name: str, wrong: Sequence[Comparison]) -> Reason:
    """Whether the trials have the EER that is published for another phase."""
    for comparison in wrong:
        result = comparison.result
        for other in CHECKPOINTS[name].anchors:
            is_other = other.corpus == comparison.anchor.corpus and other.phase != result.phase
            if is_other and comparison.explained_by(result.eer, other.eer):
                seen = f"{other.eer:g} % is the figure of phase {other.phase}, and the keys say {result.phase}"
                return Reason("phase", True, seen, "take the organisers' own keys, whose phases are right")
    return Reason("phase", False, "the figure is of no other phase")


def _clips(check: AnchorCheck, wrong: Sequence[Comparison]) -> Reason:
    """Whether a figure of other clips is the same."""
    for comparison in wrong:
        if check.is_of_other_clips(comparison):
            same = next(other for other in check.comparisons if other.is_equal)
            clips = clip_text(same.anchor.clip), clip_text(comparison.anchor.clip)
            seen = f"{same.anchor.eer:g} % is the figure of {clips[0]}, {comparison.anchor.eer:g} % of {clips[1]}"
            return Reason("clips", True, seen, f"compare with the figure of your clips; score {clips[1]} to get the other")
    return Reason("clips", False, "the figure is of no other clips")


def clip_text(clip: int | None) -> str:
    """What a detector is given of each recording."""
    return "whole utterances" if clip is None else f"{clip:,} samples"


def _checkpoint(name: str, wrong: Sequence[Comparison]) -> Reason:
    """Whether the EER is that of another checkpoint of this architecture, such as a mean of several."""
    for comparison in wrong:
        trials = comparison.anchor.corpus, comparison.anchor.phase
        for other_name, other in CHECKPOINTS.items():
            if other_name != name and other.detector == CHECKPOINTS[name].detector:
                for anchor in other.anchors:
                    if (anchor.corpus, anchor.phase) == trials and comparison.explained_by(comparison.result.eer, anchor.eer):
                        seen = f"{anchor.eer:g} % is the figure of {other_name}: {other.title}"
                        return Reason("checkpoint", True, seen, "score the checkpoint that the figure is of")
    return Reason("checkpoint", False, "the figure is of no other public checkpoint of this architecture")


def _ties(wrong: Sequence[Comparison]) -> Reason:
    tie_aware = f"with equal scores rejected together the EER is {wrong[0].result.eer_tie_aware:.2f} %"
    for comparison in wrong:
        result = comparison.result
        if abs(result.eer_tie_aware - comparison.anchor.eer) <= EQUAL < abs(result.eer_tie_aware - result.eer):
            return Reason("ties", True, f"{tie_aware}, as published", "write scores with more digits")
    return Reason("ties", False, tie_aware)


def _settings(name: str, record: RunMetadata | None) -> Reason:
    """What `sls score` recorded beside the scores: the checkpoint's hash, and settings that no figure is of."""
    if record is None:
        return Reason("settings", None, "no record of `sls score` beside the score file")
    unusual = [f"{setting} {record[setting]}" for setting, usual in USUAL.items() if record.get(setting, usual) != usual]
    file = PUBLISHED.get(name)
    if file and file.sha256 and record.get("checkpoint") != file.sha256:
        unusual.insert(0, f"a checkpoint that is not the published {file.file_name}")
    if unusual:
        return Reason("settings", True, ", ".join(unusual), "score the published file again, with the settings by default")
    return Reason("settings", False, "those by default" + (", and the published file" if file and file.sha256 else ""))
