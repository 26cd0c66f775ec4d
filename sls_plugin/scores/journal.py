"""What a run has scored so far, on disk, so that a run that was stopped at any moment can be resumed."""

import errno
import fcntl
import glob
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from protocols import DataError, Trial
from protocols.files import replacing
from sls_plugin.scores.recording_states import combined, digest, recording_state
from sls_plugin.scores.run_metadata import RunMetadata, require_same_run
from sls_plugin.scores.timeline import WindowScore

logger = logging.getLogger(__name__)

Outcome = float | str | list[WindowScore]  # of a trial: its score, why it has none, or the scores of its windows


class Journal:
    """The metadata of a run on the first line, then a line for each trial in order.

    A line holds the id, the score or why there is none, the size and modification time of the recording, and its conditions
    (`sls_plugin.data.conditions`) if it has some. `broken` are the positions of trials that an earlier run has no score of.

    Of an earlier run, whole batches (`batch_size` trials) are kept, so that the batches after them, and with them the
    scores, are the same as without the stop. Raises DataError when there is an earlier run and neither `resume`
    nor `overwrite`, when its metadata differ, when a recording has changed since it was scored, and when another process is
    writing the file.
    """

    def __init__(
        self,
        path: Path,
        metadata: RunMetadata,
        trials: Sequence[Trial],
        batch_size: int,
        *,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.path = path
        self.trials = trials
        self.n_done = 0
        self.broken: list[int] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(path, "a+b", buffering=0)  # noqa: SIM115  (unbuffered: a crash loses nothing)
        try:
            self._lock(self.file)
            header, *outcomes = list(islice(self._lines(), 2)) or [b""]
            if overwrite or not outcomes:
                self.file.truncate(0)
                self._write(metadata)
            elif not resume:
                raise DataError(f"{path}: left by a run that was stopped: --resume continues it, --overwrite starts again")
            else:
                require_same_run(metadata, _parsed(header), path)
                self._keep_batches(batch_size)
        except BaseException:
            self.file.close()
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *error: object) -> None:
        if self.n_done == 0:  # nothing to resume
            self.path.unlink(missing_ok=True)
        self.file.close()

    def add(self, name: str, outcome: Outcome, conditions: Sequence[str] = ()) -> None:
        """Write the outcome of the next trial; a full disk raises DataError and keeps the lines before it whole."""
        if isinstance(outcome, str):
            self.broken.append(self.n_done)
        self._write(_record(self.trials[self.n_done], name, outcome, conditions))
        self.n_done += 1

    def replace(self, outcomes: Mapping[str, tuple[Outcome, Sequence[str]]]) -> None:
        """Replace the outcomes and conditions of trials by id, all at once: a crash leaves the earlier ones."""
        with replacing(self.path) as temporary:
            with open(temporary, "wb") as file:
                lines = self._lines()
                file.write(next(lines))
                for trial, line in zip(self.trials, lines, strict=False):
                    if trial.id in outcomes:
                        line = _line(_record(trial, trial.id, *outcomes[trial.id]))
                    file.write(line)
            renewed = open(temporary, "a+b", buffering=0)  # noqa: SIM115
            self._lock(renewed)
        self.file.close()
        self.file = renewed

    def outcomes(self) -> Iterator[tuple[str, Outcome]]:
        """All ids and outcomes, in order."""
        return map(_outcome, self.lines())

    def lines(self) -> Iterator[bytes]:
        """The lines of all trials, in order."""
        return islice(self._lines(), 1, None)

    def recordings(self) -> str | None:
        """A digest of the recordings that have a score; None in a journal of an earlier version, which does not record them."""
        records = map(json.loads, self.lines())
        try:
            return combined(digest(name, state) for name, outcome, state, *_ in records if not isinstance(outcome, str))
        except ValueError:  # not enough values to unpack
            return None

    def sync(self) -> None:
        """Make all outcomes visible to processes on other machines."""
        os.fsync(self.file.fileno())

    def _lock(self, file: BinaryIO) -> None:
        """Refuse a second process. Record locks end with their process; other kinds would survive in orphaned data workers."""
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked = os.fstat(file.fileno()).st_nlink == 0  # the other process has just finished
        except OSError as error:
            locked = error.errno in (errno.EACCES, errno.EAGAIN)
            if not locked:
                logger.warning("%s: this file system has no locks: make sure that no other process writes it", self.path)
        if locked:
            raise DataError(f"{self.path}: another process is writing it: wait until it ends, or name another --output")

    def _keep_batches(self, batch_size: int) -> None:
        """Keep the whole batches of an earlier run, line by line; cut off what a crash left after them."""
        lines = self._lines()
        end = kept = len(next(lines))
        broken, batch = [], []
        for number, (trial, line) in enumerate(zip(self.trials, lines, strict=False), start=1):
            match _parsed(line):
                case [trial.id, str(), *_]:
                    broken.append(number - 1)
                case [trial.id, float() | list(), *state]:
                    batch.append((trial, state))
                case _:
                    break
            end += len(line)
            if number % batch_size == 0 or number == len(self.trials):
                for scored, state in batch:
                    _require_unchanged(scored, state)
                self.n_done, kept, batch = number, end, []
        self.broken = [position for position in broken if position < self.n_done]
        self.file.truncate(kept)

    def _lines(self) -> Iterator[bytes]:
        # Closing another descriptor of this file would release the lock.
        with open(self.file.fileno(), "rb", closefd=False) as lines:
            lines.seek(0)
            yield from lines

    def _write(self, value: Any) -> None:
        line = _line(value)
        n_written = 0
        try:
            while n_written < len(line):  # a nearly full disk writes a part
                n_written += self.file.write(line[n_written:])
        except OSError as error:
            self.file.truncate(self.file.seek(0, os.SEEK_END) - n_written)
            raise DataError(f"{self.path}: {error.strerror}: free some disk space") from None


def journal_path(scores_path: Path, rank: int) -> Path:
    """The path of the journal of one process of a run."""
    return Path(f"{scores_path}.partial" + (f".{rank}" if rank else ""))


def journals(scores_path: Path) -> list[Path]:
    """The journals of all processes, including those left by an earlier run with more processes."""
    others = scores_path.parent.glob(f"{glob.escape(scores_path.name)}.partial.[0-9]*")
    return [journal_path(scores_path, 0), *others]


def iter_all_ranks(scores_path: Path, own: Journal, n_done: Sequence[int]) -> Iterator[tuple[str, Outcome]]:
    """The ids and outcomes of all processes of a finished run, this one (rank 0) first.

    `n_done` are their numbers of trials, by rank. Raises DataError when trials of a process are missing.
    """
    return map(_outcome, _lines_of_all_ranks(scores_path, own, n_done))


def warnings_of_all_ranks(scores_path: Path, own: Journal, n_done: Sequence[int]) -> dict[str, str]:
    """The conditions of recordings, joined by blanks, by the ids of those trials that have some; as `iter_all_ranks`."""
    found: dict[str, str] = {}
    for line in _lines_of_all_ranks(scores_path, own, n_done):
        name, _, *state_and_conditions = json.loads(line)
        for conditions in state_and_conditions[1:]:
            found[name] = sys.intern(" ".join(conditions))
    return found


def _lines_of_all_ranks(scores_path: Path, own: Journal, n_done: Sequence[int]) -> Iterator[bytes]:
    yield from own.lines()
    for rank, expected in enumerate(n_done[1:], start=1):
        path = journal_path(scores_path, rank)
        lines = path.read_bytes().splitlines()[1:] if expected and path.exists() else []
        if len(lines) != expected:
            what = f"{len(lines):,} of {expected:,} trials of rank {rank} are here"
            raise DataError(f"{path}: {what}: name an --output in a folder that all machines share")
        yield from lines


def _outcome(line: bytes) -> tuple[str, Outcome]:
    name, outcome, *_ = json.loads(line)
    return name, outcome


def _record(trial: Trial, name: str, outcome: Outcome, conditions: Sequence[str]) -> list[Any]:
    return [name, outcome, recording_state(trial.audio), *([list(conditions)] if conditions else [])]


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _require_unchanged(trial: Trial, state: Sequence[Any]) -> None:
    """DataError when a recording is not the one that was scored; `state` is empty in journals of earlier versions."""
    if any(state) and state[0] != recording_state(trial.audio):
        what = "changed since it was scored (its size or modification time)"
        raise DataError(f"{trial.audio}: {what}: give --overwrite to score all recordings again")


def _parsed(line: bytes) -> Any:
    """The value of a line; None when the line is incomplete, as after a crash."""
    try:
        return json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
