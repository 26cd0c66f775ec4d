"""The sample rate of all detectors, and the audio formats that recordings come in."""

import math
import re
from functools import cache

from .errors import SettingError

LONGEST_WINDOW = 3600  # seconds
SAMPLE_RATE = 16000

# Recordings and videos that ffmpeg decodes and soundfile does not.
FFMPEG_SUFFIXES = frozenset({
    ".3g2", ".3gp", ".aac", ".ac3", ".amr", ".ape", ".asf", ".avi", ".dts", ".eac3", ".f4v", ".flv", ".m4a", ".m4b", ".m4v",
    ".mka", ".mkv", ".mov", ".mp2", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ra", ".rm", ".spx", ".ts", ".tta", ".webm",
    ".wma", ".wmv", ".wv",
})  # fmt: skip

# How the files of each format begin. MPEG frames without a tag, and ADTS, have 11 set bits and no more.
_BEGINNINGS = {
    "WAV": rb"RIFF....WAVE",
    "RF64": rb"RF64",
    "AIFF": rb"FORM....AIF",
    "AU": rb"\.snd",
    "FLAC": rb"fLaC",
    "Ogg": rb"OggS",
    "MP3": rb"ID3",
    "MPEG frames": rb"\xff[\xe2-\xff]",
    "MP4": rb"....ftyp",
    "Matroska": rb"\x1a\x45\xdf\xa3",
    "ASF": rb"\x30\x26\xb2\x75",
    "CAF": rb"caff",
    "SPHERE": rb"NIST_1A",
    "AMR": rb"#!AMR",
}

UNKNOWN_LENGTH = 2**63 - 1  # libsndfile's length of a FLAC stream whose header was never completed


@cache
def soundfile_suffixes() -> frozenset[str]:
    """The file suffixes of the formats that soundfile decodes, in lower case and with their dot."""
    import soundfile

    formats = {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw"}  # RAW has no header
    return frozenset(formats | {".aif", ".aifc", ".oga", ".opus", ".snd", ".sph", ".wave"})


def format_of(beginning: bytes) -> str | None:
    """The format that a file's first 12 bytes are those of; None where no recording begins so."""
    return next((name for name, pattern in _BEGINNINGS.items() if re.match(pattern, beginning, re.DOTALL)), None)


def samples_of(seconds: float) -> int:
    """The length of a window or hop in samples; SettingError when it is not between one sample and an hour."""
    n_samples = round(seconds * SAMPLE_RATE) if math.isfinite(seconds) else 0
    if not 1 <= n_samples <= LONGEST_WINDOW * SAMPLE_RATE:
        raise SettingError(f"a window or hop of {seconds:g} s: give at least one sample and at most an hour")
    return n_samples
