import pytest

from protocols import DataError, Trial
from protocols.corpora.librispeech import read_trials


@pytest.fixture
def subset(tmp_path):
    """A function that makes the subset test-clean of empty files."""

    def make(*names):
        for name in names:
            path = tmp_path / "test-clean" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "test-clean"

    return make


def test_all_utterances_are_bona_fide(subset, monkeypatch):
    root = subset("61/70968/61-70968-0001.flac", "61/70968/61-70968.trans.txt", "1089/134686/1089-134686-0000.flac")
    monkeypatch.chdir(root)
    assert read_trials(".") == read_trials(root) == [
        Trial("1089-134686-0000", str(root / "1089/134686/1089-134686-0000.flac"), "bonafide",
              facts={"speaker": "1089", "chapter": "134686"}),
        Trial("61-70968-0001", str(root / "61/70968/61-70968-0001.flac"), "bonafide",
              facts={"speaker": "61", "chapter": "70968"}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["61-70968-0001.flac", "61/61-70968-0001.flac", "61/70968/62-70968-0001.flac", "61/70968/x.flac",
     "61/70968/61-70968-0001.wav", "dev/61/70968/61-70968-0001.flac"],
)  # fmt: skip
def test_a_recording_elsewhere_is_told_by_its_path(subset, name):
    root = subset("61/70968/61-70968-0000.flac", name)
    with pytest.raises(DataError) as error:
        read_trials(root)
    layout = f"not SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac below {root}"
    assert str(error.value).startswith(f"{root / name}: {layout}: give the folder of a subset")
