"""A folder of recordings, such as noises or room responses, from which channels draw."""

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from protocols import DataError, SettingError
from protocols.audio_format import SAMPLE_RATE
from protocols.recordings import find_audio
from sls_plugin.data.audio import read_audio

MOST_DRAWS = 20  # of an excerpt that is not silent


def recordings_in(folder: Path | None, what: str) -> tuple[Path, ...]:
    """The recordings below a folder, in order of their names; SettingError without the folder, DataError where it has none."""
    if folder is None or not folder.is_dir():
        raise SettingError(f"dir={folder or ''}: no such folder: name one that holds {what}")
    return tuple(find_audio(folder))


@lru_cache(maxsize=256)  # responses are short
def response_of(path: Path) -> np.ndarray:
    """A room impulse response; DataError where it is silent."""
    waveform = read_audio(path)
    if not waveform.any():
        raise DataError(f"{path}: silent: remove it from the folder")
    return waveform


def excerpt(path: Path, n_samples: int, rng: np.random.RandomState) -> np.ndarray:
    """`n_samples` of a recording from a random place on, of which no more is read; a shorter one is repeated.

    Takes the formats of soundfile: noises are long, and it can begin anywhere. DataError where the recording is silent.
    """
    try:
        with soundfile.SoundFile(path) as file:
            n_frames = math.ceil(n_samples * file.samplerate / SAMPLE_RATE)
            for _ in range(MOST_DRAWS):
                file.seek(rng.randint(max(0, file.frames - n_frames) + 1))
                samples = file.read(n_frames, dtype="float32", always_2d=True).mean(axis=1)
                if samples.any():
                    return np.resize(soxr.resample(samples, file.samplerate, SAMPLE_RATE), n_samples)
    except soundfile.LibsndfileError as error:
        raise DataError(f"{path}: no noise that soundfile reads ({error}): convert it to WAV or FLAC, or remove it") from None
    raise DataError(f"{path}: silent: remove it from the folder")
