"""A whole scoring run: recordings to a score file; resumable, and shared over shards and processes."""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fairseq_ckpt.errors import CheckpointError
from protocols import DataError, SettingError, Trial
from protocols.audio_format import samples_of
from sls_plugin.inference.inputs import read_inputs
from sls_plugin.inference.shards import ProcessGroup, shard
from sls_plugin.scores.journal import Journal, Outcome, iter_all_ranks, journal_path, journals
from sls_plugin.scores.outputs import refuse_inputs, require_free
from sls_plugin.scores.run_metadata import RunMetadata, read_metadata, require_same_run, trials_sha256, write_metadata
from sls_plugin.scores.score_file import errors_path, require_writable, write_outcomes
from sls_plugin.scores.timeline import recording_scores, timeline_path, write_timeline

if TYPE_CHECKING:
    from sls_plugin.inference.engine import ScoringEngine

DTYPES = ("float32", "bfloat16", "float16")
MANY_TRIALS = 64  # from this number on, packing the weights pays


@dataclass(frozen=True)
class ScoringSummary:
    """How many scores a run wrote, and how many broken recordings have none; None for both if nothing was left to do.

    `is_share`: another process of the run writes the file.
    """

    n_scores: int | None = None
    n_broken: int | None = None
    is_share: bool = False


@dataclass
class ScoringRun:
    """Scores recordings with a checkpoint and writes a score file, with a line `id score` for each in input order.

    A run that was stopped is continued with `resume`, to the same bytes. Under torchrun every process scores its share, and
    process 0 writes the file. `window` and `hop` are in seconds; without them a recording is scored by its first clip.

    >>> ScoringRun("checkpoint_best.pt", ["recordings/"], "scores.txt", resume=True).run()  # doctest: +SKIP
    ScoringSummary(n_scores=120, n_broken=0, is_share=False)
    """

    checkpoint: str | Path
    inputs: Sequence[str | Path]
    output: str | Path
    batch_size: int = 8
    device: str | None = None  # the best there is
    num_workers: int = 2  # decoders
    dtype: str = "float32"
    llr: bool = False  # logit differences instead of the authors' scores
    window: float | None = None
    hop: float | None = None
    windows_score: str = "mean"  # or "min", of a recording's windows
    shard: tuple[int, int] = (0, 1)  # part I, from 0, of N
    resume: bool = False
    overwrite: bool = False
    skip_broken: bool = False  # list recordings that cannot be read beside the scores, instead of stopping
    show_progress: bool = False

    def run(self) -> ScoringSummary:
        """Score every trial of the inputs that has no score yet.

        Raises SettingError on settings that cannot be used together, CheckpointError on a file that is no detector, and
        DataError on a broken recording, an output that may not be replaced, or another run's scores in its place.
        """
        self.checkpoint, self.output = Path(self.checkpoint), Path(self.output)
        self._check()
        group = ProcessGroup()
        trials = read_inputs([str(name) for name in self.inputs])
        require_writable(self.output, (trial.id for trial in trials))
        metadata = self._metadata(trials)
        trials = shard(trials, *self.shard, self.batch_size)
        own = shard(trials, group.rank, group.size, self.batch_size)
        return self._score_own(own, metadata, group)

    def _check(self) -> None:
        if self.windows_score != "mean" and not self._in_windows:
            raise SettingError(f"--windows-score {self.windows_score} is about windows: give --windows or --hop")
        if self.batch_size < 1:
            raise SettingError(f"--batch-size {self.batch_size}: must be >= 1")
        if self.dtype not in DTYPES:
            raise SettingError(f"--dtype {self.dtype}: choose from {', '.join(DTYPES)}")
        refuse_inputs(self.output, [self.checkpoint, *map(Path, self.inputs)])
        require_free(self.output, self.resume or self.overwrite)
        if not self.checkpoint.exists():
            raise CheckpointError(f"{self.checkpoint}: no such checkpoint: correct the path")

    @property
    def _in_windows(self) -> bool:
        return self.window is not None or self.hop is not None

    def _metadata(self, trials: Sequence[Trial]) -> RunMetadata:
        """All that the scores depend on. Also settles the device."""
        with ThreadPoolExecutor(1) as reader:  # the file is hashed while torch is imported
            checkpoint_sha256 = reader.submit(_sha256, self.checkpoint)
            from sls_plugin.inference.device import usable_device

            self.device = usable_device(self.device)
        return {
            "checkpoint": checkpoint_sha256.result(),
            "trials": trials_sha256(trials),
            "n_trials": len(trials),
            "shard": list(self.shard),
            "batch_size": self.batch_size,
            "device": self.device.partition(":")[0],
            "dtype": self.dtype,
            "llr": self.llr,
            "windows": None if self.window is None else samples_of(self.window),
            "hop": None if self.hop is None else samples_of(self.hop),
            "windows_score": self.windows_score,
        }

    def _score_own(self, own: Sequence[Trial], metadata: RunMetadata, group: ProcessGroup) -> ScoringSummary:
        """Score this process's trials into its journal; process 0 then writes the output."""
        part = journal_path(self.output, group.rank)
        part_metadata = metadata | {"processes": [group.rank, group.size]}
        with Journal(part, part_metadata, own, self.batch_size, resume=self.resume, overwrite=self.overwrite) as journal:
            n_done = group.gather(journal.n_done)
            require_free(self.output, self.resume or self.overwrite)  # still
            if self.resume and self.output.exists() and not any(n_done):
                require_same_run(metadata, read_metadata(self.output), self.output)
                return ScoringSummary()
            self._score(own, journal, metadata["n_trials"], show=group.rank == 0)
            n_done = group.gather(journal.n_done)
            if group.rank:
                return ScoringSummary(is_share=True)
            try:
                return self._finish(journal, n_done, metadata)
            except OSError as error:
                kept = "all trials are scored and kept: --resume writes them"
                raise DataError(f"{error.filename or self.output}: {error.strerror}: {kept}") from None

    def _score(self, trials: Sequence[Trial], journal: Journal, n_trials: int, show: bool) -> None:
        """Score the trials that the journal does not have yet; the error that stops this says how many it has by then.

        `n_trials` are those of the whole run, all shards and processes together, whose scores must not depend on the parts.
        """
        from tqdm import tqdm

        engine = self._engine(pack_weights=self._in_windows or n_trials >= MANY_TRIALS)
        hidden = not (show and self.show_progress and sys.stderr.isatty())
        with tqdm(total=len(trials), initial=journal.n_done, unit="clip", disable=hidden) as progress:
            try:
                for name, outcome in self._outcomes(engine, trials[journal.n_done :]):
                    journal.add(name, outcome)
                    progress.update()
            except (DataError, KeyboardInterrupt) as stop:
                n_done = sum(1 for _ in journal.outcomes())  # an interrupt may come between a line and its count
                if n_done == 0:
                    raise
                kept = f"{n_done:,} of {len(trials):,} trials are scored and kept: --resume continues with them"
                raise type(stop)(": ".join(filter(None, (str(stop), kept)))) from None
        journal.sync()

    def _engine(self, pack_weights: bool) -> "ScoringEngine":
        import torch

        from sls_plugin.inference.engine import ScoringEngine
        from sls_plugin.inference.load import load_detector

        detector = load_detector(self.checkpoint)
        segment = replace(detector.segment, n_samples=samples_of(self.window)) if self.window else detector.segment
        return ScoringEngine(
            detector.model,
            segment,
            device=self.device,
            dtype=getattr(torch, self.dtype),
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            llr=self.llr,
            skip_broken=self.skip_broken,
            pack_weights=pack_weights,
        )

    def _outcomes(self, engine: "ScoringEngine", trials: Sequence[Trial]) -> Iterator[tuple[str, Outcome]]:
        """Ids of trials with their score, the scores of their windows, or the reason why there is none."""
        if not self._in_windows:
            return engine.scores(trials)
        from sls_plugin.inference.windows import hop_samples, score_windows

        return score_windows(engine, trials, hop_samples(engine.segment, self.hop))

    def _finish(self, journal: Journal, n_done: Sequence[int], metadata: RunMetadata) -> ScoringSummary:
        """Join the journals of all processes into the output, and remove them."""
        if self._in_windows:
            write_timeline(self.output, iter_all_ranks(self.output, journal, n_done))
            numbers = write_outcomes(
                self.output, lambda: recording_scores(iter_all_ranks(self.output, journal, n_done), self.windows_score)
            )
        else:
            timeline_path(self.output).unlink(missing_ok=True)  # of an earlier run
            numbers = write_outcomes(self.output, lambda: iter_all_ranks(self.output, journal, n_done))
        write_metadata(self.output, metadata)
        for path in journals(self.output):
            path.unlink(missing_ok=True)
        return ScoringSummary(*numbers)

    @property
    def has_broken(self) -> bool:
        """Whether the finished output lacks scores of broken recordings."""
        return errors_path(self.output).exists()


def _sha256(checkpoint: Path) -> str:
    from fairseq_ckpt.fingerprint import file_sha256

    if checkpoint.is_dir():
        from fairseq_ckpt.reading import checkpoint_file  # it needs packages of fairseq, and an exported detector does not

        checkpoint = checkpoint_file(checkpoint)
    return file_sha256(checkpoint)
