"""Labels that the scores of a detector contradict.

A trial contradicts its label as far as it outdoes the other class: a bona fide trial by the share of the spoofs that score
higher, a spoof by the share of the bona fide trials that score lower. The order of scores is all that counts. Of wrong labels
about half score beyond the median of the other class, where hardly any right label does if the detector is good.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protocols import DataError, Trial
from protocols.keys import Keys
from sls_plugin.evaluation.scored_trials import ScoredTrials, read_scored_trials
from sls_plugin.metrics.det import equal_error_rate
from sls_plugin.scores.score_file import read_scores

BEYOND = 0.5  # of the other class: what is called suspect
WEAK_EER = 0.1  # of detectors whose errors say little of labels
HEADER = ("split", "id", "label", "score", "share", "audio")  # of the table of contradictions


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A trial on the wrong side of the threshold, and the share of the other class that it outdoes."""

    trial: Trial
    score: float
    share: float

    def __str__(self) -> str:
        side = "lower than {} of the spoofs" if self.trial.label == "bonafide" else "higher than {} of the bona fide trials"
        return f"{self.trial.id} ({self.trial.label}) scores {side.format(f'{100 * self.share:.1f} %')}"


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """What scores say of the labels of a split; EERs are fractions, `eer_without` that of the trials that are not suspect.

    `contradictions` are all trials on the wrong side of the threshold of the EER, the worst first.
    """

    split: str
    n_trials: int
    n_missing: int
    eer: float
    eer_without: float
    contradictions: Sequence[Contradiction]

    @property
    def suspects(self) -> list[Contradiction]:
        """Trials that score beyond the median of the other class."""
        return [item for item in self.contradictions if item.share > BEYOND]


def find_label_noise(path: Path, splits: Mapping[str, tuple[Path, Sequence[Trial]]]) -> Iterator[LabelNoise]:
    """What a score file says of each split of which it has scores; `splits` are manifests and their trials by name.

    Raises DataError as `read_scored_trials`, on scores of no split, and on scores that mean the opposite.
    """
    ids = {name: frozenset(trial.id for trial in trials if trial.label) for name, (_, trials) in splits.items()}
    scored_ids = read_scores(path).keys()
    found = [name for name in splits if not ids[name].isdisjoint(scored_ids)] or list(splits)  # none: the error names the ids
    for name in found:
        manifest, trials = splits[name]
        others = frozenset(trial.id for _, listed in splits.values() for trial in listed) - ids[name]
        keys = Keys("labels", manifest, "all", [trial for trial in trials if trial.label], others)
        yield contradictions(name, path, read_scored_trials(path, keys, allow_missing=True))


def contradictions(split: str, path: Path, scored: ScoredTrials) -> LabelNoise:
    """What the scores of one split say; DataError where they mean the opposite."""
    bonafide, spoof = scored.bonafide, scored.spoof
    eer, threshold = equal_error_rate(bonafide, spoof)
    if eer > 0.5 > equal_error_rate(-bonafide, -spoof)[0]:
        raise DataError(f"{path}: {split}: the EER is {100 * eer:.2f} %: higher must mean more bona fide: negate the scores")
    shares = shares_outdone(scored)
    wrong = np.where(scored.is_bonafide, scored.scores <= threshold, scored.scores > threshold)
    order = [index for index in np.argsort(-shares, kind="stable") if wrong[index]]
    kept = ~(wrong & (shares > BEYOND))
    return LabelNoise(
        split=split,
        n_trials=len(scored.trials),
        n_missing=scored.n_missing,
        eer=eer,
        eer_without=equal_error_rate(scored.scores[kept & scored.is_bonafide], scored.scores[kept & ~scored.is_bonafide])[0],
        contradictions=[Contradiction(scored.trials[i], float(scored.scores[i]), float(shares[i])) for i in order],
    )


def shares_outdone(scored: ScoredTrials) -> np.ndarray:
    """The share of the other class that each trial outdoes: a bona fide trial by a lower score, a spoof by a higher one."""
    bonafide, spoof = np.sort(scored.bonafide), np.sort(scored.spoof)
    higher_spoofs = 1 - np.searchsorted(spoof, scored.scores, side="right") / spoof.size
    lower_bonafide = np.searchsorted(bonafide, scored.scores, side="left") / bonafide.size
    return np.where(scored.is_bonafide, higher_spoofs, lower_bonafide)


def as_lines(noise: LabelNoise) -> Iterator[str]:
    """What was found, for the terminal; the worst ten by name."""
    trials = f"{noise.n_trials:,} scored trials" + (f" ({noise.n_missing:,} have no score)" if noise.n_missing else "")
    yield (
        f"{noise.split}: {trials}, {len(noise.suspects):,} beyond the median of the other class: EER {100 * noise.eer:.2f} % "
        f"with them, {100 * noise.eer_without:.2f} % without; none is left out"
    )
    if noise.eer > WEAK_EER:
        yield "  the detector errs too often to say much of the labels"
    for item in noise.suspects[:10]:
        yield f"  {item}"


def as_json(noise: LabelNoise) -> dict[str, object]:
    """What was found, for a JSON file."""
    return {
        "split": noise.split, "n_trials": noise.n_trials, "n_missing": noise.n_missing, "eer": noise.eer,
        "eer_without": noise.eer_without, "suspects": [item.trial.id for item in noise.suspects],
    }  # fmt: skip


def as_rows(noise: LabelNoise) -> Iterator[tuple[str, ...]]:
    """A row for each contradiction, of the columns of `HEADER`."""
    for item in noise.contradictions:
        yield noise.split, item.trial.id, item.trial.label, f"{item.score:.9g}", f"{item.share:.6f}", item.trial.audio
