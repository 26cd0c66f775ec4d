import pytest

from protocols import DataError, Trial
from protocols.corpora.plain_folder import read_trials


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
    with pytest.raises(DataError, match=r"recordings: its subfolders already give the labels: leave out --label"):
        read_trials(folder("bonafide/1.wav", "spoof/2.wav"), label="spoof")
