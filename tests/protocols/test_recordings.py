import math
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from protocols import DataError, Trial
from protocols.recordings import find_audio, with_durations, with_line_numbers, with_recordings


def write_noise(path, n_samples, rate=16000, channels=1):
    noise = np.random.default_rng(n_samples).uniform(-0.5, 0.5, (n_samples, channels))
    soundfile.write(path, noise, rate)
    return Trial(path.name, str(path), "spoof", facts={"speaker": "p1"})


def recordings_of(folder, *names):
    """Where the recordings of some trials lie below a folder."""
    trials = with_recordings(with_line_numbers("list.txt", [Trial(name, "") for name in names]), folder)
    return [Path(trial.audio).relative_to(folder).as_posix() for trial in trials]


@pytest.mark.parametrize(
    ("files", "recording"),
    [
        (["E_1.flac", "flac/E_1.flac", "E_1.wav"], "E_1.flac"),
        (["E_1.wav", "flac_T/E_1.flac"], "flac_T/E_1.flac"),
        (["flac_E_eval/E_1.flac", "flac_D/E_1.flac"], "flac_D/E_1.flac"),
        (["wav/E_1.wav", "E_1/E_1.wav", "E_1.mp3", "features/E_1.flac"], "wav/E_1.wav"),
        (["wav/E_1", "flac/E_1.flac"], "wav/E_1"),
    ],
)
def test_the_likeliest_recording_of_an_utterance_is_taken(tmp_path, files, recording):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert recordings_of(tmp_path, "E_1") == [recording]


def test_recordings_may_be_links_but_not_broken_ones(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.flac").touch()
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "flac").symlink_to(tmp_path / "disk")
    (corpus / "b.wav").symlink_to(tmp_path / "disk" / "a.flac")
    (corpus / "c.wav").symlink_to(tmp_path / "disk" / "nothing")
    assert recordings_of(corpus, "b", "a") == ["b.wav", "flac/a.flac"]
    with pytest.raises(DataError, match=r"list\.txt:2: no recording for 1 of 2 trials \(c\)"):
        recordings_of(corpus, "a", "c")


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_durations_are_those_of_the_decoded_samples(tmp_path, rate, suffix):
    trials = [write_noise(tmp_path / f"{n}.{suffix}", n, rate, channels=1 + n % 2) for n in (1, 441, 4410, 7919)]
    expected = []
    for trial in trials:
        samples, rate_read = soundfile.read(trial.audio)
        expected.append(math.ceil(Fraction(len(samples) * 16000, rate_read)))
    timed = with_durations(trials)
    assert [trial.n_frames for trial in timed] == expected
    assert [(trial.id, trial.label, trial.facts) for trial in timed] == [
        (trial.id, "spoof", {"speaker": "p1"}) for trial in trials
    ]


def test_each_trial_gets_its_own_duration_whatever_thread_reads_it(tmp_path):
    lengths = np.random.default_rng(0).permutation(200) + 1
    trials = [write_noise(tmp_path / f"{n}.wav", int(n)) for n in lengths]
    assert [trial.n_frames for trial in with_durations(trials)] == lengths.tolist()


def test_a_header_without_a_length_leaves_it_unread(tmp_path):
    path = tmp_path / "stream.flac"
    trial = write_noise(path, 4000)
    flac = bytearray(path.read_bytes())
    flac[21] &= 0xF0  # STREAMINFO: 36 bits of total samples, 0 when the encoder did not know
    flac[22:26] = bytes(4)
    path.write_bytes(flac)
    assert [trial.n_frames for trial in with_durations([trial])] == [0]


def test_a_container_for_ffmpeg_is_left_unread(tmp_path):
    (tmp_path / "call.M4A").write_bytes(b"\0\0\0\x20ftypM4A ")
    assert [trial.n_frames for trial in with_durations([Trial("call", str(tmp_path / "call.M4A"))])] == [0]


def test_a_broken_recording_is_told_by_its_path(tmp_path):
    good = [write_noise(tmp_path / f"{n}.wav", n) for n in range(1, 80)]
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"<html>404</html>")
    with pytest.raises(DataError, match=r"broken\.wav: its header cannot be read \(Format not recognised\): copy it"):
        with_durations([*good, Trial("broken", str(broken)), *good])


def test_an_absent_recording_is_told_by_its_path(tmp_path):
    with pytest.raises(DataError, match=r"absent\.wav: its header cannot be read \(System error\): "):
        with_durations([Trial("absent", str(tmp_path / "absent.wav"))])


@pytest.fixture
def folder(tmp_path):
    """A function that makes a folder of empty files."""

    def make(*names):
        for name in names:
            path = tmp_path / "recordings" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "recordings"

    return make


def test_recordings_are_found_recursively_and_sorted(folder):
    root = folder("b.wav", "a/2.flac", "a/10.flac", "a/deep/er/x.ogg", "B.WAV", "notes.txt", "a/table.tsv", "wav")
    assert [path.relative_to(root).as_posix() for path in find_audio(root)] == [
        "B.WAV", "a/10.flac", "a/2.flac", "a/deep/er/x.ogg", "b.wav",
    ]


def test_every_format_that_soundfile_or_ffmpeg_decodes_is_found(folder):
    soundfile_knows = ["wav", "flac", "ogg", "opus", "mp3", "aiff", "aif", "au", "w64", "sph"]
    ffmpeg_knows = ["m4a", "mp4", "aac", "webm", "wma", "amr", "3gp", "mov", "mkv", "avi", "mka", "mp2", "ts", "wv", "m4b"]
    expected = sorted(f"recording.{suffix}" for suffix in soundfile_knows + ffmpeg_knows)
    root = folder(*expected, "headerless.raw", "picture.png")
    assert [path.name for path in find_audio(root)] == expected


def test_a_recording_without_a_suffix_is_found_by_its_first_bytes(folder):
    root = folder("text", "empty", "wav", "flac", "m4a")
    (root / "text").write_text("RIFFraff\n")
    (root / "wav").write_bytes(b"RIFF\0\0\0\0WAVE")
    (root / "flac").write_bytes(b"fLaC")
    (root / "m4a").write_bytes(b"\0\0\0 ftypM4A ")
    assert [path.name for path in find_audio(root)] == ["flac", "m4a", "wav"]


def test_files_that_are_passed_over_are_counted(folder, caplog):
    root = folder("a.wav", "b.txt", "deep/c.TXT", "d.csv", "README")
    assert len(find_audio(root)) == 1
    assert caplog.messages == [f"{root}: files passed over as no recordings: 2 .txt, 1 .csv, 1 without suffix"]


def test_hidden_files_are_passed_over(folder):
    assert [path.name for path in find_audio(folder("a.wav", "._a.wav", ".trash/b.wav"))] == ["a.wav"]


def test_links_are_followed_but_not_round_in_circles(folder, tmp_path):
    root = folder("a/1.wav")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "2.wav").touch()
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "a" / "up").symlink_to(root)
    (tmp_path / "elsewhere" / "self").symlink_to(tmp_path / "elsewhere")
    assert find_audio(root) == [root / "a" / "1.wav", root / "linked" / "2.wav"]


def test_a_folder_without_audio_is_refused(folder):
    with pytest.raises(DataError, match=r"recordings: no audio in this folder: "):
        find_audio(folder("readme.txt"))


@pytest.mark.parametrize("name", ["missing", "recordings/a.wav"])
def test_what_is_no_folder_is_refused(folder, tmp_path, name):
    folder("a.wav")
    with pytest.raises(DataError, match=rf"{name}: no such folder: "):
        find_audio(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser reads every folder")
def test_a_folder_that_cannot_be_read_is_not_passed_over(folder):
    root = folder("a.wav", "closed/b.wav")
    (root / "closed").chmod(0)
    try:
        with pytest.raises(PermissionError):
            find_audio(root)
    finally:
        (root / "closed").chmod(0o700)
