"""Recognises files that end before the length in their header, as far as that shows before decoding."""

import re
from pathlib import Path

import soundfile

# libsndfile logs both sizes when a file of one of these formats is too short: WAV, AIFF, SVX, AU, W64, RF64.
_SHORT_DATA = re.compile(r"^\s*(?:data|SSND|BODY|Data Size|riff|Riff size)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)
_CUT_OFF = re.compile(r"lacks an end-of-stream bit|Seems to be a truncated file")  # its words for OGG and VOC
_SPHERE_LENGTH = re.compile(rb"^sample_count -i (\d+)", re.MULTILINE)  # in NIST SPHERE, which libsndfile does not check

# A program that streams does not know the length yet and writes a size near 2^31 or 2^32: that file is not truncated.
_STREAMED_SIZE = 0x7FFF_0000


def is_truncated(recording: soundfile.SoundFile, path: Path) -> bool:
    """Whether the header of an open recording promises more than the file holds."""
    if recording.format == "NIST":
        with open(path, "rb") as file:
            length = _SPHERE_LENGTH.search(file.read(1024))
        return bool(length) and int(length[1]) > recording.frames
    log = recording.extra_info
    short = _SHORT_DATA.search(log)
    return bool(_CUT_OFF.search(log) or (short and int(short[2]) < int(short[1]) < _STREAMED_SIZE))
