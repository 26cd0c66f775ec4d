"""Reads a recording that is still being made, such as a microphone's, from a pipe."""

import io
import wave
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

from protocols import DataError
from protocols.audio_format import format_of

BLOCK_SECONDS = 0.1  # read at a time: what a listener waits for at most before a sample is seen
TYPES = {2: "<i2", 4: "<i4"}  # by the bytes of a sample
READ_AS_SAMPLES = ("WAV", "MPEG frames", None)  # raw samples begin like MPEG frames where the first is -1
REMEDY = "give WAV of 16 or 32 bits, as `ffmpeg -i INPUT -f wav -` writes it, or raw 16-bit samples of one channel"


def read_stream(file: BinaryIO, raw_rate: int) -> tuple[int, Iterator[np.ndarray]]:
    """The sample rate of a stream, and its samples as they come: blocks of frames x channels, signed integers.

    A stream that begins as a WAV file is one, whatever length its header claims. Any other is taken for raw 16-bit samples,
    little-endian, one channel, at `raw_rate`. Raises DataError on WAV of another kind, on the start of another format, and where
    there is no sample.
    """
    buffered = io.BufferedReader(file) if not hasattr(file, "peek") else file
    beginning = buffered.peek(12)[:12]
    if (name := format_of(beginning)) not in READ_AS_SAMPLES:
        raise DataError(f"standard input: {name}, not samples: {REMEDY}")
    if not beginning.startswith(b"RIFF"):
        return raw_rate, _blocks(lambda n_frames: buffered.read(2 * n_frames), raw_rate, "<i2", n_channels=1)
    try:
        header = wave.open(buffered)  # noqa: SIM115  (it closes nothing that it has not opened)
    except (wave.Error, EOFError) as error:
        raise DataError(f"standard input: no WAV that can be read ({error or 'it ends in its header'}): {REMEDY}") from None
    if header.getsampwidth() not in TYPES:
        raise DataError(f"standard input: WAV of {8 * header.getsampwidth()} bits: {REMEDY}")
    kind = TYPES[header.getsampwidth()]
    return header.getframerate(), _blocks(header.readframes, header.getframerate(), kind, header.getnchannels())


def _blocks(read: Callable[[int], bytes], rate: int, kind: str, n_channels: int) -> Iterator[np.ndarray]:
    frame, held, n_samples = np.dtype(kind).itemsize * n_channels, b"", 0
    while data := read(max(1, round(BLOCK_SECONDS * rate))):
        held += data
        whole = len(held) - len(held) % frame  # the end of a stream that was cut off may be part of a frame
        if whole:
            yield np.frombuffer(held[:whole], kind).reshape(-1, n_channels)
        n_samples += whole
        held = held[whole:]
    if not n_samples:
        raise DataError(f"standard input: no samples: {REMEDY}")
