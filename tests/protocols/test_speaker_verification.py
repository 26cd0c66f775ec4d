"""The organisers' ASV scores: their files, the trials of a phase, and what is refused."""

import gzip

import pytest

from protocols import DataError
from protocols.keys import read_keys
from protocols.speaker_verification import find_beside, read_asv_2019, read_asv_2021

SCORES_2021 = "LA_1 T_0 7.5\nLA_1 T_0 -2\nLA_2 T_1 0.25\n"
KEYS_2021 = (
    "LA_1 T_0 none - bonafide target notrim progress\n"
    "LA_1 T_0 alaw ita_tx bonafide nontarget notrim eval\n"
    "LA_2 T_1 alaw ita_tx A07 spoof notrim eval\n"
)
CM_KEYS_2021 = "LA_1 U_0 none - bonafide bonafide notrim progress\nLA_1 U_1 alaw ita_tx A07 spoof notrim eval\n"


@pytest.fixture
def package(tmp_path):
    """The key package of ASVspoof 2021 LA with three ASV trials, of which two have the same id."""
    files = {
        "CM/trial_metadata.txt": CM_KEYS_2021,
        "ASV/trial_metadata.txt": KEYS_2021,
        "ASV/ASVTorch_Kaldi/score.txt": SCORES_2021,
    }
    for place, text in files.items():
        path = tmp_path / "keys/LA" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "keys/LA"


def test_the_two_files_of_2021_are_joined_line_by_line(package):
    asv = read_asv_2021(package / "ASV/ASVTorch_Kaldi/score.txt", package / "ASV/trial_metadata.txt")
    assert asv.scores.tolist() == [7.5, -2, 0.25]
    assert list(asv.kinds) == ["target", "nontarget", "spoof"]
    assert list(asv.attacks) == ["bonafide", "bonafide", "A07"]
    assert list(asv.codecs) == ["none", "alaw", "alaw"]
    of_eval = asv.of_phase("eval")
    assert of_eval.scores.tolist() == [-2, 0.25]
    assert (of_eval.kinds, of_eval.codecs) == (["nontarget", "spoof"], ["alaw", "alaw"])
    assert asv.of_phase("all").scores.size == 3


def test_keys_of_2021_bring_the_asv_trials_of_their_phase(package):
    for place in (package.parent.parent, package.parent, package, package / "CM", package / "CM/trial_metadata.txt"):
        assert read_keys("asvspoof2021-la", place).asv.scores.tolist() == [-2, 0.25]
    assert read_keys("asvspoof2021-la", package, "progress").asv.scores.tolist() == [7.5]
    (package / "ASV/trial_metadata.txt").unlink()
    assert read_keys("asvspoof2021-la", package).asv is None


def test_rows_in_another_order_are_refused(package):
    first, second, third = SCORES_2021.splitlines(keepends=True)
    (package / "ASV/ASVTorch_Kaldi/score.txt").write_text(third + first + second)
    with pytest.raises(DataError, match="another order"):
        read_keys("asvspoof2021-la", package)


def test_rows_too_few_are_refused(package):
    (package / "ASV/ASVTorch_Kaldi/score.txt").write_text(SCORES_2021[: SCORES_2021.index("LA_2")])
    with pytest.raises(DataError, match=r"2 trials, but .* has 3"):
        read_keys("asvspoof2021-la", package)


def test_phases_are_read_in_every_spelling_and_no_other(package):
    (package / "ASV/trial_metadata.txt").write_text(KEYS_2021.replace("progress", "hidden_track"))
    (package / "CM/trial_metadata.txt").write_text(CM_KEYS_2021.replace("progress", "hidden"))
    assert read_keys("asvspoof2021-la", package, "hidden").asv.scores.tolist() == [7.5]
    (package / "ASV/trial_metadata.txt").write_text(KEYS_2021.replace("eval", "evaluation"))
    with pytest.raises(DataError, match=r"trial_metadata.txt:2: unknown phase 'evaluation'"):
        read_keys("asvspoof2021-la", package)


@pytest.mark.parametrize("subset", ["eval", "dev"])
@pytest.mark.parametrize(("access", "attack"), [("LA", "A07"), ("PA", "BC")])
def test_keys_of_2019_find_the_asv_scores_of_their_subset(tmp_path, access, attack, subset):
    corpus, letter = f"asvspoof2019-{access.lower()}", subset[0].upper()
    protocol = tmp_path / f"{access}/ASVspoof2019_{access}_cm_protocols/ASVspoof2019.{access}.cm.{subset}.trl.txt"
    protocol.parent.mkdir(parents=True)
    protocol.write_text(f"{access}_1 {access}_{letter}_1 - - bonafide\n{access}_1 {access}_{letter}_2 - {attack} spoof\n")
    assert read_keys(corpus, protocol).asv is None
    for folder in (protocol.parent, tmp_path / f"{access}/ASVspoof2019_{access}_asv_scores"):
        folder.mkdir(exist_ok=True)
        scores = folder / f"ASVspoof2019.{access}.asv.{subset}.gi.trl.scores.txt"
        scores.write_text(f"bonafide target 1\nbonafide nontarget -1\n{attack} spoof 0.5\n")
        asv = read_keys(corpus, protocol).asv
        assert asv.path == scores
        assert (asv.scores.tolist(), list(asv.attacks)) == ([1, -1, 0.5], ["bonafide", "bonafide", attack])
        scores.unlink()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bonafide target 1\nbonafide target\n", ":2: 2 columns instead of 3"),
        ("bonafide target 1\nbonafide impostor 1\n", ":2: unknown kind of trial 'impostor'"),
        ("bonafide target 1\nbonafide target high\n", "2: 'high' is no number"),
        ("bonafide target 1\nbonafide target 1_000\n", "2: '1_000' is no number"),
        ("bonafide target 1\nA07 spoof nan\n", ":2: the score is nan"),
        ("", "the file is empty"),
    ],
)
def test_refuses_bad_lines(tmp_path, text, message):
    path = tmp_path / "asv.txt"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_asv_2019(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_scores_that_may_be_cut_in_the_last_number_are_reported(tmp_path, caplog):
    (tmp_path / "asv.txt.gz").write_bytes(gzip.compress(b"bonafide target 1.25\nA07 spoof -1.2"))
    assert read_asv_2019(find_beside(tmp_path / "key.txt", ["asv.txt"])).scores.tolist() == [1.25, -1.2]
    assert "asv.txt.gz: no line end after 'A07 spoof -1.2': copy the file again if it was cut off there" in caplog.text


def test_asv_scores_of_the_organisers(shared, tmp_path):
    path = tmp_path / "asv.txt"
    path.write_bytes(gzip.decompress((shared / "data/scores/la19_eval/asv_scores.txt.gz").read_bytes()))
    kinds = read_asv_2019(path).kinds
    assert [kinds.count(kind) for kind in ("target", "nontarget", "spoof")] == [5370, 33327, 63882]
