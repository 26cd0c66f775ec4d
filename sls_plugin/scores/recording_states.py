"""Whether recordings are still those that were scored: their sizes and modification times."""

import os
from collections.abc import Iterable, Sequence
from functools import reduce
from hashlib import sha256
from operator import xor

from protocols import DataError, Trial

State = list[int]  # size in bytes, modification time in ns


def recording_state(audio: str) -> State | None:
    """The state of a recording; None when it is not there."""
    try:
        status = os.stat(audio)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def digest(name: str, state: State | None) -> str:
    """16 hexadecimal digits for the id of a trial and the state of its recording."""
    return sha256(f"{name}\t{state}".encode("utf-8", "surrogateescape")).hexdigest()[:16]


def combined(digests: Iterable[str]) -> str:
    """One digest of many, in any order: that of a run is combined of its shards'."""
    return f"{reduce(xor, (int(each, 16) for each in digests), 0):016x}"


def require_same_recordings(trials: Sequence[Trial], expected: str) -> None:
    """DataError, with the recording that changed last, when the digest of the recordings is not the expected one."""
    if combined(digest(trial.id, recording_state(trial.audio)) for trial in trials) != expected:
        gone = [trial.audio for trial in trials if not os.path.exists(trial.audio)]
        last = gone[0] if gone else max((trial.audio for trial in trials), key=lambda audio: os.stat(audio).st_ctime_ns)
        what = "this or another recording changed since it was scored (its size or modification time)"
        raise DataError(f"{last}: {what}: give --overwrite to score all recordings again")
