import gzip
from collections import Counter

import pytest

from protocols import DataError, Trial
from protocols.corpora.in_the_wild import PLACES, read_key, read_trials
from protocols.files import find_file

META = 'file,speaker,label\n0.wav,Alan Watts,spoof\n1.wav,"King, Martin Luther",bona-fide\n'
KEY = "- 0.wav - - - spoof\n- 1.wav - - - bona-fide\n"


@pytest.fixture
def audio(tmp_path):
    """The recordings with their meta.csv."""
    folder = tmp_path / "release_in_the_wild"
    folder.mkdir()
    (folder / "0.wav").touch()
    (folder / "1.wav").touch()
    (folder / "meta.csv").write_text(META)
    return folder


def ids_and_labels(trials):
    return [(trial.id, trial.label) for trial in trials]


def test_by_default_meta_csv_beside_the_recordings_tells_the_trials(audio):
    assert read_trials(audio) == [
        Trial("0.wav", str(audio / "0.wav"), "spoof", facts={"speaker": "Alan Watts"}),
        Trial("1.wav", str(audio / "1.wav"), "bonafide", facts={"speaker": "King, Martin Luther"}),
    ]


def test_the_key_of_the_sls_authors_has_no_speakers(audio, tmp_path):
    key = tmp_path / "in_the_wild_key.txt"
    key.write_text(KEY)
    assert list(read_key(key)) == [Trial("0.wav", "", "spoof"), Trial("1.wav", "", "bonafide")]
    (audio / "meta.csv").unlink()
    assert ids_and_labels(read_trials(audio, keys=tmp_path)) == [("0.wav", "spoof"), ("1.wav", "bonafide")]


def test_a_list_has_labels_only_with_keys(audio, tmp_path):
    protocol = tmp_path / "in_the_wild.eval.txt"
    protocol.write_text("1.wav\n0.wav\n")
    assert ids_and_labels(read_trials(audio, protocol)) == [("1.wav", ""), ("0.wav", "")]
    assert ids_and_labels(read_trials(audio, protocol, keys=audio)) == [("1.wav", "bonafide"), ("0.wav", "spoof")]


def test_a_missing_recording_is_told_by_its_line_after_the_header(audio):
    (audio / "1.wav").unlink()
    with pytest.raises(DataError, match=r"meta\.csv:3: no recording for 1 of 2 trials \(1\.wav\)"):
        read_trials(audio)


def test_without_meta_csv_a_key_is_asked_for(audio):
    (audio / "meta.csv").unlink()
    with pytest.raises(DataError, match=r"release_in_the_wild: no key of In-the-Wild in this folder: .* meta\.csv"):
        read_trials(audio)


@pytest.mark.parametrize("folder", ["release_in_the_wild", "."])
def test_keys_are_found_beside_the_recordings_or_from_their_parent(audio, folder):
    assert find_file(audio.parent / folder, PLACES, "keys").samefile(audio / "meta.csv")


def test_the_real_key(shared, tmp_path):
    key = tmp_path / "in_the_wild_key.txt"
    key.write_bytes(gzip.decompress((shared / "data/scores/itw/key.txt.gz").read_bytes()))
    trials = list(read_key(key))
    assert Counter(trial.label for trial in trials) == {"bonafide": 19963, "spoof": 11816}
    assert (trials[0].id, len({trial.id for trial in trials})) == ("0.wav", 31779)
