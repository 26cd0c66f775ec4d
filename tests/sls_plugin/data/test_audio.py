"""Decoding against librosa, every kind of broken recording, and the length that models take."""

import math
import os
import shutil
import struct
import subprocess
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from protocols import DataError, MachineError, UserError
from sls_plugin.data.audio import fit_length, read_audio, read_blocks

RATES = [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000, 192000]
LOSSLESS = [
    ("wav", "PCM_U8"),
    ("wav", "PCM_16"),
    ("wav", "PCM_24"),
    ("wav", "FLOAT"),
    ("wav", "DOUBLE"),
    ("wav", "ULAW"),
    ("wav", "MS_ADPCM"),
    ("flac", "PCM_16"),
    ("flac", "PCM_24"),
    ("aiff", "PCM_16"),
    ("aiff", "FLOAT"),
    ("au", "PCM_16"),
    ("w64", "PCM_16"),
    ("caf", "PCM_24"),
]
CONTAINERS = [*LOSSLESS, ("ogg", "VORBIS"), ("opus", "OPUS"), ("mp3", "MPEG_LAYER_III")]


def tones(sample_rate: int = 16_000, n_channels: int = 1, seconds: float = 0.5) -> np.ndarray:
    """A tone of another pitch in every channel, in a little noise; (frames, channels)."""
    time = np.arange(round(sample_rate * seconds)) / sample_rate
    pitches = 200 + 150 * np.arange(n_channels)
    noise = np.random.default_rng(n_channels).standard_normal((len(time), n_channels))
    return 0.4 * np.sin(2 * np.pi * pitches * time[:, None]) + 0.02 * noise


def write(path: Path, samples: np.ndarray, sample_rate: int = 16_000, subtype: str | None = None) -> Path:
    container = {".opus": "OGG", ".sph": "NIST"}.get(path.suffix)
    soundfile.write(path, samples, sample_rate, subtype=subtype, format=container)
    return path


def assert_librosa_reads_the_same(path: Path) -> None:
    waveform = read_audio(path)
    expected, _ = librosa.load(path, sr=16_000)
    assert waveform.dtype == np.float32
    assert waveform.shape == expected.shape
    np.testing.assert_allclose(waveform, expected, rtol=0, atol=1e-6)


def assert_refused(path: Path, *words: str, error: type[UserError] = DataError) -> None:
    """One line that begins with the path and holds each of the words."""
    with pytest.raises(error) as refusal:
        read_audio(path)
    message = str(refusal.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for word in words:
        assert word in message


def rewrite(path: Path, offset: int, data: bytes) -> Path:
    """The file with some of its bytes replaced."""
    content = bytearray(path.read_bytes())
    content[offset : offset + len(data)] = data
    path.write_bytes(content)
    return path


def cut(path: Path, n_bytes: int) -> Path:
    os.truncate(path, n_bytes)
    return path


# Sound recordings


@pytest.mark.parametrize("n_channels", [1, 2, 3, 8])
@pytest.mark.parametrize("sample_rate", RATES)
def test_every_rate_and_channel_count(tmp_path: Path, sample_rate: int, n_channels: int) -> None:
    assert_librosa_reads_the_same(write(tmp_path / "a.wav", tones(sample_rate, n_channels), sample_rate))


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("sample_rate", [16_000, 48_000])
@pytest.mark.parametrize(("suffix", "subtype"), CONTAINERS)
def test_every_container(tmp_path: Path, suffix: str, subtype: str, sample_rate: int, n_channels: int) -> None:
    path = write(tmp_path / f"a.{suffix}", tones(sample_rate, n_channels), sample_rate, subtype)
    assert_librosa_reads_the_same(path)


def test_a_recording_of_more_than_a_minute_in_frames_that_need_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    samples = tones(seconds=70)
    with soundfile.SoundFile(path, "w", 16_000, 1, compression_level=0.5, bitrate_mode="VARIABLE") as recording:
        recording.write(samples)
    assert_librosa_reads_the_same(path)


def test_a_resampled_tone_keeps_its_pitch_level_and_place(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 1000 * np.arange(44_100) / 44_100), 44_100, "FLOAT")
    waveform = read_audio(path)
    assert len(waveform) == 16_000
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(waveform[200:-200], expected[200:-200], rtol=0, atol=1e-4)


def test_channels_are_averaged(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.tile([0.5, -0.25, 0.125], (100, 1)), subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(path), np.full(100, 0.125, np.float32))


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("n_samples", [1, 2, 7])
def test_recordings_of_a_few_samples(tmp_path: Path, n_samples: int, sample_rate: int) -> None:
    assert_librosa_reads_the_same(write(tmp_path / "a.wav", tones()[:n_samples], sample_rate))


def test_float_samples_beyond_full_scale_are_not_clipped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.array([3.0, -2.0]), subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(path), np.array([3, -2], np.float32))


@pytest.mark.parametrize("sample_rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_silence_and_clipped_speech(tmp_path: Path, level: float, sample_rate: int) -> None:
    assert_librosa_reads_the_same(write(tmp_path / "a.wav", level * np.sign(tones(sample_rate)), sample_rate))


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tones())
    renamed = path.rename(os.fsdecode(os.fsencode(tmp_path) + b"/gr\xfc\xdfe.wav"))
    assert len(read_audio(renamed)) == 8000
    with pytest.raises(DataError, match="truncated"):
        read_audio(cut(renamed, 8000))


def test_suffixes_in_capitals_and_names_with_spaces_and_signs(tmp_path: Path) -> None:
    for name in ("LOUD.WAV", "two words.Flac", "Gespräch [1] %d.wav"):
        assert_librosa_reads_the_same(write(tmp_path / name, tones()))


def test_a_file_that_is_another_container_than_its_suffix_says(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tones(), 16_000, format="FLAC")
    assert_librosa_reads_the_same(path)


@pytest.mark.parametrize("n_samples", [7999, 8001])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24"])
def test_an_odd_number_of_bytes_with_and_without_the_padding_byte(tmp_path: Path, n_samples: int, subtype: str) -> None:
    path = write(tmp_path / "a.wav", tones(seconds=1)[:n_samples], subtype=subtype)
    whole = read_audio(path)
    assert len(whole) == n_samples
    start, size = data_chunk(path)
    np.testing.assert_array_equal(read_audio(cut(path, start + size)), whole)


@pytest.mark.parametrize("trailer", [b"LIST\x0c\0\0\0INFOISFT\0\0\0\0", b"TAG" + bytes(125)])
def test_a_chunk_or_tag_after_the_samples_is_no_part_of_them(tmp_path: Path, trailer: bytes) -> None:
    path = write(tmp_path / "a.wav", tones())
    whole = read_audio(path)
    path.write_bytes(path.read_bytes() + trailer)
    np.testing.assert_array_equal(read_audio(path), whole)


# A writer to a pipe cannot go back to write the length: it leaves the largest, or what it was born with.
@pytest.mark.parametrize("size", [0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF, 0x7FFFF000, 0x80000000])
@pytest.mark.parametrize(("subtype", "n_channels"), [("PCM_16", 1), ("PCM_24", 2), ("FLOAT", 1)])
def test_a_streamed_wav_of_unknown_length_is_read_whole(
    tmp_path: Path, size: int, subtype: str, n_channels: int
) -> None:
    path = write(tmp_path / "a.wav", tones(n_channels=n_channels), subtype=subtype)
    whole = read_audio(path)
    start, _ = data_chunk(path)
    rewrite(path, 4, struct.pack("<I", size))
    rewrite(path, start - 4, struct.pack("<I", size))
    np.testing.assert_array_equal(read_audio(path), whole)


def test_the_length_stays_below_the_rounding_of_the_header(tmp_path: Path) -> None:
    """The manifest's n_frames, rounded up from the header, is the length of what is decoded."""
    for sample_rate in RATES:
        path = write(tmp_path / "a.wav", tones(sample_rate, seconds=0.1003), sample_rate)
        n_frames = soundfile.info(path).frames
        assert len(read_audio(path)) == -(-n_frames * 16_000 // sample_rate)


# Recordings that are read in part, or in pieces

LONG = [
    ("flac", "PCM_16", 16_000, 1),
    ("wav", "PCM_16", 44_100, 2),
    ("mp3", "MPEG_LAYER_III", 48_000, 1),
    ("ogg", "VORBIS", 8000, 1),
]


@pytest.fixture(scope="module", params=LONG, ids=lambda kind: kind[0])
def long_recording(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Longer than what is decoded at a time, in a container of its own."""
    suffix, subtype, sample_rate, n_channels = request.param
    n_frames = 2**20 // n_channels * 5 // 4
    path = tmp_path_factory.mktemp("long") / f"a.{suffix}"
    samples = tones(sample_rate, n_channels, n_frames / sample_rate)
    with soundfile.SoundFile(path, "w", sample_rate, n_channels, subtype) as recording:
        for start in range(0, n_frames, 2**16):  # libsndfile's Vorbis encoder overflows the stack on more
            recording.write(samples[start : start + 2**16])
    return path


def test_a_long_recording(long_recording: Path) -> None:
    assert_librosa_reads_the_same(long_recording)


def test_pieces_together_are_the_whole(long_recording: Path) -> None:
    pieces = list(read_blocks(long_recording))
    assert len(pieces) > 1
    np.testing.assert_array_equal(np.concatenate(pieces), read_audio(long_recording))


@pytest.mark.parametrize("n_samples", [1, 64_600, 370_000, 10**9])
def test_the_beginning_is_that_of_the_whole(long_recording: Path, n_samples: int) -> None:
    np.testing.assert_array_equal(read_audio(long_recording, n_samples), read_audio(long_recording)[:n_samples])


@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
def test_damage_after_the_part_that_is_wanted_is_found_all_the_same(tmp_path: Path, sample_rate: int) -> None:
    samples = tones(sample_rate, seconds=2**20 / sample_rate + 1)
    truncated = write(tmp_path / "truncated.flac", samples, sample_rate)
    cut(truncated, truncated.stat().st_size - 100)
    damaged = write(tmp_path / "damaged.flac", samples, sample_rate)
    rewrite(damaged, int(0.99 * damaged.stat().st_size), b"\0" * 64)
    samples[-1] = np.nan
    not_finite = write(tmp_path / "nan.wav", samples, sample_rate, "FLOAT")
    for path in (truncated, damaged, not_finite):
        with pytest.raises(DataError):
            read_audio(path, 64_600)
        with pytest.raises(DataError):
            list(read_blocks(path))


# Broken recordings


def test_a_missing_file(tmp_path: Path) -> None:
    assert_refused(tmp_path / "no such.flac", "no such audio file")
    assert_refused(tmp_path, "no audio file, but a folder")


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_an_empty_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.touch()
    assert_refused(path, "cannot be decoded")


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_text_in_the_name_of_a_recording(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_text("LA_0079 LA_T_1138215 - - bonafide\n" * 5)
    assert_refused(path, "cannot be decoded")


def test_no_samples(tmp_path: Path) -> None:
    assert_refused(write(tmp_path / "a.wav", tones()[:0]), "no samples")
    assert_refused(write(tmp_path / "a.flac", tones()[:0]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_samples_that_are_not_finite(tmp_path: Path, value: float, n_channels: int) -> None:
    samples = tones(n_channels=n_channels)
    samples[1234, -1] = value
    assert_refused(write(tmp_path / "a.wav", samples, 44_100, "FLOAT"), "not finite")


@pytest.mark.filterwarnings("error")
def test_channels_whose_mean_is_not_finite(tmp_path: Path) -> None:
    largest = np.finfo(np.float32).max
    for channels in ([np.inf, -np.inf], [largest, largest]):
        assert_refused(write(tmp_path / "a.wav", np.tile(channels, (100, 1)), subtype="FLOAT"), "not finite")


def test_samples_that_float32_cannot_hold(tmp_path: Path) -> None:
    assert_refused(write(tmp_path / "a.wav", np.array([0, 1e300]), subtype="DOUBLE"), "not finite")


@pytest.mark.parametrize("missing", [1, 2, 10, 1000, 0.5, 0.9, 0.99])
def test_a_truncated_flac(tmp_path: Path, missing: float) -> None:
    path = write(tmp_path / "a.flac", tones(seconds=3))
    n_bytes = path.stat().st_size
    assert_refused(cut(path, n_bytes - int(missing if missing >= 1 else missing * n_bytes)))


def test_a_flac_that_ends_between_two_of_its_frames(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", tones(seconds=3))
    content = path.read_bytes()
    starts = [k for k in range(len(content)) if content[k : k + 2] == b"\xff\xf8"]
    assert len(starts) >= 10
    for start in starts[1:]:
        path.write_bytes(content[:start])
        assert_refused(path)


def test_a_flac_with_a_damaged_middle(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", tones(seconds=3))
    assert_refused(rewrite(path, path.stat().st_size // 2, b"\0" * 64))


@pytest.mark.parametrize(("suffix", "subtype"), [("wav", "PCM_16"), ("wav", "FLOAT"), ("wav", "PCM_24"), ("aiff", "PCM_16")])
@pytest.mark.parametrize("missing", [1, 2, 1000, 0.5, 0.9])
def test_a_truncated_wav_or_aiff(tmp_path: Path, suffix: str, subtype: str, missing: float) -> None:
    path = write(tmp_path / f"a.{suffix}", tones(n_channels=2), subtype=subtype)
    n_bytes = path.stat().st_size
    assert_refused(cut(path, n_bytes - int(missing if missing >= 1 else missing * n_bytes)), "truncated")


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "ogg", "mp3"])
def test_nothing_but_the_beginning_of_a_header(tmp_path: Path, suffix: str) -> None:
    assert_refused(cut(write(tmp_path / f"a.{suffix}", tones()), 30))


def test_a_truncated_mp3_whose_header_knows_its_length(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", tones(seconds=3))
    assert_refused(cut(path, path.stat().st_size // 2), "truncated")


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("a.ogg", "VORBIS"), ("a.opus", "OPUS"), ("a.w64", "PCM_16"), ("a.rf64", "PCM_16"), ("a.sph", "ULAW"), ("a.svx", "PCM_16")],
)
def test_a_truncated_recording_of_another_container(tmp_path: Path, name: str, subtype: str) -> None:
    path = write(tmp_path / name, tones(seconds=10), subtype=subtype)
    assert_refused(cut(path, path.stat().st_size // 2))


@pytest.mark.parametrize("sample_rate", [0, 1, 999, 1_000_001, 2**31 - 1])
def test_a_sample_rate_that_no_recording_has(tmp_path: Path, sample_rate: int) -> None:
    path = write(tmp_path / "a.wav", tones())
    assert_refused(rewrite(path, 24, struct.pack("<I", sample_rate)))


def test_samples_that_resampling_takes_beyond_float32(tmp_path: Path) -> None:
    largest = np.finfo(np.float32).max
    path = write(tmp_path / "a.wav", largest * np.sign(tones(8000)), 8000, "FLOAT")
    assert_refused(path, "not finite")


def test_telephone_speech_in_gsm_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tones(8000), 8000, "GSM610")
    waveform = read_audio(path)
    with soundfile.SoundFile(path) as recording:
        decoded = recording.read(recording.frames, dtype="float32")
    np.testing.assert_allclose(waveform, librosa.resample(decoded, orig_sr=8000, target_sr=16_000), rtol=0, atol=1e-6)


def test_a_flac_whose_header_promises_as_much_as_it_can(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", tones(seconds=3))
    assert_refused(rewrite_flac_length(path, 2**36 - 1), "longer than 24 hours")
    assert_refused(rewrite_flac_length(path, 49_000), "truncated")


def rewrite_flac_length(path: Path, n_samples: int) -> Path:
    """The 36 bits of STREAMINFO that hold the number of samples (RFC 9639, section 8.2)."""
    high, low = divmod(n_samples, 2**32)
    first_bits = path.read_bytes()[21] & 0xF0  # the last of the bits per sample
    return rewrite(path, 21, bytes([first_bits | high]) + struct.pack(">I", low))


# Containers that only ffmpeg knows


@pytest.mark.parametrize("name", ["a.m4a", "a.webm", "a"])
def test_without_ffmpeg_the_remedy_is_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"\0\0\0\x20ftypM4A ")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert_refused(path, "install ffmpeg", error=MachineError)


@pytest.mark.parametrize(("sample_rate", "n_channels"), [(16_000, 1), (44_100, 2)])
def test_ffmpeg_decodes_m4a(tmp_path: Path, sample_rate: int, n_channels: int) -> None:
    encoded = encode(write(tmp_path / "a.wav", tones(sample_rate, n_channels), sample_rate), "m4a")
    decoded = tmp_path / "decoded.wav"
    subprocess.run([ffmpeg(), "-v", "error", "-i", encoded, "-c:a", "pcm_f32le", decoded], check=True)
    np.testing.assert_array_equal(read_audio(encoded), read_audio(decoded))


def test_ffmpeg_is_given_the_file_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = encode(write(tmp_path / "a.wav", tones()), "m4a")
    monkeypatch.chdir(tmp_path)
    for name in ("-y.m4a", "12:30.m4a", "concat:a.m4a", "50%d.m4a"):
        path = Path(shutil.copy(encoded, name))
        np.testing.assert_array_equal(read_audio(path), read_audio(encoded), err_msg=name)


@pytest.mark.parametrize("n_missing", [1000, 20_000])
def test_a_broken_or_truncated_m4a(tmp_path: Path, n_missing: int) -> None:
    encoded = encode(write(tmp_path / "a.wav", tones(seconds=3)), "m4a")
    assert_refused(cut(encoded, encoded.stat().st_size - n_missing), "ffmpeg cannot decode it")
    encoded.write_text("not a recording")
    assert_refused(encoded, "ffmpeg cannot decode it")


def test_a_truncated_webm(tmp_path: Path) -> None:
    encoded = encode(write(tmp_path / "a.wav", tones(seconds=3)), "webm")
    assert_refused(cut(encoded, encoded.stat().st_size // 2), "ffmpeg cannot decode it")


def ffmpeg() -> str:
    return shutil.which("ffmpeg") or pytest.skip("ffmpeg is not installed")


def encode(path: Path, suffix: str) -> Path:
    encoded = path.with_suffix(f".{suffix}")
    subprocess.run([ffmpeg(), "-v", "error", "-i", path, encoded], check=True)
    return encoded


def data_chunk(path: Path) -> tuple[int, int]:
    """Where the samples of a WAV file begin, and how many bytes they take."""
    content = path.read_bytes()
    start = content.index(b"data") + 8
    return start, struct.unpack("<I", content[start - 4 : start])[0]


# The length that models take


@pytest.mark.parametrize("n_samples", [1, 2, 1000, 64_599, 64_600, 64_601, 200_000])
def test_clips_are_tiled_by_the_published_rule(n_samples: int) -> None:
    waveform = np.random.default_rng(0).standard_normal(n_samples).astype(np.float32)
    expected = np.tile(waveform, int(64_600 / n_samples) + 1)[:64_600]
    fitted = fit_length(waveform, 64_600)
    assert fitted.dtype == np.float32
    np.testing.assert_array_equal(fitted, expected)


@pytest.mark.parametrize("n_samples", [1, 64_599, 64_600, 64_601])
def test_zero_padding_follows_the_clip(n_samples: int) -> None:
    fitted = fit_length(np.ones(n_samples, np.float32), 64_600, "zero")
    assert fitted.dtype == np.float32
    assert fitted.shape == (64_600,)
    n_heard = min(n_samples, 64_600)
    assert (fitted[:n_heard] == 1).all()
    assert (fitted[n_heard:] == 0).all()


@pytest.mark.parametrize("n_samples", [1, 500, 1_000, 1_200])
@pytest.mark.parametrize("level", [1.0, 1e-3, 0.0])
def test_speech_is_normalised_before_zeros_follow(n_samples: int, level: float) -> None:
    """As transformers' extractor: the speech that is heard, to mean 0 and variance 1, with 1e-7 added to the variance."""
    waveform = level * (0.1 + np.random.default_rng(4).standard_normal(n_samples)).astype(np.float32)
    fitted = fit_length(waveform, 1_000, "zero_normalized")
    heard = waveform[:1_000].astype(np.float64)
    mean = sum(heard) / len(heard)
    variance = sum((heard - mean) ** 2) / len(heard)
    assert fitted.dtype == np.float32
    np.testing.assert_allclose(fitted[:n_samples], (heard - mean) / math.sqrt(variance + 1e-7), rtol=1e-3, atol=1e-4)
    assert len(fitted) == 1_000
    assert (fitted[n_samples:] == 0).all()


def test_a_start_moves_the_cut() -> None:
    waveform = np.arange(10, dtype=np.float32)
    np.testing.assert_array_equal(fit_length(waveform, 4, start=3), [3, 4, 5, 6])
    np.testing.assert_array_equal(fit_length(waveform, 4, start=6), [6, 7, 8, 9])
    np.testing.assert_array_equal(fit_length(waveform, 10, start=0), waveform)
