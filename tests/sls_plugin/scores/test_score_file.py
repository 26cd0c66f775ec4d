"""Score files: what is written can be read back, and errors name their lines."""

import gzip
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import DataError
from protocols.files import LINE_BREAKS
from sls_plugin.scores.score_file import read_scores, write_scores


def written(tmp_path, text):
    path = tmp_path / "scores.txt"
    path.write_bytes(text.encode())
    return path


def test_reads_ids_with_spaces_tabs_and_windows_lines(tmp_path):
    path = written(tmp_path, "LA_E_1 -1.5\r\nmy take 2.wav 3e-7\r\n0.wav\t4\r\n12 5\r\n")
    assert read_scores(path) == {"LA_E_1": -1.5, "my take 2.wav": 3e-7, "0.wav": 4.0, "12": 5.0}


def test_keeps_the_order_of_the_file(tmp_path):
    assert list(read_scores(written(tmp_path, "b 1\na 2\nc 0\n"))) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1\nb\n", "1 malformed line (line 2: 'b')"),
        ("a 1\n\nb 2\n", "1 malformed line (line 2: '')"),
        ("a 1\nb high\n", "1 malformed line (line 2: 'b high')"),
        ("speaker take_1_2\nspeaker 1_2\n", "2 malformed lines (line 1: 'speaker take_1_2', line 2: 'speaker 1_2')"),
        ("a 1\nb 2\na 1\n", "1 repeated id (line 3: 'a' with the same score)"),
        ("a 1\nb 2\na 3\n", "1 repeated id (line 3: 'a' with another score)"),
        ("a 1\nb ١٢\nc １\nd 1_0\n", "3 malformed lines (line 2: 'b ١٢', line 3: 'c １', line 4: 'd 1_0')"),
        ("a 1\nb\u00a02\n", "1 malformed line (line 2: 'b\\xa02')"),
        ("a 1\nb\u20282\n", ":2: '\\u2028' within a line"),
        ("a 1\rb 2\r", ":1: '\\r' within a line"),
        ("id,score\na,1\nb\n", "1 malformed line (line 3: 'b')"),
        ("id,score\na,1\nb,x\na,2\n", "1 malformed line (line 3: 'b,x'), 1 repeated id (line 4: 'a' with another score)"),
        ("a 1\nb nan\n", "1 score that is NaN or infinite (line 2: 'b' nan)"),
        ("a inf\nb 1e999\nc -inf\nd nan\n", "4 scores that are NaN or infinite (line 1: 'a' inf, line 2: 'b' inf, "),
    ],
)
def test_refuses_bad_lines(tmp_path, text, message):
    with pytest.raises(DataError) as error:
        read_scores(written(tmp_path, text))
    assert message in str(error.value)
    assert "scores.txt" in str(error.value)
    assert "\n" not in str(error.value)


def test_reports_all_problems_of_a_file_at_once(tmp_path):
    lines = ["a 1", *(f"broken{number}" for number in range(2000)), "a 1", "b nan"]
    with pytest.raises(DataError) as error:
        read_scores(written(tmp_path, "\n".join(lines)))
    assert "2,000 malformed lines (line 2: 'broken0', line 3: 'broken1', line 4: 'broken2', ...), " in str(error.value)
    assert "1 repeated id" in str(error.value)
    assert "1 score that is NaN" in str(error.value)
    assert len(str(error.value)) < 500


def test_refuses_an_empty_file(tmp_path):
    with pytest.raises(DataError, match="empty"):
        read_scores(written(tmp_path, "\n"))


def test_writes_nine_significant_digits_in_the_order_given(tmp_path):
    path = tmp_path / "new" / "scores.txt"
    write_scores(path, [("b c.wav", -1 / 3), ("a", 123456789.123), ("d", 2.0)])
    assert path.read_bytes() == b"b c.wav -0.333333333\na 123456789\nd 2\n"


@pytest.mark.parametrize(
    "text",
    [
        "filename\tcm-score\na\t1\nb c\t-2.5\n",
        "id,score\na,1\nb c,-2.5\n",
        "speaker,score,file\r\nx,1,a\r\ny,-2.5,b c\r\n",
        'id,score\n"a", 1\n"b c",-2.5\n',
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_reads_tables_with_a_header(tmp_path, text, packed):
    path = tmp_path / "scores"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert read_scores(path) == {"a": 1, "b c": -2.5}


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [
        (".csv", 'id,score\n"a, ""b"".wav",-0.333333333\n\'=1+1.wav,2\n'),
        (".jsonl", '{"id": "a, \\"b\\".wav", "score": -0.333333333}\n{"id": "=1+1.wav", "score": 2.0}\n'),
        (".CSV", 'id,score\n"a, ""b"".wav",-0.333333333\n\'=1+1.wav,2\n'),
        (".tsv", 'a, "b".wav -0.333333333\n=1+1.wav 2\n'),
    ],
)
def test_the_suffix_chooses_the_format(tmp_path, suffix, expected):
    path = tmp_path / f"scores{suffix}"
    write_scores(path, [('a, "b".wav', -1 / 3), ("=1+1.wav", 2)])
    assert path.read_text() == expected
    assert read_scores(path) == {'a, "b".wav': -0.333333333, "=1+1.wav": 2}
    write_scores(path, [])
    assert path.read_text() == ""  # as the shard of a run that has no trials


@pytest.mark.parametrize(
    "line", ["a 1", "{", '{"id": "a"}', '{"id": 1, "score": 1}', '{"id": "a", "score": "1"}', '{"id": "a", "score": true}', "[]"]
)
def test_refuses_bad_json(tmp_path, line):
    (tmp_path / "scores.jsonl").write_text(f'{{"id": "x", "score": 1}}\n{line}\n')
    with pytest.raises(DataError, match=r"scores\.jsonl: 1 malformed line \(line 2: "):
        read_scores(tmp_path / "scores.jsonl")


@pytest.fixture
def parquet():
    return pytest.importorskip("pyarrow.parquet")


def test_parquet_holds_the_same(tmp_path, parquet):
    path = tmp_path / "scores.parquet"
    write_scores(path, [('a, "b".wav', -1 / 3), ("=1+1.wav", 2)])
    assert parquet.read_table(path).to_pydict() == {"id": ['a, "b".wav', "=1+1.wav"], "score": [-0.333333333, 2.0]}
    assert read_scores(path) == {'a, "b".wav': -0.333333333, "=1+1.wav": 2}
    write_scores(path, [])
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"id": ["a"]}, "no Parquet table with the columns id and score ("),
        ({"id": ["a"], "score": ["x"]}, "no Parquet table with the columns id and score ("),
        ({"id": ["a", None], "score": [1.0, 2.0]}, "1 empty cells"),
        ({"id": ["a", "a"], "score": [1.0, 1.0]}, "1 repeated id (line 2: 'a' with the same score)"),
        ({"id": ["a", "b"], "score": [1.0, float("nan")]}, "1 score that is NaN or infinite (line 2: 'b' nan)"),
        (b"PAR1 and no more", "no Parquet table with the columns id and score ("),
        (b"", "no Parquet table with the columns id and score ("),
    ],
)
def test_refuses_bad_parquet(tmp_path, parquet, columns, problem):
    path = tmp_path / "scores.parquet"
    if isinstance(columns, bytes):
        path.write_bytes(columns)
    else:
        import pyarrow

        parquet.write_table(pyarrow.table(columns), path)
    with pytest.raises(DataError) as error:
        read_scores(path)
    assert str(error.value).startswith(f"{path}: {problem}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", ["", ".csv", ".jsonl"])
@given(
    ids=st.lists(st.text(st.characters(codec="utf-8"), min_size=1), unique=True, max_size=10),
    score=st.floats(width=32, allow_nan=False, allow_infinity=False),
)
def test_every_id_is_read_again_or_refused(tmp_path_factory, ids, score, suffix):
    path = tmp_path_factory.mktemp("scores") / f"scores{suffix}"
    for name in ids:
        try:
            write_scores(path, [(name, score)])
        except DataError:
            assert set(name) & set("\n\ufeff") or LINE_BREAKS.search(name) or name != name.rstrip(" \t")
        else:
            # Nine digits distinguish every float32, though the text is a float64.
            assert read_scores(path) == {name: pytest.approx(score, rel=1e-8)}


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("a", 1.0), ("b", math.nan)], "'b': its score is nan"),
        ([("a", 1.0), ("b", math.inf)], "'b': its score is inf"),
        ([("a", 1.0), ("a", 1.0)], "'a': its id is repeated"),
        ([("a\nb", 1.0)], "cannot hold its id"),
        ([("", 1.0)], "cannot hold its id"),
        ([("a ", 1.0)], "cannot hold its id"),
        ([("\udcff.wav", 1.0)], "not UTF-8"),
    ],
)
def test_writes_whole_or_not_at_all(tmp_path, pairs, message):
    path = written(tmp_path, "before 1\n")
    with pytest.raises(DataError, match=message):
        write_scores(path, pairs)
    assert path.read_text() == "before 1\n"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_the_file_before(tmp_path):
    path = written(tmp_path, "before 1\n")

    def interrupted():
        yield "a", 1.0
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scores(path, interrupted())
    assert path.read_text() == "before 1\n"
    assert list(tmp_path.iterdir()) == [path]


def test_imports_nothing_heavy():
    code = "import sys, sls_plugin.scores.score_file; sys.exit(bool({'torch', 'numpy', 'fairseq'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
