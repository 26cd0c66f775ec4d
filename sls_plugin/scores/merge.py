"""Merges the score files of shards."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from protocols import DataError
from sls_plugin.scores.extra_columns import refuse_extra_columns
from sls_plugin.scores.journal import Outcome, journal_path
from sls_plugin.scores.recording_states import combined
from sls_plugin.scores.run_metadata import RunMetadata, read_metadata, require_same_run
from sls_plugin.scores.score_file import errors_path, read_errors, read_scores, summarise

logger = logging.getLogger(__name__)


def in_order(paths: Sequence[Path], is_checked: bool) -> tuple[list[Path], RunMetadata | None]:
    """The score files in the order of their shards, and the metadata of the whole run.

    Where a file has no metadata, being another program's, the order is as given and the metadata are None, with a warning
    unless a manifest says which trials there are (`is_checked`). Raises DataError on files of different runs and on a shard
    that is left out.
    """
    found = {path: metadata for path in paths if (metadata := read_metadata(path))}
    if without := [str(path) for path in paths if path not in found]:
        if not is_checked:
            what = summarise(without, "score file", "score files")
            logger.warning("%s: no run record found, or changed since: a missing shard is noticed with --manifest only", what)
        return list(paths), None
    shards = {path: tuple(metadata["shard"]) for path, metadata in found.items()}
    recordings = {path: metadata.pop("recordings", None) for path, metadata in found.items()}
    whole = {path: metadata | {"shard": [0, 1]} for path, metadata in found.items()}
    for path in paths:
        require_same_run(whole[paths[0]], whole[path], path, "give the shards of one run")
    n_shards = max(n_shards for _, n_shards in shards.values())
    if missing := [f"{index}/{n_shards}" for index in range(n_shards) if (index, n_shards) not in shards.values()]:
        raise DataError(f"{paths[0]}: {summarise(missing, 'shard is', 'shards are')} left out: give all score files of the run")
    together = {"recordings": combined(recordings.values())} if all(recordings.values()) else {}
    return sorted(paths, key=shards.__getitem__), whole[paths[0]] | together


def merge_outcomes(paths: Sequence[Path], expected: Iterable[str] | None = None) -> dict[str, Outcome]:
    """The score of each trial, or why it has none, from all files; in the order of the ids `expected`.

    Raises DataError with the counts and first examples of ids that are repeated, missing, or not expected, and, where
    none are expected, as `refuse_extra_columns` does.
    """
    outcomes: dict[str, Outcome] = {}
    repeated = []
    for path in paths:
        shard_outcomes = read_outcomes(path)
        if expected is None:
            refuse_extra_columns(path, {name: score for name, score in shard_outcomes.items() if not isinstance(score, str)})
        repeated += [f"{name!r} in {path}" for name in shard_outcomes if name in outcomes]
        outcomes |= shard_outcomes
    order = dict.fromkeys(outcomes if expected is None else expected)
    problems = [
        summarise(repeated, "repeated id", "repeated ids"),
        summarise([repr(name) for name in order if name not in outcomes], "trial without a score", "trials without a score"),
        summarise([repr(name) for name in outcomes if name not in order], "unknown id", "unknown ids"),
    ]
    if any(problems):
        remedy = "give each shard of the run once, and the --manifest that it scored"
        raise DataError(f"{paths[0]} and the other score files: {', '.join(filter(None, problems))}: {remedy}")
    return {name: outcomes[name] for name in order}


def read_outcomes(path: Path) -> dict[str, Outcome]:
    """The score of each trial in a file, or why it has none; a shard may have no trial at all."""
    if not path.exists() and (unfinished := journal_path(path, 0)).exists():
        raise DataError(f"{unfinished}: this shard is not finished: continue it with `sls score --resume`")
    is_empty = path.is_file() and not path.stat().st_size  # a pipe has the size 0 too
    scores = {} if is_empty else read_scores(path)
    reasons = read_errors(path)
    if both := [repr(name) for name in scores if name in reasons]:
        what = summarise(both, "trial", "trials")
        raise DataError(f"{path}: {what} with a score, but also listed as broken in {errors_path(path)}: remove one of the two")
    return scores | reasons
