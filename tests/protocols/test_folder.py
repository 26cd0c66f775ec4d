import os

import pytest

from protocols import DataError, Trial
from protocols.folder import find_audio, read_trials


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
    ffmpeg_knows = ["m4a", "mp4", "aac", "webm", "wma", "amr", "3gp"]
    expected = sorted(f"recording.{suffix}" for suffix in soundfile_knows + ffmpeg_knows)
    root = folder(*expected, "headerless.raw", "picture.png")
    assert [path.name for path in find_audio(root)] == expected


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


def test_the_id_is_the_relative_path_and_the_label_unknown(folder, monkeypatch):
    root = folder("one two/Call 1.MP3", "x.wav")
    monkeypatch.chdir(root.parent)
    assert read_trials("recordings") == [
        Trial("one two/Call 1.MP3", str(root / "one two" / "Call 1.MP3")),
        Trial("x.wav", str(root / "x.wav")),
    ]


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["bonafide/1.wav", "spoof/A07/2.wav"], ["bonafide", "spoof"]),
        (["bona-fide/1.wav", "spoof/2.wav"], ["bonafide", "spoof"]),
        (["spoof/1.wav"], ["spoof"]),
        (["bonafide/1.wav", "other/2.wav", "spoof/3.wav"], ["", "", ""]),
        (["1.wav", "bonafide/2.wav", "spoof/3.wav"], ["", "", ""]),
        (["a/bonafide/1.wav", "a/spoof/2.wav"], ["", ""]),
        (["spoof.wav"], [""]),
    ],
)
def test_subfolders_named_after_the_classes_are_labels(folder, names, labels):
    trials = read_trials(folder(*names))
    assert [trial.id for trial in trials] == names
    assert [trial.label for trial in trials] == labels


def test_one_label_for_all(folder):
    assert [trial.label for trial in read_trials(folder("a.wav", "b.wav"), label="spoof")] == ["spoof", "spoof"]


def test_a_label_against_the_subfolders_is_refused(folder):
    with pytest.raises(DataError, match=r"recordings: its subfolders already tell the labels: leave out --label"):
        read_trials(folder("bonafide/1.wav", "spoof/2.wav"), label="spoof")


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
