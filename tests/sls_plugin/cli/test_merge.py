"""`sls merge`: what is missing, unknown or repeated in the score files of shards, and shards of different runs."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from protocols import Trial, write_manifest
from sls_plugin.__main__ import main
from sls_plugin.scores.run_metadata import read_metadata, write_metadata
from sls_plugin.scores.score_file import write_errors

RECORD = {"checkpoint": "0123", "trials": "4567", "shard": [0, 1], "llr": False}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Score files of six trials, as any program may have written them, and their manifest in another order."""
    monkeypatch.chdir(tmp_path)
    Path("0.txt").write_text("f 0.5\nb 1\n")
    Path("1.txt").write_text("two words 2\nd 3.25\n")
    Path("2.txt").write_text("e 4\na -1e-07\n")
    write_manifest("eval.tsv", [Trial(name, "x.wav") for name in ("a", "b", "two words", "d", "e", "f")])
    return tmp_path


def merge(*arguments: str) -> int:
    return main(["merge", *arguments, "--output", "all.txt"])


def with_records(*shards: tuple[int, int], **differing: object) -> None:
    """Give the score files records as of a run in shards; `differing` is that of the last one."""
    for number, of_run in enumerate(shards):
        other = differing if number == len(shards) - 1 else {}
        write_metadata(Path(f"{number}.txt"), RECORD | {"shard": list(of_run)} | other)


def test_without_a_manifest_the_files_follow_each_other(folder: Path, capsys, caplog) -> None:
    assert merge("0.txt", "1.txt", "2.txt") == 0
    assert Path("all.txt").read_text() == "f 0.5\nb 1\ntwo words 2\nd 3.25\ne 4\na -1e-07\n"
    assert capsys.readouterr() == ("6 scores: all.txt\n", "")
    (warning,) = caplog.messages
    assert warning.startswith("3 score files (0.txt, 1.txt, 2.txt): no run record found, or changed since: a missing shard is ")
    assert not Path("all.txt.run.json").exists()


def test_the_order_is_that_of_the_manifest(folder: Path, caplog) -> None:
    assert merge("2.txt", "0.txt", "1.txt", "--manifest", "eval.tsv") == 0
    assert Path("all.txt").read_text() == "a -1e-07\nb 1\ntwo words 2\nd 3.25\ne 4\nf 0.5\n"
    assert not caplog.messages


def test_what_is_missing_unknown_or_repeated_is_told_together(folder: Path, capsys) -> None:
    Path("3.txt").write_text("b 1\nx1 0\nx2 0\nx3 0\nx4 0\n")
    assert merge("0.txt", "2.txt", "3.txt", "--manifest", "eval.tsv") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "1 repeated id ('b' in 3.txt)" in error
    assert "2 trials without a score ('two words', 'd')" in error
    assert "4 unknown ids ('x1', 'x2', 'x3', ...)" in error
    assert not Path("all.txt").exists()
    assert merge("0.txt", "0.txt") == 1
    assert "2 repeated ids ('f' in 0.txt, 'b' in 0.txt)" in capsys.readouterr().err


def test_reasons_count_as_outcomes_and_are_joined(folder: Path, capsys) -> None:
    Path("1.txt").write_text("d 3.25\n")
    write_errors("1.txt", {"two words": "x.wav: truncated\tor not"})
    assert merge("0.txt", "1.txt", "2.txt", "--manifest", "eval.tsv") == 1
    assert capsys.readouterr().err == "5 scores: all.txt; 1 broken, with reasons: all.txt.errors.tsv\n"
    assert Path("all.txt.errors.tsv").read_text() == "id\treason\ntwo words\tx.wav: truncated\tor not\n"


def test_a_trial_has_a_score_or_a_reason_not_both(folder: Path, capsys) -> None:
    write_errors("1.txt", {"d": "x.wav: truncated"})
    assert merge("0.txt", "1.txt", "2.txt", "--manifest", "eval.tsv") == 1
    assert "1.txt: 1 trial ('d') with a score, but also listed as broken in 1.txt.errors.tsv: " in capsys.readouterr().err
    assert not Path("all.txt").exists()


def test_an_output_is_not_touched_without_leave(folder: Path, capsys) -> None:
    Path("all.txt").write_text("mine 1\n")
    Path("all.txt.errors.tsv").write_text("id\treason\nmine\tbroken\n")
    assert merge("0.txt", "1.txt") == 1
    assert "all.txt: already exists" in capsys.readouterr().err
    assert Path("all.txt").read_text() == "mine 1\n"
    assert merge("0.txt", "1.txt", "--overwrite") == 0
    assert not Path("all.txt.errors.tsv").exists()  # was about other scores


@pytest.mark.parametrize("name", ["0.txt", "eval.tsv"])
def test_no_input_is_replaced(folder: Path, name: str) -> None:
    before = Path(name).read_bytes()
    with pytest.raises(SystemExit) as usage:
        main(["merge", "0.txt", "1.txt", "--manifest", "eval.tsv", "--output", name, "--overwrite"])
    assert usage.value.code == 2
    assert Path(name).read_bytes() == before


def test_a_damaged_file_names_its_line(folder: Path, capsys) -> None:
    Path("1.txt").write_text("two words 2\nd 3.\nd")
    assert merge("0.txt", "1.txt") == 1
    assert "1.txt: 1 malformed line (line 3: 'd')" in capsys.readouterr().err
    Path("1.txt.errors.tsv").write_text("id\treason\nno tab\n")
    Path("1.txt").write_text("d 3\n")
    assert merge("0.txt", "1.txt") == 1
    assert "1.txt.errors.tsv:2: 'no tab' is not a row `id reason`" in capsys.readouterr().err


def test_a_shard_that_is_not_there(folder: Path, capsys) -> None:
    Path("3.txt.partial").write_text("")
    problems = {"3.txt": "3.txt.partial: this shard is not finished: continue it with", "4.txt": "4.txt: No such file"}
    for name, problem in problems.items():
        assert merge("0.txt", name) == 1
        assert problem in capsys.readouterr().err


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_hinder_nothing(folder: Path, closed: str) -> None:
    command = f"exec {sys.executable} -m sls_plugin merge 0.txt 1.txt 2.txt --manifest eval.tsv --output all.txt {closed}"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    outcome = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert Path("all.txt").read_text() == "a -1e-07\nb 1\ntwo words 2\nd 3.25\ne 4\nf 0.5\n"


def test_a_shard_may_come_through_a_pipe(folder: Path) -> None:
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_text, args=["two words 2\nd 3.25\n"])
    writer.start()
    assert merge("0.txt", "pipe", "2.txt", "--manifest", "eval.tsv") == 0
    writer.join()
    assert "two words 2\nd 3.25\n" in Path("all.txt").read_text()


# With the records that `sls score` leaves


def test_shards_are_put_in_their_order(folder: Path) -> None:
    with_records((2, 3), (0, 3), (1, 3))
    assert merge("0.txt", "1.txt", "2.txt") == 0
    assert Path("all.txt").read_text() == "two words 2\nd 3.25\ne 4\na -1e-07\nf 0.5\nb 1\n"
    assert read_metadata(Path("all.txt")) == RECORD  # as of a run without shards


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        ([(0, 4), (1, 4), (3, 4)], "0.txt: 1 shard is (2/4) left out"),
        ([(0, 5), (3, 5), (2, 5)], "0.txt: 2 shards are (1/5, 4/5) left out"),
        ([(0, 3), (1, 3), (2, 4)], "0.txt: 3 shards are (0/4, 1/4, 3/4) left out"),
    ],
)
def test_a_shard_that_is_left_out_is_named(folder: Path, capsys, shards: list, message: str) -> None:
    with_records(*shards)
    assert merge("0.txt", "1.txt", "2.txt") == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("differing", "named"), [({"checkpoint": "89"}, "checkpoint: "), ({"llr": True, "trials": ""}, "trials, llr: ")]
)
def test_shards_of_different_runs_are_refused(folder: Path, capsys, differing: dict, named: str) -> None:
    with_records((0, 3), (1, 3), (2, 3), **differing)
    assert merge("0.txt", "1.txt", "2.txt", "--manifest", "eval.tsv") == 1
    assert f"2.txt: of a run that differs in {named}" in capsys.readouterr().err
    assert not Path("all.txt").exists()


def test_a_record_of_other_scores_tells_nothing(folder: Path, capsys, caplog) -> None:
    """A score file that another program has replaced since: a warning says that missing shards go unnoticed."""
    with_records((0, 3), (1, 3), (2, 3), checkpoint="89")
    Path("2.txt").write_text("e 4\na 0\n")
    assert merge("0.txt", "1.txt", "2.txt") == 0
    (warning,) = caplog.messages
    assert warning.startswith("1 score file (2.txt): no run record found, or changed since: ")
    assert not Path("all.txt.run.json").exists()
    Path("2.txt.run.json").write_text("[]")
    assert merge("0.txt", "1.txt", "2.txt", "--overwrite") == 1
    assert "2.txt.run.json: not the record of a run: remove it" in capsys.readouterr().err
    assert json.loads(Path("0.txt.run.json").read_text())["checkpoint"] == "0123"


def test_imports_nothing_heavy(folder: Path) -> None:
    code = (
        "import sys; from sls_plugin.__main__ import main; main(sys.argv[1:]);"
        "sys.exit(bool({'torch', 'fairseq'} & set(sys.modules)))"
    )
    arguments = ["merge", "0.txt", "1.txt", "--output", "all.txt"]
    environment = {"PYTHONPATH": str(Path(__file__).parents[3])}
    assert subprocess.run([sys.executable, "-c", code, *arguments], env=environment, check=False).returncode == 0
