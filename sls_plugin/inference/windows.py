"""Scores long recordings window by window."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from protocols import DataError, SettingError, Trial
from protocols.audio_format import SAMPLE_RATE, samples_of
from sls_plugin.data.audio import fit_length, read_blocks
from sls_plugin.data.clip_dataset import Segment
from sls_plugin.data.conditions import Signal
from sls_plugin.data.loader import iterate
from sls_plugin.inference.engine import ScoringEngine
from sls_plugin.scores.timeline import WindowScore

Window = tuple[int, int, int]  # the trial's position, the first sample, the one after the last
Ended = tuple[int, str, list[str]]  # a trial's position, why it cannot be read ("" if it can), and its conditions
Batch = tuple[list[Window], Tensor, list[Ended]]


def cut(blocks: Iterable[np.ndarray], n_samples: int, hop: int) -> Iterator[tuple[int, np.ndarray]]:
    """Windows of a waveform: the start of each and its samples; a waveform shorter than a window is returned whole.

    A window begins every `hop` samples (at most `n_samples`). If samples remain at the end, one more window ends with the
    waveform. Only a window and a block are in memory at a time.

    >>> blocks = [np.arange(4.0, dtype=np.float32), np.arange(4.0, 7.0, dtype=np.float32)]
    >>> [(start, window.tolist()) for start, window in cut(blocks, n_samples=4, hop=2)]
    [(0, [0.0, 1.0, 2.0, 3.0]), (2, [2.0, 3.0, 4.0, 5.0]), (3, [3.0, 4.0, 5.0, 6.0])]
    """
    held, first = np.empty(0, np.float32), 0  # samples in memory, and the position of the first one
    start = 0  # of the next window
    for block in blocks:
        held = np.concatenate([held, block])
        while start + n_samples <= first + len(held):
            yield start, held[start - first : start - first + n_samples]
            start += hop
        last = max(0, start - hop)  # start of the latest window: the final one may overlap it
        held, first = held[last - first :], last
    end = first + len(held)
    if end < n_samples:
        yield 0, held
    elif end > last + n_samples:
        yield end - n_samples, held[-n_samples:]


@dataclass
class WindowDataset(IterableDataset):
    """The windows of recordings in batches.

    Trials come in groups of `batch_size`, and no batch mixes groups: scoring can resume at any group, and if every recording
    is shorter than a window, the batches are the same as for whole recordings.
    """

    trials: Sequence[Trial]
    n_samples: int
    hop: int
    padding: str
    batch_size: int

    def __iter__(self) -> Iterator[Batch]:
        for first in range(0, len(self.trials), self.batch_size):
            yield from self._batches(range(len(self.trials))[first : first + self.batch_size])

    def _batches(self, group: range) -> Iterator[Batch]:
        windows: list[Window] = []
        waveforms: list[np.ndarray] = []
        ended: list[Ended] = []
        for index in group:
            signal = Signal()
            try:
                blocks = signal.heard(read_blocks(self.trials[index].audio))
                for start, waveform in cut(blocks, self.n_samples, self.hop):
                    windows.append((index, start, start + len(waveform)))
                    waveforms.append(fit_length(waveform, self.n_samples, self.padding))
                    if len(windows) == self.batch_size:
                        yield windows, self._stacked(waveforms), ended
                        windows, waveforms, ended = [], [], []
                ended.append((index, "", signal.conditions()))
            except DataError as error:  # perhaps after good windows: a truncated file fails at its end
                ended.append((index, str(error), []))
        yield windows, self._stacked(waveforms), ended

    def _stacked(self, waveforms: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.array(waveforms, np.float32).reshape(-1, self.n_samples))  # B x samples


def hop_samples(segment: Segment, hop: float | None) -> int:
    """The hop in samples, by default half a window; SettingError when samples between windows would be skipped."""
    n_samples = (segment.n_samples + 1) // 2 if hop is None else samples_of(hop)
    if n_samples > segment.n_samples:
        longer = f"--hop {n_samples / SAMPLE_RATE:g} is longer than the windows of {segment.n_samples / SAMPLE_RATE:g} s"
        raise SettingError(f"{longer}: samples between windows would be skipped")
    return n_samples


def score_windows(
    engine: ScoringEngine, trials: Sequence[Trial], hop: int
) -> Iterator[tuple[str, list[WindowScore] | str, list[str]]]:
    """Of each trial in order its id, the scores of its windows or why it has none, and the conditions of its recording.

    Errors are the engine's. A window is as long as the engine's segment; one begins every `hop` samples.
    """
    segment = engine.segment
    dataset = WindowDataset(trials, segment.n_samples, hop, segment.padding, engine.batch_size)
    scored: dict[int, list[WindowScore]] = defaultdict(list)  # by trial, until it ends
    # At most one worker, whatever --num-workers says: more would change the batches, and with them the last digits.
    loader = DataLoader(dataset, batch_size=None, num_workers=min(1, engine.num_workers))
    for windows, source, ended in iterate(loader):
        scores = engine.score(source.to(engine.device)).tolist() if windows else []
        for (index, start, end), score in zip(windows, scores, strict=True):
            engine.require_finite(trials[index], score)
            scored[index].append((start / SAMPLE_RATE, end / SAMPLE_RATE, score))
        for index, reason, conditions in ended:
            if reason:
                engine.require_skipping(trials, reason)
            engine.require_sound(trials[index], conditions)
            window_scores = scored.pop(index, [])
            yield trials[index].id, reason or window_scores, conditions
