"""Recordings to waveforms: decode, mix to mono, resample, cut or fill to a length."""

import math
import os
import re
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

# What libsndfile notes when a file ends before the length in its header: WAV, AIFF, SVX, AU, W64, RF64; then OGG, VOC. A writer
# that streams cannot know the length and puts a size near 2^31 or 2^32 there: that is no sign of a truncated file.
_SHORT_DATA = re.compile(r"^\s*(?:data|SSND|BODY|Data Size|riff|Riff size)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)
_CUT_OFF = re.compile(r"lacks an end-of-stream bit|Seems to be a truncated file")
_STREAMED_SIZE = 0x7FFF_0000
_SPHERE_LENGTH = re.compile(rb"^sample_count -i (\d+)", re.MULTILINE)  # of NIST SPHERE, which libsndfile passes over

_BLOCK = 2**20  # values decoded at a time, of all channels: 4 MiB
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 1_000_000  # Hz; a damaged header that tells 1 Hz would fill the memory


def read_audio(path: str | Path, n_samples: int | None = None) -> np.ndarray:
    """The waveform of a recording: float32, mono, 16 kHz, in [-1, 1]; shape (samples,), at most the first `n_samples`.

    Equals `librosa.load(path, sr=16000)`: channels are averaged, then resampled with soxr's high-quality filter.
    Containers that soundfile does not know (M4A, WebM, ...) are decoded by ffmpeg. Raises DataError, naming the file, when
    it is missing, broken, truncated, empty, or holds values that are not finite, be it after the first `n_samples`.
    """
    kept: list[np.ndarray] = []
    with _decoding(Path(path)) as (sample_rate, decoded):
        for block in _at_16_khz(decoded, sample_rate, Path(path)):
            kept.append(block)
            if n_samples is not None and sum(map(len, kept)) >= n_samples:
                break
        for _ in decoded:  # of a longer recording, the rest is checked
            pass
    return np.concatenate(kept)[:n_samples]


def read_blocks(path: str | Path) -> Iterator[np.ndarray]:
    """The waveform of `read_audio` in pieces, for recordings that are longer than the memory; the same errors, if late."""
    with _decoding(Path(path)) as (sample_rate, decoded):
        yield from _at_16_khz(decoded, sample_rate, Path(path))


def fit_length(waveform: np.ndarray, n_samples: int, padding: str = "tile", start: int = 0) -> np.ndarray:
    """`n_samples` of a waveform from `start` on; a shorter one is repeated ("tile") or followed by zeros ("zero")."""
    if len(waveform) >= n_samples:
        return waveform[start : start + n_samples]
    if padding == "zero":
        return np.pad(waveform, (0, n_samples - len(waveform)))
    return np.resize(waveform, n_samples)  # numpy repeats the clip as often as needed


@contextmanager
def _decoding(path: Path) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    """The sample rate of a recording and its samples, mono, block by block."""
    if not path.is_file():
        raise DataError(f"{path}: no such audio file: correct the path, or the manifest that names it")
    try:
        if path.suffix.lower() in soundfile_suffixes():
            with _Sequential(os.fsencode(path)) as recording:  # soundfile would not take a name that is not UTF-8
                yield _sample_rate(recording, path), _mono_blocks(recording, path)
        else:
            with tempfile.TemporaryDirectory() as folder, _Sequential(_through_ffmpeg(path, folder)) as recording:
                yield _sample_rate(recording, path), _mono_blocks(recording, path)
    except soundfile.LibsndfileError as error:
        raise DataError(f"{path}: cannot be decoded ({error.error_string.strip('. ')}): copy or export it again") from None


class _Sequential(soundfile.SoundFile):
    """A recording that is read from beginning to end; soundfile seeks after every read, where MP3 decoders would restart."""

    def seekable(self) -> bool:
        return False


def _sample_rate(recording: soundfile.SoundFile, path: Path) -> int:
    if not _LOWEST_RATE <= recording.samplerate <= _HIGHEST_RATE:
        raise DataError(f"{path}: its header tells a sample rate of {recording.samplerate:,} Hz: copy or export it again")
    return recording.samplerate


def _mono_blocks(recording: soundfile.SoundFile, path: Path) -> Iterator[np.ndarray]:
    """All samples, the channels averaged; raises DataError when there are fewer than the header promises, or none."""
    n_left = recording.frames
    if n_left == 0:
        raise DataError(f"{path}: the recording has no samples: remove it or record it again")
    if n_left == UNKNOWN_LENGTH:
        raise DataError(f"{path}: its header does not tell its length: export it again")
    if _is_cut_off(recording, path):
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


def _is_cut_off(recording: soundfile.SoundFile, path: Path) -> bool:
    """Whether the header promises more than the file holds, as far as that shows before decoding."""
    if recording.format == "NIST":
        with open(path, "rb") as file:
            length = _SPHERE_LENGTH.search(file.read(1024))
        return bool(length) and int(length[1]) > recording.frames
    short = _SHORT_DATA.search(recording.extra_info)
    return bool(_CUT_OFF.search(recording.extra_info) or (short and int(short[2]) < int(short[1]) < _STREAMED_SIZE))


def _at_16_khz(blocks: Iterator[np.ndarray], sample_rate: int, path: Path) -> Iterator[np.ndarray]:
    return blocks if sample_rate == SAMPLE_RATE else _resampled(blocks, sample_rate, path)


def _resampled(blocks: Iterator[np.ndarray], sample_rate: int, path: Path) -> Iterator[np.ndarray]:
    """The same at 16 kHz, block by block; soxr's stream gives what it gives of the whole."""
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
    if outcome.returncode != 0 or outcome.stderr:  # of a truncated WebM file it complains, and exits with 0
        reason = (outcome.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise DataError(f"{path}: ffmpeg cannot decode it ({reason}): copy or export it again")
    return decoded
