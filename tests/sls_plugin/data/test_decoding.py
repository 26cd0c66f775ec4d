"""Recordings are read by their content and to their end; what is no recording is not opened; the machine's faults are its own."""

import os
import re
import resource
import shutil
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from torch.utils.data import DataLoader

from protocols import DataError, MachineError, Trial
from protocols.recordings import with_durations
from protocols.streams import streams_of
from sls_plugin.data.audio import read_audio, read_blocks
from sls_plugin.data.clip_dataset import ClipDataset, Segment
from sls_plugin.data.loader import iterate

SECONDS = 3
LOSSY_DELAY = 2_600  # samples at 16 kHz: what encoders put around the sound, and what a header without counts keeps


def sweep(sample_rate: int = 16_000, seconds: float = SECONDS) -> np.ndarray:
    """Rising in pitch, so that no part is like another."""
    time = np.arange(round(sample_rate * seconds)) / sample_rate
    return 0.4 * np.sin(2 * np.pi * (200 + 300 * time) * time)


def write(path: Path, samples: np.ndarray, sample_rate: int = 16_000, **options: object) -> Path:
    soundfile.write(path, samples, sample_rate, **options)
    return path


def ffmpeg(source: Path, name: str, *options: str) -> Path:
    """The source in another container, under a name that may lie about it."""
    target = source.with_name(name)
    program = shutil.which("ffmpeg") or pytest.skip("ffmpeg is not installed")
    subprocess.run([program, "-v", "error", "-y", "-i", source, *options, target], check=True)
    return target


def n_frames(path: Path) -> int:
    (trial,) = with_durations([Trial("a", str(path))])
    return trial.n_frames


def likeness(heard: np.ndarray, whole: np.ndarray) -> float:
    """1 where all of a recording is heard, at whatever place."""
    spectrum = np.fft.rfft(heard, 2**18) * np.fft.rfft(whole, 2**18).conj()
    return float(np.fft.irfft(spectrum).max() / np.square(whole).sum())


# To the end


@pytest.mark.parametrize("kind", ["flac", "ogg", "opus"])
def test_joined_recordings_are_all_heard(tmp_path: Path, kind: str) -> None:
    container = {"opus": "OGG"}.get(kind)
    options = {"format": container, "subtype": "OPUS"} if container else {}
    parts = [write(tmp_path / f"{n}.{kind}", level * sweep(), **options) for n, level in enumerate((1.0, 0.5, 0.25))]
    joined = tmp_path / f"joined.{kind}"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    expected = np.concatenate([read_audio(part) for part in parts])
    np.testing.assert_array_equal(read_audio(joined), expected)
    np.testing.assert_array_equal(np.concatenate(list(read_blocks(joined))), expected)
    assert n_frames(parts[0]) == SECONDS * 16_000
    assert n_frames(joined) == 0  # not that of the first part


def test_joined_wavs_are_refused(tmp_path: Path) -> None:
    part = write(tmp_path / "part.wav", sweep())
    joined = tmp_path / "joined.wav"
    joined.write_bytes(2 * part.read_bytes())
    with pytest.raises(DataError, match=r"joined\.wav: cannot be decoded"):
        read_audio(joined)


def test_joined_recordings_of_different_rates_are_refused(tmp_path: Path) -> None:
    parts = [write(tmp_path / f"{rate}.flac", sweep(rate), rate) for rate in (16_000, 48_000)]
    joined = tmp_path / "joined.flac"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(DataError, match=r"joined\.flac: joined of recordings with different sample rates: separate them"):
        read_audio(joined)


def mp3(path: Path, sample_rate: int, mode: str) -> Path:
    with soundfile.SoundFile(path, "w", sample_rate, 1, compression_level=0.5, bitrate_mode=mode) as recording:
        recording.write(sweep(sample_rate))
    return path


def without_count(path: Path) -> Path:
    """As an encoder writes to a pipe: without the first frame, which counts the others."""
    content = path.read_bytes()
    assert re.search(rb"Xing|Info", content[:200])
    second = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]").search(content, 100)
    path.write_bytes(content[second.start() :])
    return path


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("sample_rate", [16_000, 24_000, 44_100])
def test_an_mp3_without_a_count_of_its_frames_is_heard_to_its_end(tmp_path: Path, sample_rate: int, mode: str) -> None:
    whole = read_audio(mp3(tmp_path / "whole.mp3", sample_rate, mode))
    streamed = without_count(mp3(tmp_path / "streamed.mp3", sample_rate, mode))
    heard = read_audio(streamed)
    assert len(whole) <= len(heard) <= len(whole) + LOSSY_DELAY
    assert likeness(heard, whole) > 0.95
    assert n_frames(streamed) == 0


def test_an_mp3_whose_count_is_too_low_is_heard_to_its_end(tmp_path: Path) -> None:
    path = mp3(tmp_path / "a.mp3", 16_000, "VARIABLE")
    whole, content = read_audio(path), bytearray(path.read_bytes())
    count = re.search(rb"(?:Xing|Info)....", content, re.DOTALL).end()
    content[count : count + 4] = struct.pack(">I", 20)
    path.write_bytes(content)
    assert len(whole) <= len(read_audio(path)) <= len(whole) + LOSSY_DELAY
    assert n_frames(path) == 0


def test_joined_mp3s_are_all_heard(tmp_path: Path) -> None:
    part = mp3(tmp_path / "part.mp3", 44_100, "VARIABLE")
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(2 * (b"ID3\x04\0\0\0\0\0\x0aTIT2\0\0\0\0\0\0" + part.read_bytes()))
    heard, once = read_audio(joined), len(read_audio(part))
    assert 2 * once <= len(heard) <= 2 * once + 2 * LOSSY_DELAY
    assert np.abs(heard[once + LOSSY_DELAY : 2 * once]).mean() > 0.2


def test_a_sound_mp3_keeps_its_length(tmp_path: Path) -> None:
    """Its header's count is trusted, as librosa trusts it."""
    for sample_rate in (8_000, 16_000, 22_050, 44_100, 48_000):
        path = mp3(tmp_path / "a.mp3", sample_rate, "VARIABLE")
        assert [stream.has_length for stream in streams_of(path, "MP3")] == [True]
        assert len(read_audio(path)) == n_frames(path) == SECONDS * 16_000


def test_a_flac_whose_header_has_no_length_is_heard_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", sweep())
    whole = read_audio(path)
    np.testing.assert_array_equal(read_audio(with_flac_length(path, 0)), whole)
    assert n_frames(path) == 0


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_a_flac_whose_header_counts_too_little_is_heard_to_its_end(tmp_path: Path, share: float, subtype: str) -> None:
    path = write(tmp_path / "a.flac", sweep(), subtype=subtype)
    whole = read_audio(path)
    assert n_frames(path) == SECONDS * 16_000
    with_flac_length(path, int(share * SECONDS * soundfile.info(path).samplerate))
    np.testing.assert_array_equal(read_audio(path), whole)
    assert n_frames(path) == 0
    joined = tmp_path / "joined.flac"
    joined.write_bytes(2 * path.read_bytes())
    np.testing.assert_array_equal(read_audio(joined), np.tile(whole, 2))


def test_a_sound_flac_keeps_its_length(tmp_path: Path) -> None:
    """Noise, in which bytes look like the start of a frame here and there, of many lengths."""
    for number in range(40):
        noise = np.random.default_rng(number).uniform(-1, 1, 4_000 + 997 * number)
        path = write(tmp_path / "a.flac", noise)
        assert [stream.has_length for stream in streams_of(path, "FLAC")] == [True]


def with_flac_length(path: Path, n_samples: int) -> Path:
    """The 36 bits of STREAMINFO that hold the number of samples (RFC 9639, section 8.2)."""
    content, (high, low) = bytearray(path.read_bytes()), divmod(n_samples, 2**32)
    content[21] = content[21] & 0xF0 | high
    content[22:26] = struct.pack(">I", low)
    path.write_bytes(content)
    return path


def test_a_recording_of_more_than_a_day_is_refused_at_once(tmp_path: Path) -> None:
    path = with_flac_length(write(tmp_path / "a.flac", sweep()), 273 * 3600 * 16_000)
    for read in (read_audio, lambda path: list(read_blocks(path))):
        with pytest.raises(DataError, match=r"a\.flac: longer than 24 hours: cut it into parts"):
            read(path)


@pytest.mark.parametrize(
    ("name", "n_samples"),
    [
        ("vbr_from_pipe.mp3", 61_858), ("cbr_from_pipe.mp3", 62_208), ("joined.mp3", 124_032), ("joined.ogg", 122_620),
        ("joined.opus", 122_620), ("joined.flac", 122_620), ("flac_from_pipe.flac", 61_310), ("aac_named.wav", 61_440),
        ("webm_named.mp3", 61_310), ("video_audio.mov", 61_440),
    ],
)  # fmt: skip
def test_real_files_are_heard_to_their_end(shared: Path, name: str, n_samples: int) -> None:
    """One sentence of 61,310 samples, once or twice; lossy encoders add up to a few frames."""
    if name in ("aac_named.wav", "webm_named.mp3", "video_audio.mov") and not shutil.which("ffmpeg"):
        pytest.skip("ffmpeg is not installed")
    sentence, heard = read_audio(shared / "faults" / "audio" / "whole.flac"), read_audio(shared / "faults" / "audio" / name)
    assert len(heard) == n_samples
    assert likeness(heard, sentence) > 0.9


# By content


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("m4a.wav", ("-f", "ipod")),
        ("webm.mp3", ("-c:a", "libopus", "-f", "webm")),
        ("ac3.wav", ("-c:a", "ac3", "-ar", "32000")),
        ("g722.wav", ("-c:a", "g722")),
        ("flac.ogg", ("-c:a", "flac")),
        ("alac.caf", ("-c:a", "alac")),
        ("speex.flac", ("-c:a", "libspeex", "-f", "ogg")),
        ("wavpack", ("-c:a", "wavpack", "-f", "wv")),
    ],
)
def test_a_container_that_only_ffmpeg_reads_may_have_any_name(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    path = ffmpeg(write(tmp_path / "source.wav", sweep()), name, *options)
    raw = ffmpeg(path, "raw.f32", "-f", "f32le")
    expected = np.fromfile(raw, "<f4")
    heard = read_audio(path)
    if name == "ac3.wav":  # at 32 kHz
        assert len(heard) == len(expected) / 2
    elif name == "webm.mp3":  # at 48 kHz
        assert len(heard) == len(expected) / 3
    else:
        np.testing.assert_array_equal(heard, expected)
    assert n_frames(path) == 0


def test_a_broken_file_of_a_format_that_soundfile_knows_is_not_tried_again(tmp_path: Path) -> None:
    """ffmpeg would hear a part of it without a word."""
    path = write(tmp_path / "a.wav", sweep())
    content = bytearray(path.read_bytes())
    content[16:20] = struct.pack("<I", 3)  # the length of the fmt chunk
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.wav: cannot be decoded \(.+\): copy or export it again"):
        read_audio(path)


PLAYLISTS = {
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:3,\nfile:{secret}\n#EXT-X-ENDLIST\n",
    "live HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:3,\nfile:{secret}\n",
    "ffconcat": "ffconcat version 1.0\nfile '{secret}'\n",
    "SBaGen": "-SE\n\n base: 200+10/100\nNOW base\n",
    "DASH": '<?xml version="1.0"?><MPD><Period><AdaptationSet><Representation><BaseURL>file:{secret}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
}


@pytest.mark.parametrize("suffix", [".m4a", ".wav", ".mp3", ".m3u8", ""])
@pytest.mark.parametrize("kind", list(PLAYLISTS))
def test_a_playlist_or_script_reads_no_other_file(tmp_path: Path, kind: str, suffix: str) -> None:
    ffmpeg(write(tmp_path / "source.wav", sweep()), "unused.flac")  # skips where ffmpeg is missing
    secret = write(tmp_path / "secret.wav", sweep())
    path = tmp_path / f"x{suffix}"
    path.write_text(PLAYLISTS[kind].format(secret=secret))
    start = time.monotonic()
    with pytest.raises(DataError, match=r": (ffmpeg cannot decode it|cannot be decoded)"):
        read_audio(path)
    assert time.monotonic() - start < 30  # nothing is waited for


def test_nothing_is_written_to_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ffmpeg(write(tmp_path / "source.wav", sweep()), "a.m4a")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "no such folder"))
    assert len(read_audio(path)) >= SECONDS * 16_000


def test_a_reader_that_stops_early_leaves_no_ffmpeg_behind(tmp_path: Path) -> None:
    path = ffmpeg(write(tmp_path / "source.wav", sweep(48_000, 120), 48_000), "a.m4a")
    blocks = read_blocks(path)
    next(blocks)
    assert children()
    blocks.close()
    assert not children()


def children() -> list[str]:
    task = Path(f"/proc/{os.getpid()}/task")
    pids = [pid for thread in task.iterdir() for pid in (thread / "children").read_text().split()]
    return [pid for pid in pids if Path(f"/proc/{pid}/comm").read_text() == "ffmpeg\n"]


# What is no file


@pytest.mark.parametrize("name", ["x.wav", "x.m4a", "x"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    message = rf"{name}: no audio file, but a pipe or device: name a recording"
    with pytest.raises(DataError, match=message):
        read_audio(tmp_path / name)
    with pytest.raises(DataError, match=message):
        n_frames(tmp_path / name)


def test_a_device_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    with pytest.raises(DataError, match="no audio file, but a pipe or device"):
        read_audio(tmp_path / "zero.wav")


# The machine


def too_few_files() -> None:
    with open(os.devnull) as file:
        next_one = file.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def no_file_limit() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))


def test_too_few_file_handles_are_no_fault_of_a_recording(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", sweep())
    try:
        too_few_files()
        with pytest.raises(MachineError, match=r"a\.wav: Too many open files: a fault of this machine, not of the recording"):
            read_audio(path)
    finally:
        no_file_limit()


def failing_disk(folder: Path) -> Path:
    path = folder / "a.wav"
    path.symlink_to("/proc/self/mem")  # a regular file, whose first bytes give EIO
    return path


def dangling_link(folder: Path) -> Path:
    path = folder / "a.wav"
    path.symlink_to(folder / "away" / "a.wav")
    return path


def no_ffmpeg(folder: Path) -> Path:
    path = folder / "a.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A ")
    return path


FAULTS = [
    (failing_disk, r"a\.wav: Input/output error: a fault of this machine, not of the recording"),
    (dangling_link, r"a\.wav: a link to a file that is not there: is its disk mounted\?"),
    (no_ffmpeg, r"a\.m4a: soundfile does not know its format: install ffmpeg"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS)
def test_a_fault_of_the_machine_is_none_of_a_recording(
    fault: Callable[[Path], Path], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops a run, also where broken recordings are skipped."""
    path = fault(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    clips = ClipDataset([Trial("a", str(path))], Path(), Segment(16_000), skip_broken=True)
    with pytest.raises(MachineError, match=f"^{tmp_path}/{message}$"):
        clips[0]
    for num_workers in (0, 1):  # in one line, also from a worker
        with pytest.raises(MachineError, match=f"^{tmp_path}/{message}$"):
            next(iterate(DataLoader(clips, collate_fn=clips.collater, num_workers=num_workers)))
