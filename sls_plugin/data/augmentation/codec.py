"""Lossy codecs, from the telephone to MP3."""

import io
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import soundfile

from protocols import MachineError, SettingError
from protocols.audio_format import SAMPLE_RATE

from .parameters import Choice, Range, chosen, drawn, require_within
from .resampling import at_rate


@dataclass(frozen=True)
class Codec:
    """The utterance encoded and decoded, without delay and in its length.

    G.711 (alaw, ulaw), GSM 06.10 and AMR-NB carry a sample rate of 8 kHz. Bit rates apply to MP3 (16 to 160 kbit/s), Opus (6 to
    256), AAC (16 to 160) and AMR-NB (4.75 to 12.2). AAC and AMR-NB are ffmpeg's, the others libsndfile's.
    """

    name: Choice = ("mp3", "opus", "vorbis", "alaw", "ulaw", "gsm")
    kbps: Range = (16.0, 64.0)

    def __post_init__(self) -> None:
        require_within(self.kbps, 1, 512, "kbps")
        for name in self.name:
            if name not in CODECS:
                raise SettingError(f"codec {name!r}: choose from {', '.join(CODECS)}")
            CODECS[name].require_available()

    def __call__(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        codec = CODECS[chosen(self.name, rng)]
        low, high = (min(max(value, codec.kbps[0]), codec.kbps[1]) for value in self.kbps)
        kbps = drawn((low, high), rng)
        waveform = np.clip(waveform, -1, 1).astype(np.float32)  # what a file can hold
        if codec.rate == SAMPLE_RATE:
            return codec.decoded(waveform, kbps)
        return at_rate(waveform, codec.rate, lambda narrow: codec.decoded(np.clip(narrow, -1, 1), kbps))


@dataclass(frozen=True)
class SoundfileCodec:
    """A codec of libsndfile; `compression` gives its level, 0 to 1, for a bit rate."""

    format: str
    subtype: str
    rate: int = SAMPLE_RATE
    kbps: Range = (0.0, 0.0)
    compression: Callable[[float], float] | None = None

    def require_available(self) -> None:
        if self.subtype not in soundfile.available_subtypes(self.format):
            raise SettingError(f"libsndfile was built without {self.subtype}: leave this codec out")

    def decoded(self, waveform: np.ndarray, kbps: float) -> np.ndarray:
        settings = {"compression_level": self.compression(kbps)} if self.compression else {}
        if self.format == "MP3":
            settings["bitrate_mode"] = "CONSTANT"
        file = io.BytesIO()
        soundfile.write(file, waveform, self.rate, format=self.format, subtype=self.subtype, **settings)
        file.seek(0)
        decoded, _ = soundfile.read(file, len(waveform), dtype="float32", fill_value=0)
        return decoded


@dataclass(frozen=True)
class FfmpegCodec:
    """A codec of ffmpeg; what it delays, up to 0.2 s, is found by correlation and cut off."""

    encoder: str
    format: str
    rate: int = SAMPLE_RATE
    kbps: Range = (16.0, 160.0)
    rates: tuple[float, ...] = ()  # the only bit rates, where it has modes

    def require_available(self) -> None:
        if self.encoder not in _ffmpeg_encoders():
            raise SettingError(f"codec: this machine's ffmpeg has no {self.encoder}: install one that has, or leave it out")

    def decoded(self, waveform: np.ndarray, kbps: float) -> np.ndarray:
        kbps = min(self.rates, key=lambda mode: abs(mode - kbps)) if self.rates else kbps
        raw = ["-f", "f32le", "-ar", str(self.rate), "-ac", "1"]
        encoding = ["-c:a", self.encoder, "-b:a", f"{kbps * 1000:.0f}", "-f", self.format]
        coded = _ffmpeg([*raw, "-i", "-", *encoding], waveform.tobytes())
        samples = np.frombuffer(_ffmpeg(["-i", "-", *raw], coded), np.float32)
        start = _delay(waveform, samples)
        return np.pad(samples[start:], (0, len(waveform)))[: len(waveform)]


def _delay(sent: np.ndarray, received: np.ndarray) -> int:
    """The samples by which a waveform is late, at most 3,200: where the two correlate best."""
    size = 1 << (max(len(sent), len(received)) + 3_200).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(received, size) * np.conj(np.fft.rfft(sent, size)), size)
    return int(correlation[:3_201].argmax())


def _ffmpeg(arguments: list[str], given: bytes) -> bytes:
    outcome = subprocess.run(["ffmpeg", "-loglevel", "error", "-nostdin", *arguments, "-"], input=given, capture_output=True)
    if outcome.returncode:
        raise MachineError(f"ffmpeg: {outcome.stderr.decode(errors='replace').strip().splitlines()[-1]}")
    return outcome.stdout


@cache
def _ffmpeg_encoders() -> set[str]:
    if shutil.which("ffmpeg") is None:
        return set()
    listed = subprocess.run(["ffmpeg", "-hide_banner", "-encoders"], capture_output=True, text=True, check=True).stdout
    return {line.split()[1] for line in listed.splitlines() if line.startswith(" A")}


CODECS: dict[str, SoundfileCodec | FfmpegCodec] = {
    "alaw": SoundfileCodec("WAV", "ALAW", 8_000),
    "ulaw": SoundfileCodec("WAV", "ULAW", 8_000),
    "gsm": SoundfileCodec("WAV", "GSM610", 8_000),
    # libsndfile's own scales of its levels, at 16 kHz
    "mp3": SoundfileCodec("MP3", "MPEG_LAYER_III", kbps=(16, 160), compression=lambda kbps: (160 - kbps) / (160 - 8)),
    "opus": SoundfileCodec("OGG", "OPUS", kbps=(6, 256), compression=lambda kbps: (256 - kbps) / (256 - 6)),
    "vorbis": SoundfileCodec("OGG", "VORBIS"),
    "aac": FfmpegCodec("aac", "adts"),
    "amr": FfmpegCodec("libopencore_amrnb", "amr", 8_000, (4.75, 12.2), (4.75, 5.15, 5.9, 6.7, 7.4, 7.95, 10.2, 12.2)),
}
