"""The sample rate of all detectors, and the audio formats that recordings come in."""

import math
from functools import cache

from .errors import SettingError

LONGEST_WINDOW = 3600  # seconds
SAMPLE_RATE = 16000

FFMPEG_SUFFIXES = frozenset({".m4a", ".mp4", ".aac", ".webm", ".wma", ".amr", ".3gp"})  # soundfile does not decode these

UNKNOWN_LENGTH = 2**63 - 1  # libsndfile's length of a FLAC stream whose header was never completed


@cache
def soundfile_suffixes() -> frozenset[str]:
    """The file suffixes of the formats that soundfile decodes, in lower case and with their dot."""
    import soundfile

    formats = {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw"}  # RAW has no header
    return frozenset(formats | {".aif", ".aifc", ".oga", ".opus", ".snd", ".sph", ".wave"})


def samples_of(seconds: float) -> int:
    """The length of a window or hop in samples; SettingError when it is not between one sample and an hour."""
    n_samples = round(seconds * SAMPLE_RATE) if math.isfinite(seconds) else 0
    if not 1 <= n_samples <= LONGEST_WINDOW * SAMPLE_RATE:
        raise SettingError(f"a window or hop of {seconds:g} s: give at least one sample and at most an hour")
    return n_samples
