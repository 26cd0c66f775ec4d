"""Decodes recordings at their own rate, mixed to mono, block by block: by their content, not by their names, and to their end."""

import io
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from protocols import DataError, MachineError
from protocols.audio_format import UNKNOWN_LENGTH, soundfile_suffixes
from protocols.containers import Sound, probe, soundfile_knows
from protocols.streams import Stream, streams_of

from .ffmpeg import decoded_by_ffmpeg
from .truncation import is_truncated

_BLOCK = 2**20  # values decoded at a time, over all channels: 4 MiB
LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000  # Hz; a damaged header with a rate of 1 Hz would fill the memory
LONGEST = 24 * 3600  # seconds; a FLAC file of a few MB may hold weeks of silence


@contextmanager
def decoding(path: Path) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    """The sample rate of a recording and its samples, mono, block by block."""
    _require_file(path)
    try:
        with _opened(path) as (sample_rate, blocks):
            if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
                raise DataError(f"{path}: cannot be decoded (its sample rate is {sample_rate:,} Hz): copy or export it again")
            yield sample_rate, _mono(blocks, sample_rate, path)
    except soundfile.LibsndfileError as error:
        _require_readable(path)
        raise _undecodable(path, error) from None
    except DataError:
        _require_readable(path)
        raise
    except OSError as error:
        raise _machine_error(path, error) from None


def _require_file(path: Path) -> None:
    """A pipe or device would be waited for, or have no end."""
    if path.is_symlink() and not path.exists():
        raise MachineError(f"{path}: a link to a file that is not there: is its disk mounted?")
    if not path.exists():
        raise DataError(f"{path}: no such audio file: correct the path, or the manifest that names it")
    if not path.is_file():
        raise DataError(f"{path}: no audio file, but a {'folder' if path.is_dir() else 'pipe or device'}: name a recording")


def _require_readable(path: Path) -> None:
    """MachineError where the bytes of a recording that could not be decoded cannot even be read."""
    try:
        with open(path, "rb") as file:
            while file.read(_BLOCK):
                pass
    except OSError as error:
        raise _machine_error(path, error) from None


def _machine_error(path: Path, error: OSError) -> MachineError:
    return MachineError(f"{path}: {error.strerror or error}: a fault of this machine, not of the recording")


def _undecodable(path: Path, error: soundfile.LibsndfileError) -> DataError:
    reason = error.error_string.strip(". ").removeprefix("Error : ")
    return DataError(f"{path}: cannot be decoded ({reason}): copy or export it again")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    """Sample rate and samples (frames x channels, block by block), from ffmpeg where soundfile has no decoder."""
    try:
        recording = _ForwardOnlySoundFile(os.fsencode(path))  # as bytes: soundfile refuses names that are not UTF-8
    except soundfile.LibsndfileError as error:
        sound = _probed(path, error)
        with decoded_by_ffmpeg(path, sound) as blocks:
            yield sound.sample_rate, blocks
    else:
        with recording:
            yield recording.samplerate, _all_samples(recording, path)


def _probed(path: Path, error: soundfile.LibsndfileError) -> Sound:
    """What ffmpeg finds in a file that soundfile cannot open; DataError when the file is broken, or no recording."""
    if soundfile_knows(path):
        raise _undecodable(path, error)
    try:
        sound = probe(path)
    except MachineError:
        if path.suffix.lower() in soundfile_suffixes():
            raise _undecodable(path, error) from None
        raise
    if sound is None and path.suffix.lower() not in soundfile_suffixes():
        raise DataError(f"{path}: ffmpeg cannot decode it (no sound in a known container): copy or export it again")
    if sound is None or sound.container == "mp3":  # soundfile's part, behind a tag
        raise _undecodable(path, error)
    return sound


class _ForwardOnlySoundFile(soundfile.SoundFile):
    """A recording read from start to end. soundfile would seek after every read, which restarts MP3 decoders."""

    def seekable(self) -> bool:
        return False


def _all_samples(recording: soundfile.SoundFile, path: Path) -> Iterator[np.ndarray]:
    """The samples of every stream of a file, block by block: frames x channels."""
    streams = streams_of(path, recording.format)
    if len(streams) == 1 and streams[0].has_length:
        yield from _samples(recording, path)
        return
    for stream in streams:
        with _piece(path, stream) as source, _ForwardOnlySoundFile(source) as part:
            if part.samplerate != recording.samplerate:
                raise DataError(f"{path}: joined of recordings with different sample rates: separate them")
            yield from _samples(part, path)


@contextmanager
def _piece(path: Path, stream: Stream) -> Iterator[io.BytesIO | int]:
    """One stream of a file. Through a pipe libsndfile reads MPEG frames to the last, and does not estimate how many there are."""
    with open(path, "rb") as file:
        file.seek(stream.start)
        if stream.has_length or stream.header:
            yield io.BytesIO(stream.header + file.read(stream.end - stream.start))
            return
        reader, writer = os.pipe()
        feeder = threading.Thread(target=_feed, args=(file, writer), daemon=True)
        feeder.start()
        try:
            yield reader
        finally:  # libsndfile has closed the reader, which ends the feeder
            feeder.join()


def _feed(file: BinaryIO, writer: int) -> None:
    with suppress(BrokenPipeError), open(writer, "wb") as pipe:
        shutil.copyfileobj(file, pipe)


def _samples(recording: soundfile.SoundFile, path: Path) -> Iterator[np.ndarray]:
    """The samples of one stream: as many as its header promises, DataError when there are fewer; without a length, all."""
    is_estimate = recording.format != "MP3" and recording.subtype.startswith("MPEG")  # MP3 in WAV
    n_left, has_length = recording.frames, recording.frames != UNKNOWN_LENGTH and not is_estimate
    if has_length and n_left > LONGEST * recording.samplerate:
        raise _too_long(path)
    if is_truncated(recording, path):
        raise _truncated(path)
    while n_left:
        n_frames = min(n_left, max(1, _BLOCK // recording.channels))
        samples = recording.read(n_frames, dtype="float32", always_2d=True)
        yield samples
        if len(samples) < n_frames:
            if has_length:
                raise _truncated(path)
            return
        n_left -= n_frames


def _mono(blocks: Iterator[np.ndarray], sample_rate: int, path: Path) -> Iterator[np.ndarray]:
    """All samples, averaged over channels; DataError when there are none, too many, or some that are not finite."""
    n_frames = 0
    for samples in blocks:
        n_frames += len(samples)
        if n_frames > LONGEST * sample_rate:
            raise _too_long(path)
        with np.errstate(invalid="ignore", over="ignore"):
            yield finite(samples.mean(axis=1), path)
    if n_frames == 0:
        raise DataError(f"{path}: the recording has no samples: remove it or record it again")


def finite(samples: np.ndarray, path: Path) -> np.ndarray:
    if not np.isfinite(samples).all():
        raise DataError(f"{path}: the recording has samples that are not finite (NaN or infinite): export it again")
    return samples


def _truncated(path: Path) -> DataError:
    return DataError(f"{path}: truncated, the header promises more samples than the file has: copy it again")


def _too_long(path: Path) -> DataError:
    return DataError(f"{path}: longer than {LONGEST // 3600} hours: cut it into parts")
