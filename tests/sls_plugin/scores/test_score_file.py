"""Score files: what is written can be read back, and errors name their lines."""

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import DataError
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


@given(
    ids=st.lists(st.text(st.characters(codec="utf-8"), min_size=1), unique=True, max_size=10),
    score=st.floats(width=32, allow_nan=False, allow_infinity=False),
)
def test_every_id_is_read_again_or_refused(tmp_path_factory, ids, score):
    path = tmp_path_factory.mktemp("scores") / "scores.txt"
    for name in ids:
        try:
            write_scores(path, [(name, score)])
        except DataError:
            assert set(name) & set("\n\r\ufeff") or name != name.rstrip()
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
