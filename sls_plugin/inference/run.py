"""A whole scoring run: recordings to a score file; resumable, and shared over shards and processes."""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from fairseq_ckpt.errors import CheckpointError
from protocols import DataError, MachineError, SettingError, Trial
from protocols.audio_format import samples_of
from protocols.recordings import list_names
from sls_plugin.inference.inputs import read_inputs
from sls_plugin.inference.shards import ProcessGroup, shard
from sls_plugin.scores.formats import require_format
from sls_plugin.scores.journal import (
    Journal,
    Outcome,
    iter_all_ranks,
    journal_path,
    journals,
    warnings_of_all_ranks,
)
from sls_plugin.scores.merge import read_outcomes
from sls_plugin.scores.outputs import refuse_inputs, refuse_recordings, require_free
from sls_plugin.scores.recording_states import combined, require_same_recordings
from sls_plugin.scores.run_metadata import (
    RunMetadata,
    metadata_path,
    read_metadata,
    require_same_run,
    trials_sha256,
    write_metadata,
)
from sls_plugin.scores.score_file import (
    errors_path,
    read_errors,
    read_warnings,
    require_writable,
    warnings_path,
    write_outcomes,
)
from sls_plugin.scores.timeline import read_timeline, recording_scores, timeline_path, write_timeline

if TYPE_CHECKING:
    from sls_plugin.data.clip_dataset import Augmentation
    from sls_plugin.inference.engine import ScoringEngine
    from sls_plugin.scores.decision import Decision

logger = logging.getLogger(__name__)

DTYPES = ("float32", "bfloat16", "float16")
MANY_TRIALS = 64  # from this number on, packing the weights pays
RETRIED_BATCHES = 64  # after which a stop loses none of their scores


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

    A run that was stopped is continued with `resume`, to the same bytes, and broken recordings are tried again. Under torchrun
    every process scores its share, and process 0 writes the file. `window` and `hop` are in seconds; without them a recording is
    scored by its first clip.

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
    channel: str | None = None  # a chain that recordings pass before they are scored, such as "codec:mp3"
    shard: tuple[int, int] = (0, 1)  # part I, from 0, of N
    resume: bool = False
    overwrite: bool = False
    strict: bool = False  # stop at a recording that is silent, clipped or longer than the clip, instead of telling at the end
    skip_broken: bool = False  # list recordings that cannot be read beside the scores, instead of stopping
    decision: str | Path | None = None  # of `sls threshold`: tables get its verdicts
    show_progress: bool = False

    def run(self) -> ScoringSummary:
        """Score every trial of the inputs that has no score yet.

        Raises SettingError on settings that cannot be used together, CheckpointError on a file that is no detector, and
        DataError on a broken recording, an output that may not be replaced, or another run's scores in its place.
        """
        self.checkpoint, self.output = Path(self.checkpoint), Path(self.output)
        self._check()
        with ProcessGroup() as group:
            return self._run(group, self._read_decision())

    def _run(self, group: ProcessGroup, decision: "Decision | None") -> ScoringSummary:
        trials = read_inputs([str(name) for name in self.inputs])
        refuse_recordings(self.output, trials)
        require_writable(self.output, (trial.id for trial in trials))
        metadata = self._metadata(trials)
        if decision:
            decision.require_same_scores(metadata, Path(self.decision))
        if len(set(group.gather(metadata["trials"]))) > 1:
            what = "the processes of this run read different trials"
            raise DataError(f"{self.inputs[0]}: {what}: give a file that all of them see, not a pipe")
        trials = shard(trials, *self.shard, self.batch_size)
        return self._score_own(trials, metadata, group, decision)

    def _check(self) -> None:
        if self.windows_score != "mean" and not self._in_windows:
            raise SettingError(f"--windows-score {self.windows_score} is about windows: give --windows or --hop")
        if self.channel and self._in_windows:
            raise SettingError("a channel changes whole recordings: leave out the windows")
        if self.batch_size < 1:
            raise SettingError(f"--batch-size {self.batch_size}: must be >= 1")
        if self.dtype not in DTYPES:
            raise SettingError(f"--dtype {self.dtype}: choose from {', '.join(DTYPES)}")
        beside = (errors_path, warnings_path, timeline_path, metadata_path, partial(journal_path, rank=0))
        for path in (self.output, *(path_beside(self.output) for path_beside in beside)):
            refuse_inputs(path, [self.checkpoint, *map(Path, self.inputs), *([Path(self.decision)] if self.decision else [])])
        require_format(self.output, verdicts=self.decision is not None)
        require_free(self.output, self.resume or self.overwrite)
        if not self.checkpoint.exists():
            raise CheckpointError(f"{self.checkpoint}: no such checkpoint: correct the path")

    def _read_decision(self) -> "Decision | None":
        if self.decision is None:
            return None
        from sls_plugin.scores.decision import read_decision  # it imports scipy, which nothing else here needs

        return read_decision(self.decision)

    @property
    def _in_windows(self) -> bool:
        return self.window is not None or self.hop is not None

    def _metadata(self, trials: Sequence[Trial]) -> RunMetadata:
        """All that the scores depend on. Also settles the device."""
        with ThreadPoolExecutor(1) as reader:  # the file is hashed while torch is imported
            sha256 = reader.submit(checkpoint_sha256, self.checkpoint)
            from sls_plugin.inference.device import usable_device

            self.device = usable_device(self.device)
        return {
            "checkpoint": sha256.result(),
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
            **({"channel": self.channel} if self.channel else {}),
        }

    def _score_own(
        self, trials: Sequence[Trial], metadata: RunMetadata, group: ProcessGroup, decision: "Decision | None"
    ) -> ScoringSummary:
        """Score this process's share of the trials into its journal; process 0 then writes the output."""
        own = shard(trials, group.rank, group.size, self.batch_size)
        part = journal_path(self.output, group.rank)
        part_metadata = metadata | {"processes": [group.rank, group.size]}
        with Journal(part, part_metadata, own, self.batch_size, resume=self.resume, overwrite=self.overwrite) as journal:
            n_done = group.gather(journal.n_done)
            require_free(self.output, self.resume or self.overwrite)  # still
            if self.resume and self.output.exists() and not any(n_done):
                self._require_finished(trials, metadata, decision)
                if not errors_path(self.output).exists():
                    return ScoringSummary()
                self._restore(journal, own)
            self._score(own, journal, metadata["n_trials"], show=group.rank == 0)
            n_done = group.gather(journal.n_done)
            recordings = group.gather(journal.recordings())
            if group.rank:
                return ScoringSummary(is_share=True)
            if all(recordings):
                metadata = metadata | {"recordings": combined(recordings)}
            if decision:
                metadata = metadata | {"decision": decision.sha256}
            try:
                return self._finish(journal, n_done, metadata, decision)
            except OSError as error:
                kept = "all trials are scored and kept: --resume writes them"
                raise DataError(f"{error.filename or self.output}: {error.strerror}: {kept}") from None

    def _require_finished(self, trials: Sequence[Trial], metadata: RunMetadata, decision: "Decision | None") -> None:
        """DataError unless the output is of this run and decision, and its recordings are still those that were scored."""
        earlier = read_metadata(self.output)
        if earlier and earlier.pop("decision", None) != (decision and decision.sha256):
            what = "its scores have verdicts of another decision, or none"
            raise DataError(f"{self.output}: {what}: `sls merge {self.output} --decision DECISION --output FILE` writes others")
        recordings = earlier and earlier.pop("recordings", None)  # earlier versions did not record them
        require_same_run(metadata, earlier, self.output)
        if recordings:
            broken = read_errors(self.output)
            require_same_recordings([trial for trial in trials if trial.id not in broken], recordings)

    def _restore(self, journal: Journal, own: Sequence[Trial]) -> None:
        """Take the outcomes of a finished output back into the journal."""
        outcomes = read_outcomes(self.output)
        if self._in_windows:
            outcomes |= read_timeline(self.output)
        warnings = read_warnings(self.output)
        for trial in own:
            journal.add(trial.id, outcomes.get(trial.id, "no outcome"), warnings.get(trial.id, "").split())

    def _score(self, trials: Sequence[Trial], journal: Journal, n_trials: int, show: bool) -> None:
        """Score the trials that the journal has no score of yet; the error that stops this says how many it has by then.

        `n_trials` are those of the whole run, all shards and processes together, whose scores must not depend on the parts.
        """
        from tqdm import tqdm

        engine = self._engine(pack_weights=self._in_windows or n_trials >= MANY_TRIALS)
        hidden = not (show and self.show_progress and sys.stderr.isatty())
        with tqdm(total=len(trials), initial=journal.n_done, unit="clip", disable=hidden) as progress:
            try:
                self._retry(engine, trials, journal)
                for name, outcome, conditions in self._outcomes(engine, trials[journal.n_done :]):
                    journal.add(name, outcome, conditions)
                    progress.update()
            except (DataError, MachineError, KeyboardInterrupt) as stop:
                # Counted in the file: an interrupt may come between a line and its count.
                n_scored = sum(not isinstance(outcome, str) for _, outcome in journal.outcomes())
                if n_scored == 0:
                    raise
                kept = f"{n_scored:,} of {len(trials):,} trials are scored and kept: --resume continues with them"
                raise type(stop)(": ".join(filter(None, (str(stop), kept)))) from None
        journal.sync()

    def _retry(self, engine: "ScoringEngine", trials: Sequence[Trial], journal: Journal) -> None:
        """Score the batches of an earlier run again that have broken recordings: what made them unreadable may have passed."""
        starts = sorted({position // self.batch_size * self.batch_size for position in journal.broken})
        for first in range(0, len(starts), RETRIED_BATCHES):
            batches = [trials[start : start + self.batch_size] for start in starts[first : first + RETRIED_BATCHES]]
            outcomes = self._outcomes(engine, list(chain.from_iterable(batches)))
            journal.replace({name: (outcome, conditions) for name, outcome, conditions in outcomes})

    def _engine(self, pack_weights: bool) -> "ScoringEngine":
        import torch

        from sls_plugin.data.cores import set_threads, warn_of_many_workers
        from sls_plugin.inference.engine import ScoringEngine
        from sls_plugin.inference.load import load_detector

        warn_of_many_workers(self.num_workers)
        detector = load_detector(self.checkpoint)
        set_threads(detector.model)
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
            strict=self.strict,
            pack_weights=pack_weights,
            channel=self._chain() if self.channel else None,
        )

    def _chain(self) -> "Augmentation":
        from sls_plugin.data.augmentation.chain import parse_chain  # its RawBoost needs fairseq, scoring does not

        return parse_chain(self.channel)

    def _outcomes(self, engine: "ScoringEngine", trials: Sequence[Trial]) -> Iterator[tuple[str, Outcome, list[str]]]:
        """Ids of trials with their score, the scores of their windows, or the reason why there is none; and their conditions."""
        if not self._in_windows:
            return engine.scores(trials)
        from sls_plugin.inference.windows import hop_samples, score_windows

        return score_windows(engine, trials, hop_samples(engine.segment, self.hop))

    def _finish(
        self, journal: Journal, n_done: Sequence[int], metadata: RunMetadata, decision: "Decision | None"
    ) -> ScoringSummary:
        """Join the journals of all processes into the output, and remove them."""
        if self._in_windows:
            write_timeline(self.output, iter_all_ranks(self.output, journal, n_done))
        else:
            timeline_path(self.output).unlink(missing_ok=True)  # of an earlier run

        def outcomes() -> Iterator[tuple[str, float | str]]:
            all_ranks = iter_all_ranks(self.output, journal, n_done)
            return recording_scores(all_ranks, self.windows_score) if self._in_windows else all_ranks

        warnings = None if self.channel else warnings_of_all_ranks(self.output, journal, n_done)
        numbers = write_outcomes(self.output, outcomes, decision, warnings)
        _tell(warnings or {})
        write_metadata(self.output, metadata)
        for path in journals(self.output):
            path.unlink(missing_ok=True)
        return ScoringSummary(*numbers)


def _tell(warnings: Mapping[str, str]) -> None:
    """Say of each condition how many recordings are in it, and name the first ones."""
    from sls_plugin.data.conditions import MEANINGS

    for condition, meaning in MEANINGS.items():
        names = [name for name, words in warnings.items() if condition in words.split()]
        if names:
            number = f"{len(names):,} recordings are" if len(names) > 1 else "1 recording is"
            logger.warning("%s %s: %s", number, meaning, list_names(names))


def checkpoint_sha256(checkpoint: Path) -> str:
    """SHA-256 of the file of a detector; of a folder, that of the checkpoint in it."""
    from fairseq_ckpt.fingerprint import file_sha256

    if checkpoint.is_dir():
        from fairseq_ckpt.reading import checkpoint_file  # it needs packages of fairseq, and an exported detector does not

        checkpoint = checkpoint_file(checkpoint)
    return file_sha256(checkpoint)
