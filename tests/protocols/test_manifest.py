import csv
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import DataError, Trial, read_manifest, write_manifest

HEADER = "id\taudio\tn_frames\tlabel"

# Whatever a name may hold in a tab-separated UTF-8 file: spaces, quotes, other scripts.
LINE_ENDS = "\t\n\r\v\f\0\x1c\x1d\x1e\x1f\x85\u2028\u2029"
names = st.text(st.characters(exclude_characters=LINE_ENDS, exclude_categories=["Cs"]), min_size=1, max_size=20)
stripped = names.filter(lambda name: name == name.strip())
facts = st.dictionaries(stripped.filter(lambda key: key not in HEADER.split("\t")), stripped, max_size=4)
trials = st.lists(
    st.builds(
        Trial,
        id=names,
        audio=names,
        label=st.sampled_from(["bonafide", "spoof", ""]),
        n_frames=st.integers(0, 2**40),
        facts=facts,
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda trial: trial.id,
)


@given(trials)
def test_what_is_written_is_read_again(written):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new" / "eval.tsv"
        write_manifest(path, written)
        assert read_manifest(path) == written


@given(trials, st.data())
def test_a_tab_or_line_break_anywhere_is_refused(written, data):
    sign = data.draw(st.sampled_from(LINE_ENDS))
    good = written[-1]
    bad = data.draw(
        st.sampled_from([
            Trial(good.id + sign, good.audio),
            Trial(good.id, sign + good.audio),
            Trial(good.id, good.audio, facts={"speaker": f"a{sign}b"}),
            Trial(good.id, good.audio, facts={f"a{sign}b": "speaker"}),
        ])
    )
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(DataError, match="a tab or line break in a name"):
            write_manifest(Path(folder) / "eval.tsv", [*written[:-1], bad])
        assert not list(Path(folder).iterdir())


def test_columns_are_those_of_fairseq_and_facts_follow_in_order_of_appearance(tmp_path):
    path = tmp_path / "eval.tsv"
    write_manifest(
        path,
        [
            Trial("E 1", "/corpus/E 1.flac", "spoof", 64600, {"speaker": 'say "a"', "attack": "A07"}),
            Trial("E_2", "E_2.flac", facts={"codec": "alaw", "speaker": "p1"}),
        ],
    )
    # Read as fairseq reads its speech-to-text manifests.
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quotechar=None, quoting=csv.QUOTE_NONE))
    assert list(rows[0]) == ["id", "audio", "n_frames", "label", "speaker", "attack", "codec"]
    assert list(rows[0].values()) == ["E 1", "/corpus/E 1.flac", "64600", "spoof", 'say "a"', "A07", ""]
    assert list(rows[1].values()) == ["E_2", "E_2.flac", "0", "", "p1", "", "alaw"]
    assert read_manifest(path)[1].facts == {"codec": "alaw", "speaker": "p1"}


def test_trials_with_the_same_facts_share_them(tmp_path):
    speakers = [{"speaker": "p1"}, {"speaker": "p2"}, {"speaker": "p1"}, {"attack": "p1"}]
    write_manifest(tmp_path / "eval.tsv", [Trial(f"E_{n}", "a.wav", facts=facts) for n, facts in enumerate(speakers)])
    first, second, third, fourth = (trial.facts for trial in read_manifest(tmp_path / "eval.tsv"))
    assert [first, second, third, fourth] == speakers
    assert first is third


def test_columns_may_come_in_any_order_with_either_line_end(tmp_path):
    path = tmp_path / "eval.tsv"
    path.write_bytes(b"label\tspeaker\tid\tn_frames\taudio\r\nspoof\tp1\tE_1\t5\tE_1.wav\r\n\r\n")
    assert read_manifest(path) == [Trial("E_1", "E_1.wav", "spoof", 5, {"speaker": "p1"})]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    path = tmp_path / "eval.tsv"
    path.write_text(f"{HEADER}\nE_1\tE_1.wav\t5\t\n", encoding="utf-8-sig")
    assert read_manifest(path) == [Trial("E_1", "E_1.wav", "", 5)]


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("id\taudio\tlabel\nE_1\ta.wav\tspoof\n", 1, "no column n_frames"),
        ("id,audio,n_frames,label\n", 1, "no column id"),
        (f"{HEADER}\tlabel\nE_1\ta.wav\t0\tspoof\tspoof\n", 1, "column label is repeated"),
        (f"{HEADER}\tcodec\tcodec\nE_1\ta.wav\t0\tspoof\tx\tx\n", 1, "column codec is repeated"),
        (f"{HEADER}\n", 1, "no trial after the header"),
        (f"{HEADER}\nE_1\ta.wav\t0\tspoof\nE_2\ta.wav\t0\n", 3, "3 fields, but the header has 4"),
        (f"{HEADER}\nE_1\ta.wav\t0\tspoof\textra\n", 2, "5 fields, but the header has 4"),
        (f"{HEADER}\n\nE_1\ta.wav\t0\tspoof\n", 2, "1 fields, but the header has 4"),
        (f"{HEADER}\nE_1\ta.wav\t0\tfake\n", 2, "unknown label 'fake'"),
        (f"{HEADER}\nE_1\ta.wav\t0\tspoof\nE_1\tb.wav\t0\tspoof\n", 3, "repeated id 'E_1'"),
        (f"{HEADER}\nE_1\ta.wav\t1.5\tspoof\n", 2, "n_frames is '1.5'"),
        (f"{HEADER}\nE_1\ta.wav\t-1\tspoof\n", 2, "n_frames is '-1'"),
        (f"{HEADER}\nE_1\ta.wav\t\tspoof\n", 2, "n_frames is ''"),
        (f"{HEADER}\nE_1\ta.wav\t²\tspoof\n", 2, "n_frames is '²'"),
        (f"{HEADER}\n\ta.wav\t0\tspoof\n", 2, "empty id"),
        (f"{HEADER}\nE_1\t\t0\tspoof\n", 2, "empty audio"),
    ],
)
def test_a_bad_manifest_is_told_by_file_line_and_remedy(tmp_path, content, line, what):
    path = tmp_path / "eval.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_manifest(path)
    place, _, rest = str(error.value).partition(f":{line}: {what}")
    assert place == str(path)
    assert len(rest.partition(": ")[2]) > 10, "no remedy"
    assert "\n" not in rest


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_a_manifest_that_is_not_utf8_is_told_by_its_line(tmp_path, start):
    path = tmp_path / "eval.tsv"
    path.write_bytes(start + f"{HEADER}\nE_1\ta.wav\t0\tspoof\n".encode() + b"E_2\tM\xfcller.wav\t0\tspoof\n")
    with pytest.raises(DataError, match=r"eval\.tsv:3: not UTF-8: convert the file to UTF-8"):
        read_manifest(path)


@pytest.mark.parametrize("content", ["", "\n \r\n\n"])
def test_an_empty_file_is_refused(tmp_path, content):
    path = tmp_path / "eval.tsv"
    path.write_text(content)
    with pytest.raises(DataError, match=r"eval\.tsv: the file is empty: "):
        read_manifest(path)


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ([], "no trial to write"),
        ([Trial("E_1", "a.wav"), Trial("E_1", "b.wav")], "trial 'E_1': repeated id 'E_1'"),
        ([Trial("", "a.wav")], "trial '': empty id"),
        ([Trial("E_1", "")], "trial 'E_1': empty audio"),
        ([Trial("E_1", "a.wav", "bona-fide")], "trial 'E_1': unknown label 'bona-fide'"),
        ([Trial("E_1", "a.wav", n_frames=-1)], "trial 'E_1': n_frames is '-1'"),
        ([Trial("E_1", "a.wav", facts={"label": "spoof"})], "a fact is named label like a column of every manifest"),
        ([Trial("E_1", "M\udcfcller.wav")], "trial 'E_1': a name that is not UTF-8"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(tmp_path, written, what):
    path = tmp_path / "eval.tsv"
    path.write_text("the manifest of yesterday")
    with pytest.raises(DataError) as error:
        write_manifest(path, written)
    assert str(error.value).startswith(f"{path}: {what}")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["the manifest of yesterday"]


def test_no_partial_file_is_left_when_the_trials_break_off(tmp_path):
    def broken():
        yield Trial("E_1", "a.wav")
        raise DataError("the protocol breaks off")

    with pytest.raises(DataError, match="breaks off"):
        write_manifest(tmp_path / "eval.tsv", broken())
    assert not list(tmp_path.iterdir())


def test_no_partial_file_is_left_when_the_manifest_cannot_be_put_in_place(tmp_path):
    (tmp_path / "eval.tsv").mkdir()
    with pytest.raises(DataError, match=r"eval\.tsv: is a folder: name a file to write"):
        write_manifest(tmp_path / "eval.tsv", [Trial("E_1", "a.wav")])
    assert [path.name for path in tmp_path.iterdir()] == ["eval.tsv"]


def test_pipes_and_devices_are_no_files_to_write(tmp_path):
    os.mkfifo(tmp_path / "pipe.tsv")
    with pytest.raises(DataError, match=r"pipe\.tsv: is a device or pipe: name a file to write"):
        write_manifest(tmp_path / "pipe.tsv", [Trial("E_1", "a.wav")])
    assert (tmp_path / "pipe.tsv").is_fifo()


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "link.tsv").symlink_to("target.tsv")
    write_manifest(tmp_path / "link.tsv", [Trial("E_1", "a.wav")])
    assert (tmp_path / "link.tsv").is_symlink()
    assert read_manifest(tmp_path / "target.tsv") == [Trial("E_1", "a.wav")]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"{HEADER}\tattack\na\ta.wav\t0\tspoof\tA01\nb\tb.wav\t0\tspoof\tA01 \n", ":3: a blank around 'A01 ': remove it"),
        (f"{HEADER}\tattack \na\ta.wav\t0\tspoof\tA01\n", ":1: a blank around 'attack ': remove it"),
    ],
)
def test_blanks_around_a_fact_are_refused(tmp_path, text, what):
    (tmp_path / "eval.tsv").write_text(text)
    with pytest.raises(DataError) as error:
        read_manifest(tmp_path / "eval.tsv")
    assert str(error.value) == f"{tmp_path}/eval.tsv{what}"
    with pytest.raises(DataError, match="trial 'a': a blank around a fact: remove it"):
        write_manifest(tmp_path / "new.tsv", [Trial("a", "a.wav", facts={"attack": "A01 "})])
