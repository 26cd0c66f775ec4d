"""What ffmpeg finds in a file that soundfile does not know.

A file decides how it is read, and ffmpeg reads much: playlists that name other files, scripts that make sound without end.
So only containers of recordings are allowed, and only this one file.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import MachineError

_CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,eac3,flac,flv,gsm,loas,matroska,mov,mp3,mpeg,mpegts,mpegvideo,ogg,rm,"
    "tak,tta,w64,wav,wv"
)
_MAGIC = (b"FORM", b".snd", b"dns.", b"fLaC", b"riff", b"NIST", b"Creative Voice File")
_WAV_FORMATS = {0x01, 0x02, 0x03, 0x06, 0x07, 0x11, 0x31, 0x55, 0xFFFE}  # PCM, ADPCM, float, A-law, mu-law, IMA, GSM, MP3
_BEGINNING = 4096  # bytes; chunks may precede that of the format
LONGEST_WAIT = 60  # seconds
READING = ("-v", "error", "-protocol_whitelist", "file", "-format_whitelist", _CONTAINERS)  # for ffprobe and ffmpeg


@dataclass(frozen=True)
class Sound:
    """The first sound in a container, as ffprobe describes it."""

    container: str
    codec: str
    sample_rate: int
    n_channels: int


def soundfile_knows(path: str | Path) -> bool:
    """Whether soundfile decodes the container and encoding that a file's first bytes show: where it fails, the file is broken."""
    with open(path, "rb") as file:
        head = file.read(_BEGINNING)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        fmt = head.find(b"fmt ")
        return fmt < 0 or int.from_bytes(head[fmt + 8 : fmt + 10], "little") in _WAV_FORMATS
    if head.startswith(b"OggS"):
        return head[28:].startswith((b"\x01vorbis", b"OpusHead"))
    if head.startswith(b"caff"):
        return head[28:32] in (b"lpcm", b"ulaw", b"alaw")
    is_mpeg = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 != 0  # with 0 it is AAC
    return is_mpeg or head.startswith(_MAGIC)


def probe(path: Path) -> Sound | None:
    """The sound in a container of the allowed kinds; None in any other file. Raises MachineError where ffmpeg is missing."""
    shown = ("-select_streams", "a:0", "-show_entries", "format=format_name:stream=codec_name,sample_rate,channels")
    command = ["ffprobe", *READING, *shown, "-of", "json", "-i", f"file:{path}"]
    try:
        outcome = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST_WAIT)
    except FileNotFoundError:
        raise MachineError(f"{path}: soundfile does not know its format: install ffmpeg") from None
    except subprocess.TimeoutExpired:
        return None
    if outcome.returncode:
        return None
    found = json.loads(outcome.stdout)
    if not found.get("streams"):
        return None
    (stream,) = found["streams"]
    container = found["format"]["format_name"].partition(",")[0]
    sample_rate, n_channels = int(stream.get("sample_rate", 0)), int(stream.get("channels", 0))
    if not (sample_rate and n_channels):  # an empty file, whose container is only guessed from its name
        return None
    return Sound(container, stream.get("codec_name", ""), sample_rate, n_channels)
