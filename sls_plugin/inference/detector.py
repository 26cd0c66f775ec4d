"""The Python API: a detector that scores recordings and waveforms."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from protocols import DataError, SettingError
from protocols.audio_format import SAMPLE_RATE, samples_of
from sls_plugin.data.audio import fit_length, read_audio, read_blocks
from sls_plugin.data.conditions import MEANINGS, RecordingWarning, Signal, conditions
from sls_plugin.data.waveform import as_blocks, as_detector_input
from sls_plugin.inference.device import usable_device
from sls_plugin.inference.engine import ScoringEngine
from sls_plugin.inference.inputs import read_inputs
from sls_plugin.inference.load import Card, LoadedDetector, load_detector
from sls_plugin.inference.run import DTYPES, checkpoint_sha256
from sls_plugin.inference.windows import cut, hop_samples

if TYPE_CHECKING:
    from sls_plugin.scores.decision import Decision, Verdict


def load(
    path: str | Path, device: str = "cpu", dtype: str = "float32", decision: str | Path | None = None
) -> "Detector":
    """Load a detector: a checkpoint of this project, the original authors' file, or an ONNX file of `sls export`.

    `decision` is a file of `sls threshold`, for verdicts; scores are then of the kind that it was learned from, log-likelihood
    ratios where `sls score --llr` gave those.

    Raises `sls_plugin.UserError` with a message of one line: on a file that is no detector, and on a device or dtype
    (float32, bfloat16 or float16) that cannot be used; on a decision on scores of another detector.
    """
    if dtype not in DTYPES:
        raise SettingError(f"dtype {dtype}: choose from {', '.join(DTYPES)}")
    learned = _read_decision(decision, Path(path)) if decision is not None else None
    return Detector(load_detector(path), usable_device(device), getattr(torch, dtype), learned)


class Detector:
    """A trained detector. A higher score means more bona fide; it is the score that the detector's authors publish.

    What it raises on unusable input is a `sls_plugin.UserError`, with the message that `sls score` prints. Of a recording that is
    silent, constant or clipped, or longer than what is scored of it, it warns with a `sls_plugin.RecordingWarning`.

    >>> import sls_plugin
    >>> detector = sls_plugin.load("checkpoint_best.pt")  # doctest: +SKIP
    >>> detector.score("recording.flac")  # doctest: +SKIP
    -0.0123
    """

    card: Card
    decision: "Decision | None"

    def __init__(
        self, loaded: LoadedDetector, device: str, dtype: torch.dtype, decision: "Decision | None" = None
    ) -> None:
        self.card = loaded.card
        self.decision = decision
        llr = bool(decision and decision.source.settings and decision.source.settings.llr)
        self._engine = ScoringEngine(
            loaded.model, loaded.segment, device=device, dtype=dtype, batch_size=8, num_workers=0, llr=llr
        )

    def score(self, recording: Any, sample_rate: int = SAMPLE_RATE) -> float:
        """The score of a recording's first clip (`card.clip_samples`); a shorter recording is repeated or filled with zeros.

        `recording` is a path, or a waveform as soundfile gives it: a numpy array or torch tensor of samples or samples x
        channels, at `sample_rate`.
        """
        segment = self._engine.segment
        if isinstance(recording, (str, Path)):
            waveform = read_audio(recording, segment.n_samples + 1)  # one more tells that the recording goes on
        else:
            waveform = as_detector_input(recording, sample_rate)
        _warn(recording, conditions(waveform, segment.n_samples))
        clip = fit_length(waveform, segment.n_samples, segment.padding)
        return self._scores([clip])[0]

    def verdict(self, recording: Any, sample_rate: int = SAMPLE_RATE) -> "Verdict":
        """The score of a recording, its log-likelihood ratio, the probability of bona fide, and the verdict.

        The verdict is "bonafide", "spoof" or "undecided". Takes recordings as `score` does; SettingError without a decision.
        """
        if self.decision is None:
            raise SettingError("no decision: load the detector with decision=FILE, which `sls threshold` writes")
        return self.decision.verdict(self.score(recording, sample_rate))

    def score_many(
        self, recordings: str | Path | Iterable[str | Path], batch_size: int = 8, skip_broken: bool = False
    ) -> Iterator[tuple[str, float | str]]:
        """The id and score of each recording, in order, `batch_size` clips at a time.

        Takes the inputs of `sls score` (recordings, folders, manifests, text lists of paths) and gives the same ids. With
        `skip_broken`, a recording that cannot be read has the reason, a string, in place of its score.
        """
        if batch_size < 1:
            raise SettingError(f"batch_size {batch_size}: must be >= 1")
        inputs = [recordings] if isinstance(recordings, (str, Path)) else recordings
        trials = read_inputs([str(name) for name in inputs])
        engine = self._engine
        engine.batch_size = engine.clips_at_once = batch_size
        engine.skip_broken = skip_broken
        for name, outcome, found in engine.scores(trials):
            _warn(name, found)
            yield name, outcome

    def timeline(
        self, recording: Any, window: float | None = None, hop: float | None = None, sample_rate: int = SAMPLE_RATE
    ) -> list[tuple[float, float, float]]:
        """The start and end of each window of a recording, in seconds, and its score.

        `window` is the length of a window in seconds, by default the detector's own clip; `hop` the distance from one to the
        next, by default half a window. The last window ends with the recording.
        """
        if isinstance(recording, (str, Path)):
            blocks = read_blocks(recording)
        else:
            blocks = iter([as_detector_input(recording, sample_rate)])
        signal = Signal()
        rows = list(self._windows(signal.heard(blocks), window, hop, self._engine.batch_size))
        _warn(recording, signal.conditions())
        return rows

    def stream(
        self, blocks: Iterable[Any], window: float | None = None, hop: float | None = None, sample_rate: int = SAMPLE_RATE
    ) -> Iterator[tuple[float, float, float]]:
        """The rows of `timeline`, each as soon as its window is complete, of a recording that comes in blocks.

        A block is an array of samples or samples x channels, of any length. Only a window and a block are in memory.
        """
        return self._windows(as_blocks(blocks, sample_rate), window, hop, batch_size=1)

    def _windows(
        self, blocks: Iterable[np.ndarray], window: float | None, hop: float | None, batch_size: int
    ) -> Iterator[tuple[float, float, float]]:
        segment = self._engine.segment
        if window is not None:
            segment = replace(segment, n_samples=samples_of(window))
        for windows in batched(cut(blocks, segment.n_samples, hop_samples(segment, hop)), batch_size):
            scores = self._scores([fit_length(waveform, segment.n_samples, segment.padding) for _, waveform in windows])
            for (start, waveform), score in zip(windows, scores, strict=True):
                yield start / SAMPLE_RATE, (start + len(waveform)) / SAMPLE_RATE, score

    def _scores(self, clips: Sequence[np.ndarray]) -> list[float]:
        """The scores of clips, float32 arrays of one length; DataError where one is not a finite number."""
        scores = self._engine.score(torch.from_numpy(np.stack(clips)).to(self._engine.device)).tolist()
        if not np.isfinite(scores).all():
            raise DataError("the model's score is NaN or infinite: try dtype float32")
        return scores


def _warn(recording: Any, found: Sequence[str]) -> None:
    """Warn of what is odd about a recording, on behalf of the line that called the method of the detector."""
    name = recording if isinstance(recording, (str, Path)) else "waveform"
    for condition in found:
        warnings.warn(f"{name}: {MEANINGS[condition]}", RecordingWarning, stacklevel=3)


def _read_decision(path: str | Path, checkpoint: Path) -> "Decision":
    """The decision; DataError unless it was learned from first clips, scored by this detector."""
    from sls_plugin.scores.decision import read_decision

    decision = read_decision(path)
    settings = decision.source.settings
    if settings:
        here = {"checkpoint": checkpoint_sha256(checkpoint), "windows": None, "hop": None, "windows_score": "mean"}
        decision.require_same_scores(here | {"llr": settings.llr}, Path(path))
    return decision


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of `size` items, the last perhaps shorter; itertools has it from Python 3.12 on."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
