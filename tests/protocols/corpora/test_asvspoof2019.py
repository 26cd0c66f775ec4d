import logging
import shutil

import pytest

from protocols import DataError, Trial
from protocols.corpora.asvspoof2019_la import read_trials

LA = "LA_0079 LA_E_1 - A07 spoof\nLA_0039 LA_E_2 - - bonafide\n"


@pytest.fixture
def corpus(tmp_path):
    """A function that lays out a protocol with empty recordings and gives both paths."""

    def make(protocol, recordings=("LA_E_1.flac", "LA_E_2.flac")):
        path = tmp_path / "cm.eval.trl.txt"
        path.write_bytes(protocol if isinstance(protocol, bytes) else protocol.encode())
        for name in recordings:
            recording = tmp_path / "LA_eval" / name
            recording.parent.mkdir(parents=True, exist_ok=True)
            recording.touch()
        return {"audio": tmp_path / "LA_eval", "protocol": path}

    return make


@pytest.mark.parametrize("place", ["{}.flac", "flac/{}.flac", "{}.wav", "flac/{}.wav", "wav/{}.wav"])
def test_trials_have_label_facts_and_recording(corpus, place):
    recordings = [place.format("LA_E_1"), place.format("LA_E_2")]
    paths = corpus(LA, recordings)
    assert read_trials(**paths) == [
        Trial("LA_E_1", str(paths["audio"] / recordings[0]), "spoof", 0, {"speaker": "LA_0079", "attack": "A07"}),
        Trial("LA_E_2", str(paths["audio"] / recordings[1]), "bonafide", 0, {"speaker": "LA_0039", "attack": "-"}),
    ]


def test_recordings_have_absolute_paths(corpus, monkeypatch):
    paths = corpus(LA)
    monkeypatch.chdir(paths["audio"].parent)
    trials = read_trials("LA_eval", "cm.eval.trl.txt")
    assert [trial.audio for trial in trials] == [str(paths["audio"] / f"{trial.id}.flac") for trial in trials]


def test_physical_access_has_an_environment(corpus):
    protocol = "PA_0079 LA_E_1 aaa AA spoof\nPA_0079 LA_E_2 bac - bonafide\n"
    spoof, bona_fide = read_trials(**corpus(protocol))
    assert spoof.facts == {"speaker": "PA_0079", "attack": "AA", "environment": "aaa"}
    assert bona_fide.facts == {"speaker": "PA_0079", "attack": "-", "environment": "bac"}


@pytest.mark.parametrize("ending", ["\r\n", "\n\n\n", "\r\n \r\n"])
def test_line_ends_and_blank_lines_at_the_end_do_not_matter(corpus, ending):
    expected = read_trials(**corpus(LA))
    assert read_trials(**corpus(LA.replace("\n", ending[: ending.index("\n") + 1]).rstrip() + ending)) == expected


@pytest.mark.parametrize(
    ("protocol", "line", "what"),
    [
        ("LA_0079 LA_E_1 - A07 spoof\nLA_E_2\n", 2, "1 columns instead of 5"),
        ("LA_0079 LA_E_1 - A07 spoof extra\n", 1, "6 columns instead of 5"),
        ("LA_0079 LA_E_1 - A07 spoof\n\nLA_0039 LA_E_2 - - bonafide\n", 2, "0 columns instead of 5"),
        ("LA_0079 LA_E_1 - A07 fake\n", 1, "unknown label 'fake'"),
        ("LA_0079 LA_E_1 - A07 Spoof\n", 1, "unknown label 'Spoof'"),
        (LA + "LA_0039 LA_E_1 - - bonafide\n", 3, "repeated id 'LA_E_1'"),
        ("LA_0079 ../LA_eval/LA_E_1 - A07 spoof\n", 1, "id '../LA_eval/LA_E_1' leads out of "),
        ("LA_0079 flac/../LA_E_1 - A07 spoof\n", 1, "id 'flac/../LA_E_1' leads out of "),
        ("LA_0079 /LA_E_1 - A07 spoof\n", 1, "id '/LA_E_1' leads out of "),
        (LA.encode() + b"M\xfcller LA_E_3 - - bonafide\n", 3, "not UTF-8"),
        (LA + "LA_0039 LA_E_3 - - bonafide\n", 3, "no recording for 1 of 3 trials (LA_E_3) in "),
    ],
)
def test_a_bad_protocol_is_told_by_file_line_and_remedy(corpus, protocol, line, what):
    paths = corpus(protocol)
    with pytest.raises(DataError) as error:
        read_trials(**paths)
    place, _, rest = str(error.value).partition(f":{line}: {what}")
    assert place == str(paths["protocol"])
    assert len(rest.partition(": ")[2]) > 10, "no remedy"
    assert "\n" not in rest


def test_an_empty_protocol_is_refused(corpus):
    with pytest.raises(DataError, match=r"cm\.eval\.trl\.txt: the file is empty: "):
        read_trials(**corpus("\n\n"))


def test_a_folder_that_is_not_there_is_refused(corpus):
    paths = corpus(LA)
    shutil.rmtree(paths["audio"])
    with pytest.raises(DataError, match=r"LA_eval: no such folder: .*--audio"):
        read_trials(**paths)


def test_missing_recordings_are_listed_up_to_ten_and_counted(corpus):
    protocol = LA + "".join(f"LA_0039 LA_M_{number} - - bonafide\n" for number in range(13))
    with pytest.raises(DataError) as error:
        read_trials(**corpus(protocol))
    message = str(error.value)
    assert "cm.eval.trl.txt:3: no recording for 13 of 15 trials" in message
    assert "LA_M_8, LA_M_9 and 3 more)" in message
    assert "LA_M_10" not in message
    assert message.endswith("check --audio, or leave them out with --allow-missing")


def test_missing_recordings_are_left_out_when_allowed_and_counted(corpus, caplog):
    paths = corpus(LA, ["LA_E_2.flac"])
    with caplog.at_level(logging.WARNING):
        trials = read_trials(**paths, allow_missing=True)
    assert [trial.id for trial in trials] == ["LA_E_2"]
    [record] = caplog.records
    assert "no recording for 1 of 2 trials (LA_E_1) in " in record.getMessage()


def test_a_repeated_id_is_found_among_missing_recordings(corpus):
    with pytest.raises(DataError, match=r":3: repeated id 'LA_E_1'"):
        read_trials(**corpus(LA + "LA_0039 LA_E_1 - - bonafide\n", ["LA_E_2.flac"]), allow_missing=True)


def test_some_recording_must_be_there_even_when_missing_ones_are_allowed(corpus):
    with pytest.raises(DataError, match=r"no recording for 2 of 2 trials \(LA_E_1, LA_E_2\) in .*: check --audio$"):
        read_trials(**corpus(LA, ["LA_E_9.flac"]), allow_missing=True)


@pytest.mark.parametrize(
    ("name", "n_bonafide", "n_spoof", "attacks"),
    [
        ("train.trn", 68, 25, {"A07", "A08"}),
        ("dev.trl", 24, 5, {"A07"}),
        ("eval.trl", 62, 65, {"A07", "A08", "A14", "A15", "A16", "A17"}),
    ],
)
def test_real_protocols(shared, name, n_bonafide, n_spoof, attacks):
    mini = shared / "data" / "mini"
    trials = read_trials(mini, mini / "protocols" / f"mini.cm.{name}.txt")
    labels = [trial.label for trial in trials]
    assert (labels.count("bonafide"), labels.count("spoof")) == (n_bonafide, n_spoof)
    assert {trial.facts["attack"] for trial in trials if trial.label == "spoof"} == attacks
    assert {trial.facts["attack"] for trial in trials if trial.label == "bonafide"} == {"-"}
    assert {trial.audio for trial in trials} <= {str(path) for path in (mini / "flac").iterdir()}
