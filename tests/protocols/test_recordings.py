import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from protocols import DataError, Trial
from protocols.recordings import numbered, with_durations, with_recordings


def write_noise(path, n_samples, rate=16000, channels=1):
    noise = np.random.default_rng(n_samples).uniform(-0.5, 0.5, (n_samples, channels))
    soundfile.write(path, noise, rate)
    return Trial(path.name, str(path), "spoof", facts={"speaker": "p1"})


def recordings_of(folder, *names):
    """Where the recordings of some trials lie below a folder."""
    trials = with_recordings(numbered("list.txt", [Trial(name, "") for name in names]), folder)
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
