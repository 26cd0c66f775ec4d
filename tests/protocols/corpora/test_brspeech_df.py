import pytest

from protocols import DataError
from protocols.corpora.brspeech_df import read_trials


@pytest.fixture
def audio(tmp_path):
    for name in ("bonafide/1.wav", "spoof/f5tts/2.wav"):
        (tmp_path / "audio" / name).parent.mkdir(parents=True)
        (tmp_path / "audio" / name).touch()
    return tmp_path / "audio"


def test_a_list_tells_the_labels_against_the_folders(audio, tmp_path):
    (tmp_path / "list.txt").write_text("spoof/f5tts/2.wav bonafide\n")
    [trial] = read_trials(audio, tmp_path / "list.txt")
    assert (trial.id, trial.label, trial.audio) == ("spoof/f5tts/2.wav", "bonafide", str(audio / "spoof/f5tts/2.wav"))


def test_a_list_without_labels_is_refused(audio, tmp_path):
    (tmp_path / "list.txt").write_text("spoof/f5tts/2.wav\n")
    with pytest.raises(DataError, match=r"list\.txt:1: 'spoof/f5tts/2\.wav' is not `id label`"):
        read_trials(audio, tmp_path / "list.txt")


def test_the_folders_tell_the_labels_otherwise(audio):
    assert [(trial.id, trial.label) for trial in read_trials(audio)] == [
        ("bonafide/1.wav", "bonafide"), ("spoof/f5tts/2.wav", "spoof"),
    ]  # fmt: skip


def test_folders_that_tell_no_labels_are_refused(audio):
    (audio / "3.wav").touch()
    with pytest.raises(DataError, match=r"audio: recordings outside the subfolders bonafide and spoof: .*--protocol"):
        read_trials(audio)
