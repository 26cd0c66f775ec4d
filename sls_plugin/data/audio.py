"""Reads recordings as waveforms: decode, mix to mono, resample, crop or pad to a length."""

import math
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
import soxr

from protocols import DataError
from protocols.audio_format import SAMPLE_RATE, UNKNOWN_LENGTH, soundfile_suffixes

from .truncation import is_truncated

_BLOCK = 2**20  # values decoded at a time, over all channels: 4 MiB
LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000  # Hz; a damaged header with a rate of 1 Hz would fill the memory


def read_audio(path: str | Path, n_samples: int | None = None) -> np.ndarray:
    """The waveform of a recording: float32, mono, 16 kHz, in [-1, 1]; shape (samples,), at most the first `n_samples`.

    Equals `librosa.load(path, sr=16000)`: channels are averaged, then resampled with soxr's high-quality filter.
    Containers that soundfile does not know (M4A, WebM, ...) are decoded by ffmpeg. Raises DataError, naming the file, when
    it is missing, broken, truncated, empty, or holds values that are not finite, even after the first `n_samples`.

    >>> soundfile.write("tone.wav", 0.1 * np.sin(np.arange(48_000)), 48_000)  # one second
    >>> read_audio("tone.wav").shape
    (16000,)
    """
    kept: list[np.ndarray] = []
    with _decoding(Path(path)) as (sample_rate, decoded):
        for block in at_16_khz(decoded, sample_rate, Path(path)):
            kept.append(block)
            if n_samples is not None and sum(map(len, kept)) >= n_samples:
                break
        for _ in decoded:  # the rest of a longer recording is only checked
            pass
    return np.concatenate(kept)[:n_samples]


def read_blocks(path: str | Path) -> Iterator[np.ndarray]:
    """The waveform of `read_audio` in pieces, for recordings that do not fit into memory; errors come as they are met."""
    with _decoding(Path(path)) as (sample_rate, decoded):
        yield from at_16_khz(decoded, sample_rate, Path(path))


def fit_length(waveform: np.ndarray, n_samples: int, padding: str = "tile", start: int = 0) -> np.ndarray:
    """`n_samples` of a waveform from `start` on; a shorter one is repeated ("tile") or followed by zeros ("zero").

    >>> fit_length(np.array([1.0, 2.0, 3.0]), n_samples=5)
    array([1., 2., 3., 1., 2.])
    """
    if len(waveform) >= n_samples:
        return waveform[start : start + n_samples]
    if padding == "zero":
        return np.pad(waveform, (0, n_samples - len(waveform)))
    return np.resize(waveform, n_samples)  # repeats the waveform


@contextmanager
def _decoding(path: Path) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    """The sample rate of a recording and its samples, mono, block by block."""
    if not path.is_file():
        raise DataError(f"{path}: no such audio file: correct the path, or the manifest that names it")
    try:
        if path.suffix.lower() in soundfile_suffixes():
            with _ForwardOnlySoundFile(os.fsencode(path)) as recording:  # as bytes: soundfile refuses names that are not UTF-8
                yield _sample_rate(recording, path), _mono_blocks(recording, path)
        else:
            with tempfile.TemporaryDirectory() as folder, _ForwardOnlySoundFile(_through_ffmpeg(path, folder)) as recording:
                yield _sample_rate(recording, path), _mono_blocks(recording, path)
    except soundfile.LibsndfileError as error:
        raise DataError(f"{path}: cannot be decoded ({error.error_string.strip('. ')}): copy or export it again") from None


class _ForwardOnlySoundFile(soundfile.SoundFile):
    """A recording read from start to end. soundfile would seek after every read, which restarts MP3 decoders."""

    def seekable(self) -> bool:
        return False


def _sample_rate(recording: soundfile.SoundFile, path: Path) -> int:
    if not LOWEST_RATE <= recording.samplerate <= HIGHEST_RATE:
        raise DataError(f"{path}: its header gives a sample rate of {recording.samplerate:,} Hz: copy or export it again")
    return recording.samplerate


def _mono_blocks(recording: soundfile.SoundFile, path: Path) -> Iterator[np.ndarray]:
    """All samples, averaged over channels; raises DataError when there are fewer than the header promises, or none."""
    n_left = recording.frames
    if n_left == 0:
        raise DataError(f"{path}: the recording has no samples: remove it or record it again")
    if n_left == UNKNOWN_LENGTH:
        raise DataError(f"{path}: its header does not give its length: export it again")
    if is_truncated(recording, path):
        raise _truncated(path)
    while n_left:
        n_frames = min(n_left, max(1, _BLOCK // recording.channels))
        samples = recording.read(n_frames, dtype="float32", always_2d=True)
        if len(samples) < n_frames:
            raise _truncated(path)
        n_left -= n_frames
        with np.errstate(invalid="ignore", over="ignore"):
            mono = samples.mean(axis=1)
        yield _finite(mono, path)


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
        yield _finite(resampled, path)
    n_missing = math.ceil(n_decoded * (SAMPLE_RATE / sample_rate)) - n_resampled  # librosa rounds the length up, with zeros
    rest = stream.resample_chunk(np.empty(0, np.float32), last=True)[:n_missing]
    yield np.pad(_finite(rest, path), (0, n_missing - len(rest)))


def _finite(samples: np.ndarray, path: Path) -> np.ndarray:
    if not np.isfinite(samples).all():
        raise DataError(f"{path}: the recording has samples that are not finite (NaN or infinite): export it again")
    return samples


def _truncated(path: Path) -> DataError:
    return DataError(f"{path}: truncated, the header promises more samples than the file has: copy it again")


def _through_ffmpeg(path: Path, folder: str) -> str:
    """A WAV file in `folder`, at the recording's own rate, of a container that only ffmpeg knows."""
    decoded = os.path.join(folder, "decoded.wav")
    command = ["ffmpeg", "-v", "error", "-xerror", "-i", f"file:{path}", "-vn", "-c:a", "pcm_f32le", decoded]
    try:
        outcome = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    except FileNotFoundError:
        raise DataError(f"{path}: soundfile does not know {path.suffix or 'this format'}: install ffmpeg") from None
    if outcome.returncode != 0 or outcome.stderr:  # for a truncated WebM file it prints an error, but exits with 0
        reason = (outcome.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise DataError(f"{path}: ffmpeg cannot decode it ({reason}): copy or export it again")
    return decoded
