import pytest

from protocols import DataError, Trial
from protocols.columns import read_columns, read_table

COLUMNS = ("speaker", "id", "codec", "attack", "label", "-", "phase")


@pytest.fixture
def file(tmp_path):
    """A function that writes a file and gives its path."""

    def write(text):
        path = tmp_path / "key.txt"
        path.write_text(text, newline="")
        return path

    return write


def test_a_hyphen_leaves_a_fact_out_but_the_attack_stays(file):
    path = file("p1 E_1 - - bonafide x eval\np2\tE_2\talaw\tA07\tspoof\t-\thidden_track\n")
    assert list(read_columns(path, COLUMNS)) == [
        Trial("E_1", "", "bonafide", facts={"speaker": "p1", "attack": "-", "phase": "eval"}),
        Trial("E_2", "", "spoof", facts={"speaker": "p2", "codec": "alaw", "attack": "A07", "phase": "hidden"}),
    ]


def test_trials_with_the_same_facts_share_them(file):
    first, second, other = read_columns(file("p E_1 c A spoof - eval\np E_2 c A spoof x eval\nq E_3 c A spoof - eval\n"), COLUMNS)
    assert first.facts is second.facts
    assert first.facts is not other.facts


def test_the_same_facts_with_another_label_keep_their_label(file):
    trials = read_columns(file("p E_1 c A spoof - eval\np E_2 c A bona-fide - eval\np E_3 c A spoof - eval\n"), COLUMNS)
    assert [trial.label for trial in trials] == ["spoof", "bonafide", "spoof"]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("p E_2 c A spoof -", "6 columns instead of 7: a line is `SPEAKER ID CODEC ATTACK LABEL - PHASE`"),
        ("E_2 spoof", "2 columns instead of 7: this is a list"),
        ("p E_2 c A target - eval", "unknown label 'target': write bonafide or bona-fide or spoof"),
        ("p E_2 c A spoof - train", "unknown phase 'train': write progress or eval or hidden or hidden_track"),
    ],
)
def test_a_bad_line_is_told_by_its_number(file, line, what):
    path = file(f"p E_1 c A spoof - eval\n{line}\n")
    with pytest.raises(DataError) as error:
        list(read_columns(path, COLUMNS, {2: "this is a list"}))
    assert str(error.value) == f"{path}:2: {what}"


def test_a_table_is_read_by_the_names_of_its_header(file):
    path = file('label;x;file;speaker\r\nspoof;1;a.wav;"Lee; Ann"\r\nbona-fide;2;b.wav;\r\n')
    assert list(read_table(path, {"file": "id", "speaker": "speaker", "label": "label"}, ";")) == [
        Trial("a.wav", "", "spoof", facts={"speaker": "Lee; Ann"}),
        Trial("b.wav", "", "bonafide"),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("file,speaker\na,b\n", "1: 0 columns named label instead of one: the header names file,label"),
        ("file,label,label\na,spoof,spoof\n", "1: 2 columns named label instead of one: the header names file,label"),
        ("file,label\n\n", "1: no trial after the header: copy the file again"),
        ("file,label\na,spoof\nb\n", "3: 1 columns instead of 2: a line is `file,label`"),
        ("file,label\n\na,spoof\n", "2: 0 columns instead of 2: a line is `file,label`"),
        ("file,label\na,fake\n", "2: unknown label 'fake': write bonafide or bona-fide or spoof"),
        ('file,label\n"a,spoof\nb,spoof\n', "2: a quotation mark in '\"a': quote a cell whole, or not at all"),
        ('file,label\n"a"b,spoof\n', "2: a quotation mark in '\"a\"b': quote a cell whole, or not at all"),
        ('file,label\n"a,b",spoof\n"c,spoof\n', "3: unexpected end of data: quote a cell whole, or not at all"),
        ('file,label\n"a,c"b,spoof\n', "2: ',' expected after '\"': quote a cell whole, or not at all"),
    ],
)
def test_a_bad_table_is_told_by_line_and_remedy(file, text, problem):
    path = file(text)
    with pytest.raises(DataError) as error:
        list(read_table(path, {"file": "id", "label": "label"}))
    assert str(error.value) == f"{path}:{problem}"


def test_a_stray_quotation_mark_swallows_no_trial(tmp_path):
    path = tmp_path / "meta.csv"
    path.write_text('file|text\n0.wav|"Hallo\n1.wav|er\n2.wav|sagte"\n"3.wav"|"x" y\n4.wav|"z"\n')
    expected = [f"{number}.wav" for number in range(5)]
    assert [trial.id for trial in read_table(path, {"file": "id"}, delimiter="|")] == expected
    path.write_text('file|text\n0.wav|"Hallo\n1.wav|er\n2.wav|sagte"\n3.wav|"a|b"\n')  # here a mark may hide a delimiter
    with pytest.raises(DataError, match=r"meta.csv:2: a cell in quotation marks extends to line 3"):
        list(read_table(path, {"file": "id"}, delimiter="|"))
    path.write_text('file|text\n0.wav|"two\nlines"\n1.wav|"one ""line"""\n')
    assert [trial.id for trial in read_table(path, {"file": "id"}, delimiter="|")] == ["0.wav", "1.wav"]


def test_blanks_around_a_cell_make_no_other_attack(file):
    path = file("file,attack\na.wav,A01\nb.wav , A01 \n")
    assert [(trial.id, trial.facts) for trial in read_table(path, {"file": "id", "attack": "attack"})] == [
        ("a.wav", {"attack": "A01"}), ("b.wav", {"attack": "A01"}),
    ]  # fmt: skip


def test_other_blanks_separate_no_columns(file):
    path = file("speaker a\u00a0b.wav spoof\n")
    assert [trial.id for trial in read_columns(path, ("speaker", "id", "label"))] == ["a\u00a0b.wav"]
