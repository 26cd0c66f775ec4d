"""Streams of samples: WAV with an honest, a wrong or no length, and raw samples."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from protocols import DataError
from sls_plugin.data.audio import read_audio
from sls_plugin.data.pcm_stream import read_stream
from sls_plugin.data.waveform import as_blocks

RATE = 24_000
SAMPLES = np.random.default_rng(1).uniform(-0.5, 0.5, (60_000, 2))


def wav(path: Path, subtype: str = "PCM_16", samples: np.ndarray = SAMPLES) -> bytes:
    soundfile.write(path, samples, RATE, subtype=subtype, format="WAV")
    return path.read_bytes()


class Pipe(io.RawIOBase):
    """Gives a few bytes at a time, and cannot seek."""

    def __init__(self, content: bytes, portion: int = 1_001) -> None:
        self.content, self.portion = content, portion

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        data = self.content[: min(self.portion, len(buffer))]
        self.content = self.content[len(data) :]
        buffer[: len(data)] = data
        return len(data)


def waveform_of(content: bytes, raw_rate: int = 16_000) -> np.ndarray:
    rate, blocks = read_stream(Pipe(content), raw_rate)
    return np.concatenate(list(as_blocks(blocks, rate)))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_32"])
def test_a_wav_stream_is_heard_as_its_file(subtype: str, tmp_path: Path) -> None:
    content = wav(tmp_path / "a.wav", subtype)
    assert waveform_of(content) == pytest.approx(read_audio(tmp_path / "a.wav"), abs=1e-6)


@pytest.mark.parametrize("claimed", [0xFFFFFFFF, 0xFFFFFFFF - 44])
def test_the_length_of_a_stream_is_not_known_in_its_header(claimed: int, tmp_path: Path) -> None:
    content = bytearray(wav(tmp_path / "a.wav"))
    struct.pack_into("<I", content, 4, min(claimed + 36, 0xFFFFFFFF))
    struct.pack_into("<I", content, 40, claimed)
    assert waveform_of(bytes(content)) == pytest.approx(read_audio(tmp_path / "a.wav"), abs=1e-6)


def test_raw_samples_are_of_one_channel_at_the_rate_that_is_given(tmp_path: Path) -> None:
    content = wav(tmp_path / "mono.wav", samples=SAMPLES[:, 0])[44:]
    assert waveform_of(content, RATE) == pytest.approx(read_audio(tmp_path / "mono.wav"), abs=1e-6)


def test_raw_samples_of_minus_one_are_no_mpeg_frames() -> None:
    rate, blocks = read_stream(io.BytesIO(b"\xff\xff" * 5), 16_000)
    assert rate == 16_000
    assert np.concatenate(list(blocks)).tolist() == [[-1]] * 5


def test_a_stream_that_was_cut_off_within_a_frame_ends_before_it(tmp_path: Path) -> None:
    content = wav(tmp_path / "a.wav")
    assert len(waveform_of(content[:-3])) == pytest.approx(len(waveform_of(content)) - 1, abs=1)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no samples"),
        (b"\0", "no samples"),
        (b"RIFF", "no WAV that can be read"),
        (b"ID3\x04" + bytes(100), "MP3, not samples"),
        (b"fLaC" + bytes(100), "FLAC, not samples"),
        (b"OggS" + bytes(100), "Ogg, not samples"),
        (b"\0\0\0\x20ftypM4A " + bytes(100), "MP4, not samples"),
        (b"FORM\0\0\0\x64AIFF" + bytes(100), "AIFF, not samples"),
        (b"#!AMR\n" + bytes(100), "AMR, not samples"),
        (b"RIFF" + bytes(100), "no WAV that can be read"),
    ],
)
def test_what_is_no_stream_is_one_line(content: bytes, problem: str) -> None:
    with pytest.raises(DataError, match=f"^standard input: {problem}") as refusal:
        waveform_of(content)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT"])
def test_wav_of_another_kind_is_refused_with_a_remedy(subtype: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^standard input: .*give WAV of 16 or 32 bits, as `ffmpeg -i INPUT -f wav -`"):
        waveform_of(wav(tmp_path / "a.wav", subtype))
