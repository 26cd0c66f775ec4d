"""The score files of shards to the scores of the whole."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from protocols import DataError
from sls_plugin.scores.journal import Outcome, journal_path
from sls_plugin.scores.run_metadata import Record, read_record, require_same
from sls_plugin.scores.score_file import counted, errors_path, read_errors, read_scores

logger = logging.getLogger(__name__)


def in_order(paths: Sequence[Path]) -> tuple[list[Path], Record | None]:
    """The score files in the order of their shards, and the record of the whole run.

    As given and None where a file has no record, being of another program; a warning when others have one. Raises DataError
    on files of different runs and on a shard that is left out.
    """
    records = {path: record for path in paths if (record := read_record(path))}
    if without := [str(path) for path in paths if path not in records]:
        if records:
            what = counted(without, "score file", "score files")
            logger.warning("%s: no record of a run, or changed since: only with --manifest is a shard missed", what)
        return list(paths), None
    shards = {path: tuple(record["shard"]) for path, record in records.items()}
    whole = {path: record | {"shard": [0, 1]} for path, record in records.items()}
    for path in paths:
        require_same(whole[paths[0]], whole[path], path, "give the shards of one run")
    n_shards = max(n_shards for _, n_shards in shards.values())
    if missing := [f"{index}/{n_shards}" for index in range(n_shards) if (index, n_shards) not in shards.values()]:
        raise DataError(f"{paths[0]}: {counted(missing, 'shard is', 'shards are')} left out: give all score files of the run")
    return sorted(paths, key=shards.__getitem__), whole[paths[0]]


def merge_outcomes(paths: Sequence[Path], expected: Iterable[str] | None = None) -> dict[str, Outcome]:
    """The score of each trial, or why it has none, of all files; in the order of the ids `expected`.

    Raises DataError with the counts and first examples of ids that return, and of those expected that are missing, or not
    expected.
    """
    outcomes: dict[str, Outcome] = {}
    repeated = []
    for path in paths:
        of_path = _outcomes(path)
        repeated += [f"{name!r} in {path}" for name in of_path if name in outcomes]
        outcomes |= of_path
    order = dict.fromkeys(outcomes if expected is None else expected)
    problems = [
        counted(repeated, "repeated id", "repeated ids"),
        counted([repr(name) for name in order if name not in outcomes], "trial without a score", "trials without a score"),
        counted([repr(name) for name in outcomes if name not in order], "unknown id", "unknown ids"),
    ]
    if any(problems):
        remedy = "give each shard of the run once, and what it scored"
        raise DataError(f"{paths[0]} and the other score files: {', '.join(filter(None, problems))}: {remedy}")
    return {name: outcomes[name] for name in order}


def _outcomes(path: Path) -> dict[str, Outcome]:
    """The outcomes of a shard, which may have no trial at all."""
    if not path.exists() and (unfinished := journal_path(path, 0)).exists():
        raise DataError(f"{unfinished}: this shard is not finished: go on with `sls score --resume`")
    scores = read_scores(path) if path.stat().st_size else {}
    reasons = read_errors(path) if errors_path(path).exists() else {}
    if both := [repr(name) for name in scores if name in reasons]:
        what = counted(both, "trial", "trials")
        raise DataError(f"{path}: {what} with a score, and with a reason for having none in {errors_path(path)}: remove one")
    return scores | reasons
