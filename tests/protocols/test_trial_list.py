import pytest

from protocols import DataError, Trial
from protocols.corpora.plain_list import read_trials
from protocols.trial_list import read_labelled_list, read_list


@pytest.fixture
def file(tmp_path):
    """A function that writes a list and gives its path."""

    def write(text):
        path = tmp_path / "list.txt"
        path.write_text(text, newline="")
        return path

    return write


def test_the_label_is_the_last_field_and_the_id_all_before_it(file):
    path = file("0.wav bona-fide\r\n my take 1.wav\tspoof \r\n12 bonafide\r\nspoof spoof\r\n")
    expected = [("0.wav", "bonafide"), ("my take 1.wav", "spoof"), ("12", "bonafide"), ("spoof", "spoof")]
    for read in (read_list, read_labelled_list):
        assert [(trial.id, trial.label) for trial in read(path)] == expected


def test_a_line_of_one_word_is_an_id_with_an_unknown_label(file):
    assert list(read_list(file("a.wav\nspoof\nb.wav spoof\n"))) == [
        Trial("a.wav", ""), Trial("spoof", ""), Trial("b.wav", "", "spoof"),
    ]  # fmt: skip


@pytest.mark.parametrize("line", ["a.wav fake", "my take.wav", "", "a.wav Spoof"])
def test_a_label_that_may_be_misspelt_is_refused(file, line):
    path = file(f"x.wav spoof\n{line}\ny.wav spoof\n")
    with pytest.raises(DataError) as error:
        list(read_list(path))
    assert str(error.value) == (
        f"{path}:2: {line!r} is neither `id label` nor `id` without blanks: "
        "the last field of a line is bonafide or bona-fide or spoof"
    )


@pytest.mark.parametrize("line", ["a.wav", "a.wav fake", ""])
def test_a_labelled_list_has_a_label_on_every_line(file, line):
    path = file(f"x.wav spoof\n{line}\ny.wav spoof\n")
    with pytest.raises(DataError) as error:
        list(read_labelled_list(path))
    assert str(error.value) == f"{path}:2: {line!r} is not `id label`: the last field of a line is bonafide or bona-fide or spoof"


def test_ids_are_paths_below_the_folder_with_or_without_suffix(file, tmp_path):
    audio = tmp_path / "audio"
    for name in ("a/one two.wav", "b.flac", "wav/c/d.wav", "b"):
        (audio / name).parent.mkdir(parents=True, exist_ok=True)
        (audio / name).mkdir() if name == "b" else (audio / name).touch()
    trials = read_trials(audio, file("a/one two.wav spoof\nb\nc/d bonafide\n"))
    assert trials == [
        Trial("a/one two.wav", str(audio / "a/one two.wav"), "spoof"),
        Trial("b", str(audio / "b.flac")),
        Trial("c/d", str(audio / "wav/c/d.wav"), "bonafide"),
    ]


@pytest.mark.parametrize("again", ["./0.wav", "a/../0.wav", "0"])
def test_a_recording_that_is_listed_twice_is_found(tmp_path, again):
    (tmp_path / "0.wav").touch()
    (tmp_path / "list.txt").write_text(f"0.wav spoof\n{again} bonafide\n")
    with pytest.raises(DataError, match=r"list.txt:2: .*(same recording as a trial before it|leads out)"):
        read_trials(tmp_path, tmp_path / "list.txt")
