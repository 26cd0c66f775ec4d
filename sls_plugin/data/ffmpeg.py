"""Decodes with ffmpeg what soundfile does not know, through a pipe: nothing is written to the disk."""

import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from protocols import DataError
from protocols.containers import LONGEST_WAIT, READING, Sound

_BLOCK = 2**20  # bytes


@contextmanager
def decoded_by_ffmpeg(path: Path, sound: Sound) -> Iterator[Iterator[np.ndarray]]:
    """The samples of a sound at its own rate, block by block: frames x channels, float32.

    The blocks raise DataError where ffmpeg reports an error or stops to deliver.
    """
    decoded = ("-map", "0:a:0", "-ac", str(sound.n_channels), "-ar", str(sound.sample_rate), "-f", "f32le", "pipe:1")
    command = ["ffmpeg", *READING, "-nostdin", "-xerror", "-i", f"file:{path}", *decoded]
    # A child whose reader is gone ends at its next write.
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield _blocks(process, path, sound.n_channels)
        finally:
            process.kill()


def _blocks(process: subprocess.Popen[bytes], path: Path, n_channels: int) -> Iterator[np.ndarray]:
    frame = 4 * n_channels
    held = b""
    while data := _next_bytes(process, path):
        held += data
        whole = len(held) - len(held) % frame
        yield np.frombuffer(held[:whole], "<f4").astype(np.float32).reshape(-1, n_channels)
        held = held[whole:]
    errors = process.stderr.read().decode(errors="replace").strip().splitlines()
    if process.wait() or errors or held:  # for a truncated WebM file it prints an error, but exits with 0
        reason = (errors or ["no reason given"])[-1]
        raise DataError(f"{path}: ffmpeg cannot decode it ({reason}): copy or export it again")


def _next_bytes(process: subprocess.Popen[bytes], path: Path) -> bytes:
    if not select.select([process.stdout], [], [], LONGEST_WAIT)[0]:
        raise DataError(f"{path}: ffmpeg gave no samples for {LONGEST_WAIT} s: copy or export it again")
    return process.stdout.read1(_BLOCK)
