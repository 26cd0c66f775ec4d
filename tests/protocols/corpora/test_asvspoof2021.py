import tarfile
from collections import Counter

import pytest

from protocols import DataError, Trial
from protocols.corpora import asvspoof2021_df as df
from protocols.corpora import asvspoof2021_la as la
from protocols.files import find_file

LA = "LA_0009 LA_E_1 alaw ita_tx A07 spoof notrim eval\nLA_0020 LA_E_2 g722 loc_tx bonafide bonafide notrim hidden_track\n"
DF = (
    "LA_0023 DF_E_1 nocodec asvspoof A14 spoof notrim progress traditional_vocoder - - - -\n"
    "TEF2 DF_E_2 low_m4a vcc2020 Task1-team20 spoof notrim eval neural_vocoder_nonautoregressive Task1 team20 FF E\n"
)
LA_TRIALS = [
    Trial("LA_E_1", "", "spoof", facts={
        "speaker": "LA_0009", "codec": "alaw", "transmission": "ita_tx", "attack": "A07", "trim": "notrim", "phase": "eval",
    }),
    Trial("LA_E_2", "", "bonafide", facts={
        "speaker": "LA_0020", "codec": "g722", "transmission": "loc_tx", "attack": "bonafide", "trim": "notrim",
        "phase": "hidden",
    }),
]  # fmt: skip


@pytest.fixture
def package(tmp_path):
    """The parent of an unpacked key package with both tracks."""
    for track, key in (("LA", LA), ("DF", DF)):
        (tmp_path / "keys" / track / "CM").mkdir(parents=True)
        (tmp_path / "keys" / track / "CM" / "trial_metadata.txt").write_text(key)
    return tmp_path


@pytest.fixture
def audio(tmp_path):
    """Recordings of both tracks, and the list of LA in another order than its key."""
    (tmp_path / "eval" / "flac").mkdir(parents=True)
    for name in ("LA_E_1", "LA_E_2", "DF_E_1", "DF_E_2"):
        (tmp_path / "eval" / "flac" / f"{name}.flac").touch()
    (tmp_path / "eval" / "list.txt").write_text("LA_E_2\nLA_E_1\n")
    return tmp_path / "eval"


def test_the_key_of_la(package):
    assert list(la.read_key(package / "keys/LA/CM/trial_metadata.txt")) == LA_TRIALS


def test_the_key_of_df(package):
    assert list(df.read_key(package / "keys/DF/CM/trial_metadata.txt")) == [
        Trial("DF_E_1", "", "spoof", facts={
            "speaker": "LA_0023", "codec": "nocodec", "source": "asvspoof", "attack": "A14", "trim": "notrim",
            "phase": "progress", "vocoder": "traditional_vocoder",
        }),
        Trial("DF_E_2", "", "spoof", facts={
            "speaker": "TEF2", "codec": "low_m4a", "source": "vcc2020", "attack": "Task1-team20", "trim": "notrim",
            "phase": "eval", "vocoder": "neural_vocoder_nonautoregressive",
            "task": "Task1", "team": "team20", "gender_pair": "FF", "language": "E",
        }),
    ]  # fmt: skip


@pytest.mark.parametrize("folder", ["", "keys", "keys/{}", "keys/{}/CM"])
def test_the_key_of_each_track_is_found_from_every_folder_above_it(package, folder):
    for track, places in (("LA", la.PLACES), ("DF", df.PLACES)):
        expected = package / "keys" / track / "CM" / "trial_metadata.txt"
        assert find_file(package / folder.format(track), places, "keys") == expected


@pytest.mark.parametrize(
    ("read", "key", "message"),
    [
        (la.read_key, DF, "13 columns instead of 8: this is the key of DF: name that of LA"),
        (df.read_key, LA, "8 columns instead of 13: this is the key of LA: name that of DF"),
    ],
)
def test_the_key_of_the_other_track_says_so(tmp_path, read, key, message):
    path = tmp_path / "trial_metadata.txt"
    path.write_text(key)
    with pytest.raises(DataError) as error:
        list(read(path))
    assert str(error.value) == f"{path}:1: {message}"


def test_a_list_alone_has_unknown_labels(audio):
    trials = la.read_trials(audio, protocol=audio / "list.txt")
    assert [(trial.id, trial.label, dict(trial.facts)) for trial in trials] == [("LA_E_2", "", {}), ("LA_E_1", "", {})]


def test_keys_alone_have_the_order_of_the_keys(audio, package):
    trials = df.read_trials(audio, keys=package)
    assert [(trial.id, trial.label) for trial in trials] == [("DF_E_1", "spoof"), ("DF_E_2", "spoof")]
    assert [trial.audio for trial in trials] == [str(audio / "flac" / f"DF_E_{number}.flac") for number in (1, 2)]


def test_a_list_with_keys_has_its_own_order_and_the_labels_of_the_keys(audio, package):
    trials = la.read_trials(audio, protocol=audio / "list.txt", keys=package / "keys")
    assert [trial.id for trial in trials] == ["LA_E_2", "LA_E_1"]
    assert [(trial.label, trial.facts) for trial in trials] == [(trial.label, trial.facts) for trial in reversed(LA_TRIALS)]


def test_trials_that_the_keys_do_not_have_are_counted_with_examples(audio, package):
    (audio / "list.txt").write_text("LA_E_1\n" + "".join(f"LA_X_{number}\n" for number in range(12)))
    with pytest.raises(DataError) as error:
        la.read_trials(audio, protocol=audio / "list.txt", keys=package)
    key = package / "keys/LA/CM/trial_metadata.txt"
    assert str(error.value).startswith(f"{audio / 'list.txt'}:2: 12 of 13 trials are not in {key} (LA_X_0, LA_X_1, ")
    assert "LA_X_9 and 2 more): give the list and the keys of the same corpus" in str(error.value)


def test_a_repeated_id_of_the_keys_is_found_although_a_list_is_given(audio, package):
    key = package / "keys/LA/CM/trial_metadata.txt"
    key.write_text(LA + LA)
    with pytest.raises(DataError, match=r"trial_metadata\.txt:3: repeated id 'LA_E_1'"):
        la.read_trials(audio, protocol=audio / "list.txt", keys=key)


def test_without_a_list_or_keys_there_are_no_trials(audio):
    with pytest.raises(TypeError, match="a list of trials, a key, or both"):
        la.read_trials(audio)


@pytest.mark.parametrize(("track", "read"), [("LA", la.read_key), ("DF", df.read_key)])
def test_keys_of_the_real_size_and_layout(shared, tmp_path, track, read):
    with tarfile.open(shared / "data/scores/keys21/keysB.tar.gz") as package:
        package.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.3 and older have none
        package.extractall(tmp_path)
    path = tmp_path / "keysB" / track / "CM" / "trial_metadata.txt"
    rows = [line.split() for line in path.read_text().splitlines()]
    trials = list(read(path))
    assert [trial.id for trial in trials] == [row[1] for row in rows]
    for column, name in ((0, "speaker"), (2, "codec"), (4, "attack"), (7, "phase")):
        assert Counter(trial.facts[name] for trial in trials) == Counter(row[column] for row in rows)
    assert Counter(trial.label for trial in trials) == {"spoof": 63882, "bonafide": 7355}
