"""The sample rate of all detectors, and the audio formats that recordings come in."""

from functools import cache

SAMPLE_RATE = 16000

FFMPEG_SUFFIXES = frozenset({".m4a", ".mp4", ".aac", ".webm", ".wma", ".amr", ".3gp"})  # soundfile does not decode these

UNKNOWN_LENGTH = 2**63 - 1  # libsndfile's length of a FLAC stream whose header was never completed


@cache
def soundfile_suffixes() -> frozenset[str]:
    """The file suffixes of the formats that soundfile decodes, in lower case and with their dot."""
    import soundfile

    formats = {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw"}  # RAW has no header
    return frozenset(formats | {".aif", ".aifc", ".oga", ".opus", ".snd", ".sph", ".wave"})
