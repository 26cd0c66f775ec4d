"""What a score means: its log-likelihood ratio, a probability and a verdict; kept in a JSON file by `sls threshold`."""

import json
import logging
import types
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from scipy.special import expit, logit

from protocols import DataError
from protocols.files import open_regular_file, replacing
from sls_plugin.metrics.operating_point import Share
from sls_plugin.scores.run_metadata import RunMetadata

logger = logging.getLogger(__name__)

VERSION = 1
MOST_BYTES, MOST_CHARACTERS = 1 << 16, 1000  # of a file, of a text in it
LARGEST = 1e100  # times the largest score it is still a number
Interval = tuple[float, float]


class Verdict(NamedTuple):
    """A score, its natural-log likelihood ratio, the probability of bona fide, and "bonafide", "spoof" or "undecided"."""

    score: float
    llr: float
    probability: float
    verdict: str


@dataclass(frozen=True, slots=True)
class ScoreSettings:
    """What decides the scores of a run: SHA-256 of the checkpoint, and the settings of `sls score`; windows in samples."""

    checkpoint: str
    llr: bool
    windows: int | None
    hop: int | None
    windows_score: str

    @classmethod
    def of_run(cls, metadata: RunMetadata | None) -> "ScoreSettings | None":
        """Those of a run by its record; None without a record, or with one of another version."""
        try:
            return _typed(cls, {field.name: (metadata or {})[field.name] for field in fields(cls)}, "settings")
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class Source:
    """The labelled trials that a decision was learned from; `resampled` are their "speakers" or "trials".

    Hashes are None for files that came through a pipe, `n_speakers` where trials are resampled, `settings` without a run record.
    """

    scores: str
    scores_sha256: str | None
    keys: str
    keys_sha256: str | None
    corpus: str
    phase: str
    n_bonafide: int
    n_spoof: int
    resampled: str
    n_speakers: int | None
    n_resamples: int
    settings: ScoreSettings | None


@dataclass(frozen=True, slots=True)
class ScoreCalibration:
    """The log-likelihood ratio of a score: weight x score + offset, with 95 % intervals."""

    weight: float
    weight_interval: Interval
    offset: float
    offset_interval: Interval


@dataclass(frozen=True, slots=True)
class ExpectedErrors:
    """How verdicts are expected to be wrong: bona fide judged spoof, spoofs judged bona fide, and of both undecided."""

    false_alarms: Share
    misses: Share
    undecided_bonafide: Share
    undecided_spoof: Share


@dataclass(frozen=True, slots=True)
class Decision:
    """How scores are judged, and how well that is known. Intervals are of 95 %.

    A score above `bonafide_above` is bona fide, one up to `spoof_up_to` spoof, one between them undecided; both are the
    `threshold` unless `max_error` limits the errors in each class. `prior` is the probability of bona fide before the score.
    """

    rule: str
    prior: float
    calibration: ScoreCalibration
    threshold: float
    threshold_interval: Interval
    max_error: float | None
    spoof_up_to: float
    bonafide_above: float
    auc: float
    chance_p_value: float
    errors: ExpectedErrors
    source: Source

    def verdict(self, score: float) -> Verdict:
        """What a score means."""
        llr = self.calibration.weight * score + self.calibration.offset
        decided = "bonafide" if score > self.bonafide_above else "spoof" if score <= self.spoof_up_to else "undecided"
        return Verdict(score, llr, float(expit(llr + logit(self.prior))), decided)

    @property
    def sha256(self) -> str:
        """What distinguishes it from others."""
        return sha256(_to_json(self).encode()).hexdigest()

    def require_same_scores(self, metadata: RunMetadata | None, path: Path) -> None:
        """DataError when a run, by its record, has scores of another detector or setting than those it was learned from.

        `path` is its file. Warns where nothing is known of either.
        """
        learned, settings = self.source.settings, ScoreSettings.of_run(metadata)
        if learned is None or settings is None:
            scores = f"{self.source.scores}, which it was learned from," if learned is None else "these scores"
            logger.warning("%s: no run record says which detector %s came from: make sure that it is the same", path, scores)
            return
        names = [field.name for field in fields(learned)]
        if differing := [name for name in names if getattr(learned, name) != getattr(settings, name)]:
            what = f"learned from scores that differ in {', '.join(differing)}"
            raise DataError(f"{path}: {what}: score the labelled trials with this detector and settings, and use `sls threshold`")


def write_decision(path: Path, decision: Decision) -> None:
    """Write a decision, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(_to_json(decision), encoding="utf-8")


def read_decision(path: str | Path) -> Decision:
    """Read a decision; DataError where the file is none, or a value in it is missing, of another type or impossible."""
    try:
        with open_regular_file(path) as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}: name a file that `sls threshold` wrote") from None
    try:
        if len(data) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES:,} bytes")
        content = json.loads(data.decode("utf-8"), parse_constant=float)
        if not isinstance(content, dict) or (version := content.pop("decision", None)) is None:
            raise ValueError("no decision of `sls threshold`")
        if version != VERSION:
            raise ValueError(f"version {version!r:.20}, and this program reads version {VERSION}")
        return _require_possible(_typed(Decision, content, "decision"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: {str(error) or 'not JSON'}: write it again with `sls threshold`") from None


def _to_json(decision: Decision) -> str:
    return json.dumps({"decision": VERSION, **asdict(decision)}, indent=2, allow_nan=False) + "\n"


def _typed(kind: Any, value: Any, name: str) -> Any:
    """A value of JSON as a type: a dataclass, a tuple, one of them or None, a finite number, a short text."""
    if isinstance(kind, types.UnionType):
        return None if value is None else _typed(get_args(kind)[0], value, name)
    if is_dataclass(kind):
        return _fields(kind, value, name)
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        if isinstance(value, list) and len(value) == len(kinds):
            return tuple(_typed(part, item, name) for part, item in zip(kinds, value, strict=True))
    elif kind is float:
        if type(value) in (int, float) and abs(value) <= LARGEST:  # not NaN either
            return float(value)
    elif type(value) is kind and (kind is not int or 0 <= value < 2**53) and (kind is not str or len(value) <= MOST_CHARACTERS):
        return value
    raise ValueError(f"{name} is {value!r:.40}, not {'a list of numbers' if get_origin(kind) else kind.__name__}")


def _fields(kind: type, value: Any, name: str) -> Any:
    """A dataclass from an object with exactly its fields."""
    kinds: Mapping[str, Any] = get_type_hints(kind)
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {value!r:.40}, not an object")
    if differing := sorted(kinds.keys() ^ value.keys()):
        raise ValueError(f"{name} {'lacks' if differing[0] in kinds else 'has the unknown'} {differing[0]!r:.40}")
    return kind(**{field: _typed(part, value[field], field) for field, part in kinds.items()})


def _require_possible(decision: Decision) -> Decision:
    """The decision; ValueError where its numbers contradict each other."""
    if not 0 < decision.prior < 1:
        raise ValueError(f"the prior {decision.prior:g} is not between 0 and 1")
    if not decision.calibration.weight > 0:
        raise ValueError(f"the weight {decision.calibration.weight:g} is not above 0")
    if not decision.spoof_up_to <= decision.threshold <= decision.bonafide_above:
        raise ValueError("spoof_up_to, threshold and bonafide_above are not in order")
    shares = [getattr(decision.errors, field.name) for field in fields(decision.errors)]
    rates = [rate for share in shares for rate in (share.value, *share.interval)]
    if not all(0 <= rate <= 1 for rate in (*rates, decision.auc, decision.chance_p_value)):
        raise ValueError("a rate is not between 0 and 1")
    return decision
