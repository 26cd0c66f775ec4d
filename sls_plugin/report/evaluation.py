"""Scores against keys: the checks that come before any figure, and the figures."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protocols import DataError
from protocols.keys import Keys
from sls_plugin.metrics.det import equal_error_rate, tie_aware_equal_error_rate, ties_across_classes
from sls_plugin.scoring.score_file import counted, read_scores

MANY_TIES = 0.01  # of the trials of a class
AUDIO_SUFFIXES = (".wav", ".flac")


@dataclass(frozen=True, slots=True)
class AttackResult:
    """The equal error rate of the spoofs of one attack against all bona fide trials."""

    n_spoof: int
    eer: float


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The scored trials of a corpus, in the order of its keys, and how well the scores tell the classes apart.

    `scores` is a float array, `is_bonafide` a boolean array beside it; rates are fractions. `n_missing` trials of the
    keys have no score and are left out; `warnings` are sentences for the reader.
    """

    keys: Keys
    ids: list[str]
    scores: np.ndarray
    is_bonafide: np.ndarray
    n_missing: int
    eer: float
    eer_threshold: float
    per_attack: Mapping[str, AttackResult]
    warnings: tuple[str, ...]

    @property
    def bonafide(self) -> np.ndarray:
        """The scores of the bona fide trials."""
        return self.scores[self.is_bonafide]

    @property
    def spoof(self) -> np.ndarray:
        """The scores of the spoofs."""
        return self.scores[~self.is_bonafide]


def evaluate(path: str | Path, keys: Keys, allow_missing: bool = False, negate: bool = False) -> Evaluation:
    """Evaluate a score file; with `negate` all scores change their sign first.

    Raises DataError on a file that `read_scores` refuses, ids that the keys do not know, trials without a score
    (unless `allow_missing`, which leaves them out), and a class without trials.
    """
    scores = _joined(path, read_scores(path), keys, allow_missing)
    trials = [trial for trial in keys.trials if trial.id in scores]
    values = np.array([scores[trial.id] for trial in trials]) * (-1 if negate else 1)
    is_bonafide = np.array([trial.label == "bonafide" for trial in trials], dtype=bool)
    if is_bonafide.all() or not is_bonafide.any():
        what = f"{len(trials):,} trials with a score, of which {is_bonafide.sum():,} are bona fide"
        raise DataError(f"{keys.path}: {what}: error rates need trials of both classes")
    bonafide, spoof = values[is_bonafide], values[~is_bonafide]
    eer, eer_threshold = equal_error_rate(bonafide, spoof)
    return Evaluation(
        keys=keys,
        ids=[trial.id for trial in trials],
        scores=values,
        is_bonafide=is_bonafide,
        n_missing=len(keys.trials) - len(trials),
        eer=eer,
        eer_threshold=eer_threshold,
        per_attack=_per_attack(bonafide, spoof, [t.facts.get("attack", "") for t in trials if t.label == "spoof"]),
        warnings=tuple(_warnings(bonafide, spoof, eer, negate)),
    )


def _joined(path: str | Path, scores: Mapping[str, float], keys: Keys, allow_missing: bool) -> Mapping[str, float]:
    """The scores under the ids of the keys, after the check that each belongs to a trial and each trial has one."""
    chosen = {trial.id for trial in keys.trials}
    scores = _under_known_ids(scores, chosen | keys.other_phases)
    missing = [repr(trial.id) for trial in keys.trials if trial.id not in scores]
    unknown = [name for name in scores if name not in chosen and name not in keys.other_phases]
    if not unknown and (allow_missing or not missing):
        return scores
    problems = [
        counted([repr(name) for name in unknown], "id is not in the keys", "ids are not in the keys"),
        counted(missing, "trial of the keys has no score", "trials of the keys have no score"),
    ]
    raise DataError(f"{path}: {', '.join(filter(None, problems))}: {_remedy(unknown, missing, chosen)}")


def _remedy(unknown: Collection[str], missing: Collection[str], known: Collection[str]) -> str:
    """What to do about unknown ids or missing trials."""
    if unknown and all(name.split()[0] in known for name in unknown):
        return "a line is `id score`: drop the columns between, as `awk '{print $1, $NF}'` does"
    if unknown:
        return "check that the keys and the scores are of the same corpus"
    return "score them, or evaluate the rest with `sls evaluate --allow-missing`"


def _under_known_ids(scores: Mapping[str, float], known: Collection[str]) -> Mapping[str, float]:
    """The scores with the suffix of a recording added to or taken from an id where the keys have it that way."""
    renamed = dict(scores)
    for name in scores:
        if name not in known:
            spellings = (*(name.removesuffix(s) for s in AUDIO_SUFFIXES), *(name + s for s in AUDIO_SUFFIXES))
            spelling = next((spelling for spelling in spellings if spelling in known), name)
            if spelling not in scores and spelling not in renamed:
                renamed[spelling] = renamed.pop(name)
    return renamed


def _per_attack(bonafide: np.ndarray, spoof: np.ndarray, attacks: list[str]) -> dict[str, AttackResult]:
    """The result of each attack by name, against all bona fide trials; empty when no attack is known."""
    if not any(attacks):
        return {}
    names, attack_of_spoof = np.unique([attack or "unknown" for attack in attacks], return_inverse=True)
    results = {}
    for index, name in enumerate(names):
        of_attack = spoof[attack_of_spoof == index]
        results[str(name)] = AttackResult(len(of_attack), equal_error_rate(bonafide, of_attack)[0])
    return results


def _warnings(bonafide: np.ndarray, spoof: np.ndarray, eer: float, negate: bool) -> list[str]:
    """What a reader must know before believing the equal error rate."""
    warnings = []
    if eer > 0.5:
        remedy = "without --negate" if negate else "with --negate"
        other = equal_error_rate(-bonafide, -spoof)[0]
        warnings.append(
            f"the EER of {_percent(eer)} is above 50 %: the sign of the scores may be inverted (higher must mean more "
            f"bona fide); `sls evaluate` {remedy} gives {_percent(other)}"
        )
    tied_bonafide, tied_spoof = ties_across_classes(bonafide, spoof)
    if max(tied_bonafide / bonafide.size, tied_spoof / spoof.size) >= MANY_TIES:
        tie_aware = tie_aware_equal_error_rate(bonafide, spoof)[0]
        warnings.append(
            f"many ties: {tied_bonafide:,} bona fide trials and {tied_spoof:,} spoofs share a score with the other "
            f"class; the official EER counts them against the system ({_percent(eer)}), counted together they give "
            f"{_percent(tie_aware)}"
        )
    return warnings


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f} %"
