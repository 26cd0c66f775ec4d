import pytest

from protocols import Trial
from protocols.corpora.asvspoof5 import PLACES, read_key, read_protocol, read_trials
from protocols.files import find_file

EVAL = (
    "E_0001 E_0000000000 F C01 1 E_0000000009 AC1 A17 spoof -\n"
    "E_0002 E_0000000001 M - 0 - - bonafide bonafide -\n"
)  # fmt: skip
TRIALS = [
    Trial("E_0000000000", "", "spoof", facts={
        "speaker": "E_0001", "gender": "F", "codec": "C01", "codec_q": "1", "attack_tag": "AC1", "attack": "A17",
    }),
    Trial("E_0000000001", "", "bonafide", facts={"speaker": "E_0002", "gender": "M", "codec_q": "0", "attack": "bonafide"}),
]  # fmt: skip


@pytest.mark.parametrize("separator", [" ", "\t"])
def test_the_protocol_of_track_1(tmp_path, separator):
    path = tmp_path / "ASVspoof5.eval.track_1.tsv"
    path.write_text(EVAL.replace(" ", separator))
    assert list(read_protocol(path)) == TRIALS


@pytest.mark.parametrize("folder", ["flac_T", "flac_D", "flac_E_eval", "flac", "."])
@pytest.mark.parametrize("named", [True, False])
def test_recordings_are_found_in_their_folder_or_from_its_parent(tmp_path, folder, named):
    recordings = tmp_path / "corpus" / folder
    recordings.mkdir(parents=True)
    for trial in TRIALS:
        (recordings / f"{trial.id}.flac").touch()
    (tmp_path / "eval.tsv").write_text(EVAL)
    trials = read_trials(recordings if named else tmp_path / "corpus", tmp_path / "eval.tsv")
    assert [trial.audio for trial in trials] == [str(recordings / f"{trial.id}.flac") for trial in TRIALS]
    assert [trial.facts for trial in trials] == [trial.facts for trial in TRIALS]


def test_the_key_of_evaluation_goes_first(tmp_path):
    for name in ("dev", "eval"):
        (tmp_path / f"ASVspoof5.{name}.track_1.tsv").touch()
    assert find_file(tmp_path, PLACES, "keys").name == "ASVspoof5.eval.track_1.tsv"
    (tmp_path / "ASVspoof5.eval.track_1.tsv").unlink()
    assert find_file(tmp_path, PLACES, "keys").name == "ASVspoof5.dev.track_1.tsv"


def test_the_key_of_the_evaluation_package(tmp_path):
    (tmp_path / "keys.tsv").write_text("filename\tcm-label\nE_0000000000\tspoof\nE_0000000001\tbonafide\n")
    assert list(read_key(tmp_path / "keys.tsv")) == [Trial(trial.id, "", trial.label) for trial in TRIALS]
    (tmp_path / "eval.tsv").write_text(EVAL)
    assert list(read_key(tmp_path / "eval.tsv")) == TRIALS
