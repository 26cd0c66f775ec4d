"""Reads recordings as waveforms: at 16 kHz, cropped or padded to a length."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr

from protocols.audio_format import SAMPLE_RATE

from .decoding import decoding, finite

EXTRACTORS_EPSILON = 1e-7  # of Wav2Vec2FeatureExtractor, on the variance


def read_audio(path: str | Path, n_samples: int | None = None) -> np.ndarray:
    """The waveform of a recording: float32, mono, 16 kHz, in [-1, 1]; shape (samples,), at most the first `n_samples`.

    Equals `librosa.load(path, sr=16000)`: channels are averaged, then resampled with soxr's high-quality filter. Other than
    librosa, it reads all of a file that was joined of several recordings, or whose header gives a wrong length or none.
    What soundfile does not know by its content (M4A, WebM, ...) is decoded by ffmpeg. Raises DataError, naming the file, when
    it is missing, broken, truncated, empty, longer than a day, or holds values that are not finite, even after the first
    `n_samples`; MachineError when the machine cannot read it.

    >>> import soundfile
    >>> soundfile.write("tone.wav", 0.1 * np.sin(np.arange(48_000)), 48_000)  # one second
    >>> read_audio("tone.wav").shape
    (16000,)
    """
    kept: list[np.ndarray] = []
    with decoding(Path(path)) as (sample_rate, decoded):
        for block in at_16_khz(decoded, sample_rate, Path(path)):
            kept.append(block)
            if n_samples is not None and sum(map(len, kept)) >= n_samples:
                break
        for _ in decoded:  # the rest of a longer recording is only checked
            pass
    return np.concatenate(kept)[:n_samples]


def read_blocks(path: str | Path) -> Iterator[np.ndarray]:
    """The waveform of `read_audio` in pieces, for recordings that do not fit into memory; errors come as they are met."""
    with decoding(Path(path)) as (sample_rate, decoded):
        yield from at_16_khz(decoded, sample_rate, Path(path))


def fit_length(waveform: np.ndarray, n_samples: int, padding: str = "tile", start: int = 0) -> np.ndarray:
    """`n_samples` of a waveform from `start` on; a shorter one is repeated ("tile") or followed by zeros ("zero").

    "zero_normalized": brought to mean 0 and variance 1 before zeros follow, as transformers' Wav2Vec2FeatureExtractor does it.

    >>> fit_length(np.array([1.0, 2.0, 3.0]), n_samples=5)
    array([1., 2., 3., 1., 2.])
    """
    if len(waveform) >= n_samples:
        waveform = waveform[start : start + n_samples]
    if padding == "zero_normalized":
        waveform = (waveform - waveform.mean()) / np.sqrt(waveform.var() + EXTRACTORS_EPSILON)
    if padding == "tile":
        return np.resize(waveform, n_samples)  # repeats the waveform
    return np.pad(waveform, (0, n_samples - len(waveform)))


def at_16_khz(blocks: Iterator[np.ndarray], sample_rate: int, path: Path) -> Iterator[np.ndarray]:
    """A mono waveform at 16 kHz, block by block; `path` is named in errors."""
    return blocks if sample_rate == SAMPLE_RATE else _resampled(blocks, sample_rate, path)


def _resampled(blocks: Iterator[np.ndarray], sample_rate: int, path: Path) -> Iterator[np.ndarray]:
    """The same at 16 kHz, block by block; soxr's stream gives the same samples as the whole recording at once."""
    stream = soxr.ResampleStream(sample_rate, SAMPLE_RATE, num_channels=1, quality="HQ")
    n_decoded = n_resampled = 0
    for block in blocks:
        resampled = stream.resample_chunk(block)
        n_decoded, n_resampled = n_decoded + len(block), n_resampled + len(resampled)
        yield finite(resampled, path)
    n_missing = math.ceil(n_decoded * (SAMPLE_RATE / sample_rate)) - n_resampled  # librosa rounds the length up, with zeros
    rest = stream.resample_chunk(np.empty(0, np.float32), last=True)[:n_missing]
    yield np.pad(finite(rest, path), (0, n_missing - len(rest)))
