"""Keys: the labels of official files, manifests and lists."""

import gzip
import os
import threading

import pytest

from protocols import DataError, Trial, write_manifest
from protocols.corpora import CORPORA
from protocols.keys import PHASES, corpora_with_keys, read_keys

PROTOCOL = (
    "LA_0039 LA_E_2834763 - A11 spoof\n"
    "LA_0014 LA_E_8877452 - A14 spoof\n"
    "LA_0007 LA_E_1000001 - - bonafide\n"
)  # fmt: skip
PROTOCOL_NAME = "ASVspoof2019.LA.cm.eval.trl.txt"


@pytest.fixture
def protocol(tmp_path):
    path = tmp_path / "LA" / "ASVspoof2019_LA_cm_protocols" / PROTOCOL_NAME
    path.parent.mkdir(parents=True)
    path.write_text(PROTOCOL)
    return path


def manifest(tmp_path, *phases):
    path = tmp_path / "eval.tsv"
    write_manifest(path, [
        Trial(f"t{number}", f"t{number}.wav", "spoof", facts={"phase": phase} if phase else {})
        for number, phase in enumerate(phases)
    ])  # fmt: skip
    return path


def test_2019la_from_the_file_or_any_folder_above_it(protocol, tmp_path):
    for path in (protocol, protocol.parent, protocol.parent.parent, tmp_path):
        keys = read_keys("asvspoof2019-la", path)
        assert (keys.corpus, keys.phase, keys.path) == ("asvspoof2019-la", "eval", protocol)
        assert [trial.id for trial in keys.trials] == ["LA_E_2834763", "LA_E_8877452", "LA_E_1000001"]
        assert [trial.label for trial in keys.trials] == ["spoof", "spoof", "bonafide"]
        assert [trial.facts["attack"] for trial in keys.trials] == ["A11", "A14", "-"]
        assert not keys.other_phases


def test_2019la_does_not_call_development_trials_eval(protocol):
    protocol.write_text(PROTOCOL.replace("LA_E_", "LA_D_"))
    assert read_keys("asvspoof2019-la", protocol).phase == "all"
    with pytest.raises(DataError, match="no trial of phase eval: the keys have dev"):
        read_keys("asvspoof2019-la", protocol, "eval")


def test_2019la_of_the_organisers(shared, tmp_path):
    path = tmp_path / PROTOCOL_NAME
    path.write_bytes(gzip.decompress((shared / "data/scores/la19_eval/cm_key.txt.gz").read_bytes()))
    trials = read_keys("asvspoof2019-la", tmp_path).trials
    assert sum(trial.label == "bonafide" for trial in trials) == 7355
    assert sum(trial.label == "spoof" for trial in trials) == 63882
    attacks = {trial.facts["attack"] for trial in trials if trial.label == "spoof"}
    assert attacks == {f"A{number:02}" for number in range(7, 20)}


OFFICIAL = {
    "asvspoof2021-la": (
        "keys/LA/CM/trial_metadata.txt",
        "LA_9 LA_E_1 alaw ita_tx bonafide bonafide notrim eval\nLA_9 LA_E_2 none - A07 spoof only_speech hidden\n",
    ),
    "asvspoof2021-df": (
        "keys/DF/CM/trial_metadata.txt",
        "LA_9 DF_E_1 nocodec asvspoof bonafide bonafide notrim eval bonafide - - - -\n"
        "LA_9 DF_E_2 low_mp3 vcc2020 Task1-team20 spoof notrim progress unknown Task1 team20 FF E\n",
    ),
    "in-the-wild": ("keys/in_the_wild_key.txt", "- 0.wav - - - bona-fide\n- 1.wav - - - spoof\n"),
    "asvspoof5": (
        "ASVspoof5_protocols/ASVspoof5.eval.track_1.tsv",
        "E_1 E_0000000001 F - - - - bonafide bonafide -\nE_2 E_0000000002 M C05 3 E_0000000007 AC2 A24 spoof -\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("corpus", OFFICIAL)
def test_official_keys_from_the_file_or_any_folder_above_it(corpus, tmp_path):
    place, text = OFFICIAL[corpus]
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(text)
    for start in (path, *path.parents[: len(path.relative_to(tmp_path).parts)]):
        keys = read_keys(corpus, start, "all")
        assert keys.path == path
        assert [trial.label for trial in keys.trials] == ["bonafide", "spoof"]
        assert (keys.phase, keys.asv) == ("all", None)
    phases = [trial.facts["phase"] for trial in read_keys(corpus, path, "all").trials]
    expected = {"asvspoof2021-la": ["eval", "hidden"], "asvspoof2021-df": ["eval", "progress"]}
    assert phases == expected.get(corpus, ["eval", "eval"])
    assert len(read_keys(corpus, path).trials) == phases.count("eval")


def test_both_tracks_of_2021_are_told_apart(tmp_path):
    for corpus in ("asvspoof2021-la", "asvspoof2021-df"):
        place, text = OFFICIAL[corpus]
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text(text)
    for corpus in ("asvspoof2021-la", "asvspoof2021-df"):
        assert read_keys(corpus, tmp_path).path == tmp_path / OFFICIAL[corpus][0]
    with pytest.raises(DataError, match=r"trial_metadata.txt:1: 13 columns instead of 8: this is the key of DF"):
        read_keys("asvspoof2021-la", tmp_path / "keys/DF")


def test_in_the_wild_from_its_own_table(tmp_path):
    (tmp_path / "meta.csv").write_text('file,speaker,label\n0.wav,"Lee, Ann",spoof\n1.wav,Bo,bona-fide\n')
    trials = read_keys("in-the-wild", tmp_path).trials
    assert [(trial.id, trial.label, trial.facts["speaker"]) for trial in trials] == [
        ("0.wav", "spoof", "Lee, Ann"), ("1.wav", "bonafide", "Bo"),
    ]  # fmt: skip


def test_development_trials_of_asvspoof5_are_not_called_eval(tmp_path):
    path = tmp_path / "ASVspoof5.dev.track_1.tsv"
    path.write_text(OFFICIAL["asvspoof5"][1].replace("E_000000000", "D_000000000"))
    keys = read_keys("asvspoof5", tmp_path)
    assert (keys.phase, {trial.facts["phase"] for trial in keys.trials}) == ("all", {"dev"})


def test_labels_from_a_list_in_both_spellings(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"0.wav bona-fide\r\nmy take.wav\tspoof\r\n12 bonafide\r\n")
    keys = read_keys("labels", path)
    assert keys.phase == "all"
    assert {trial.id: trial.label for trial in keys.trials} == {
        "0.wav": "bonafide", "my take.wav": "spoof", "12": "bonafide",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["id,label\na,bonafide\nb c,spoof\n", "filename\tcm-label\na\tbona-fide\nb c\tspoof\n", "a bonafide\nb c spoof\n"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_labels_from_a_table_or_list_packed_or_through_a_pipe(tmp_path, text, packed):
    data = gzip.compress(text.encode()) if packed else text.encode()
    (tmp_path / "labels").write_bytes(data)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[data])
    writer.start()
    for name in ("labels", "pipe"):
        assert [(trial.id, trial.label) for trial in read_keys("labels", tmp_path / name).trials] == [
            ("a", "bonafide"), ("b c", "spoof"),
        ]  # fmt: skip
    writer.join()


def test_a_published_table_of_labels(shared):
    keys = read_keys("labels", shared / "data/scores/la21/LA21_eval_labels.csv.gz")
    assert (keys.trials[0].id, keys.trials[0].label) == ("LA_E_9332881", "spoof")


def test_labels_from_a_manifest_or_its_folder(tmp_path):
    path = tmp_path / "eval.tsv"
    trials = [Trial("a b", "/a.wav", "bonafide", facts={"attack": "-"}), Trial("c", "/c.wav", "spoof")]
    write_manifest(path, trials)
    for place in (path, tmp_path):
        keys = read_keys("labels", place)
        assert list(keys.trials) == trials
        assert (keys.path, keys.phase) == (path, "all")


def test_phases_of_a_manifest(tmp_path):
    path = manifest(tmp_path, "eval", "progress", "eval", "hidden")
    chosen = {phase: [trial.id for trial in read_keys("labels", path, phase).trials] for phase in (None, *PHASES)}
    assert chosen == {
        None: ["t0", "t2"], "eval": ["t0", "t2"], "progress": ["t1"], "hidden": ["t3"], "all": ["t0", "t1", "t2", "t3"],
    }  # fmt: skip
    assert read_keys("labels", path).phase == "eval"
    assert read_keys("labels", path).other_phases == {"t1", "t3"}


def test_a_phase_without_trials_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no trial of phase hidden: the keys have eval, progress"):
        read_keys("labels", manifest(tmp_path, "eval", "progress"), "hidden")
    with pytest.raises(DataError, match="no trial of phase eval: the keys have no phases"):
        read_keys("labels", manifest(tmp_path, ""), "eval")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a spoof\nb fake\n", ":2: 'b fake' is not `id label`"),
        ("a spoof\nb\n", ":2: 'b' is not `id label`"),
        ("a spoof\n\nb spoof\n", ":2: '' is not `id label`"),
        ("a spoof\nb spoof\na bonafide\n", "repeated id 'a'"),
        ("id\taudio\nx\ty\n", "no column n_frames"),
        ("id\taudio\tn_frames\tlabel\na\tb\t0\tspoof\nc\td\t0\t\n", "1 of 2 trials have no label, the first is 'c'"),
    ],
)
def test_refuses_bad_labels(tmp_path, text, message):
    path = tmp_path / "labels.txt"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_keys("labels", path)
    assert message in str(error.value)
    assert "labels.txt" in str(error.value)
    assert "\n" not in str(error.value)


def test_refuses_a_repeated_trial_of_a_protocol(protocol):
    protocol.write_text(PROTOCOL + PROTOCOL)
    with pytest.raises(DataError, match="repeated id 'LA_E_2834763'"):
        read_keys("asvspoof2019-la", protocol)


@pytest.mark.parametrize("corpus", corpora_with_keys())
def test_a_folder_without_keys_names_the_file_that_is_missing(corpus, tmp_path):
    what = "no manifest .* in this folder" if corpus == "labels" else f"no keys of {corpus} in this folder"
    with pytest.raises(DataError, match=f"{what}: .*{CORPORA[corpus].keys.places[0]}"):
        read_keys(corpus, tmp_path)
