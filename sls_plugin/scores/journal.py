"""What a run has scored so far, on disk, so that a run that was stopped at any moment goes on from there."""

import errno
import fcntl
import glob
import json
import logging
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from protocols import DataError, Trial
from sls_plugin.scores.run_metadata import Record, require_same
from sls_plugin.scores.timeline import WindowScore

logger = logging.getLogger(__name__)

Outcome = float | str | list[WindowScore]  # of a trial: its score, why it has none, or the scores of its windows


class Journal:
    """The record of a run on the first line, then a line for each trial in order: its id, and its score or why it has none.

    Of an earlier run, whole batches (`batch_size` trials) are kept, so that the batches after them, and with them the
    scores, are those of a run that was never stopped. Raises DataError when there is an earlier run and neither `resume`
    nor `overwrite`, when its record differs, and when another process is writing the file.
    """

    def __init__(
        self,
        path: Path,
        record: Record,
        trials: Sequence[Trial],
        batch_size: int,
        *,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.path = path
        self.n_done = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(path, "a+b", buffering=0)  # noqa: SIM115  (what is written has left the process)
        try:
            self._lock()
            header, *outcomes = list(islice(self._lines(), 2)) or [b""]
            if overwrite or not outcomes:
                self.file.truncate(0)
                self._write(record)
            elif not resume:
                raise DataError(f"{path}: left by a run that was stopped: --resume goes on with it, --overwrite starts again")
            else:
                require_same(record, _parsed(header), path)
                self._keep_batches(trials, batch_size)
        except BaseException:
            self.file.close()
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *error: object) -> None:
        if self.n_done == 0:  # nothing to go on from
            self.path.unlink(missing_ok=True)
        self.file.close()

    def add(self, name: str, outcome: Outcome) -> None:
        """Write the outcome of the next trial; a full disk raises DataError and leaves the lines before it whole."""
        self._write([name, outcome])
        self.n_done += 1

    def outcomes(self) -> Iterator[tuple[str, Outcome]]:
        """All ids and outcomes, in order."""
        return map(_outcome, islice(self._lines(), 1, None))

    def sync(self) -> None:
        """Let the processes of other machines see all outcomes."""
        os.fsync(self.file.fileno())

    def _lock(self) -> None:
        """Refuse a second process. A record lock dies with its process; other kinds live on in orphaned data workers."""
        try:
            fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked = os.fstat(self.file.fileno()).st_nlink == 0  # the other one finished in this moment
        except OSError as error:
            locked = error.errno in (errno.EACCES, errno.EAGAIN)
            if not locked:
                logger.warning("%s: this file system has no locks: let no second process write it", self.path)
        if locked:
            raise DataError(f"{self.path}: another process is writing it: wait for its end, or name another --output")

    def _keep_batches(self, trials: Sequence[Trial], batch_size: int) -> None:
        """Keep whole batches of whole lines that tell of these trials; cut off what a crash left after them."""
        lines = self._lines()
        end = kept = len(next(lines))
        for number, (trial, line) in enumerate(zip(trials, lines, strict=False), start=1):
            match _parsed(line):
                case [trial.id, float() | str() | list()]:
                    end += len(line)
                case _:
                    break
            if number % batch_size == 0 or number == len(trials):
                self.n_done, kept = number, end
        self.file.truncate(kept)

    def _lines(self) -> Iterator[bytes]:
        # To close another descriptor of this file would give up the lock.
        with open(self.file.fileno(), "rb", closefd=False) as lines:
            lines.seek(0)
            yield from lines

    def _write(self, value: Any) -> None:
        line = json.dumps(value).encode() + b"\n"
        n_written = 0
        try:
            while n_written < len(line):  # a disk that is nearly full takes a part
                n_written += self.file.write(line[n_written:])
        except OSError as error:
            self.file.truncate(self.file.seek(0, os.SEEK_END) - n_written)
            raise DataError(f"{self.path}: {error.strerror}: make room") from None


def journal_path(scores_path: Path, rank: int) -> Path:
    """Where a process of a run, by its rank, notes its outcomes."""
    return Path(f"{scores_path}.partial" + (f".{rank}" if rank else ""))


def journals(scores_path: Path) -> list[Path]:
    """The journals of all processes that are here, an earlier run's with more processes too."""
    others = scores_path.parent.glob(f"{glob.escape(scores_path.name)}.partial.[0-9]*")
    return [journal_path(scores_path, 0), *others]


def joined(scores_path: Path, own: Journal, n_done: Sequence[int]) -> Iterator[tuple[str, Outcome]]:
    """The ids and outcomes of all processes of a run: this one, of rank 0, and the others, all of them done.

    `n_done` are their numbers of trials, by rank. Raises DataError where those of a process are not all here.
    """
    yield from own.outcomes()
    for rank, expected in enumerate(n_done[1:], start=1):
        path = journal_path(scores_path, rank)
        lines = path.read_bytes().splitlines()[1:] if expected and path.exists() else []
        if len(lines) != expected:
            what = f"{len(lines):,} of {expected:,} trials of process {rank} are here"
            raise DataError(f"{path}: {what}: name an --output in a folder that all machines share")
        yield from map(_outcome, lines)


def _outcome(line: bytes) -> tuple[str, Outcome]:
    name, outcome = json.loads(line)
    return name, outcome


def _parsed(line: bytes) -> Any:
    """What a line holds; None when it is not whole, as lines may be after a crash."""
    try:
        return json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
