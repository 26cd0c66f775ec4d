"""`sls report` from the command line."""

import subprocess
import sys

import pytest

from sls_plugin.__main__ import main


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "labels.txt").write_text("a bonafide\nb spoof\nc bona-fide\nd spoof\n")
    (tmp_path / "scores.txt").write_text("a 0.1\nb -2.5\nc 3\nd 0.25\n")
    (tmp_path / "other.txt").write_text("a 0.5\nb -2.5\nc 3\nd 0.25\n")
    return tmp_path


def test_writes_one_page_for_all_score_files(folder, capsys):
    output = folder / "new" / "report.html"
    scores = [str(folder / "scores.txt"), str(folder / "other.txt")]
    options = ["--keys", str(folder / "labels.txt"), "--title", "Two systems", "--note", "First.", "--note", "Second."]
    assert main(["report", *scores, *options, "--output", str(output)]) == 0
    page = output.read_text(encoding="utf-8")
    for expected in ("<h1>Two systems</h1>", ">First.</p>", ">Second.</p>", "scores: EER 50.00 %", "other: EER 0.00 %"):
        assert expected in page
    assert capsys.readouterr().out == f"report on 2 score files: {output}\n"


def test_keys_of_a_corpus(folder):
    (folder / "ASVspoof2019.LA.cm.eval.trl.txt").write_text(
        "LA_1 a - - bonafide\nLA_1 b - A07 spoof\nLA_1 c - - bonafide\nLA_1 d - A08 spoof\n"
    )
    options = ["--corpus", "2019la", "--keys", str(folder), "--output", str(folder / "report.html")]
    assert main(["report", str(folder / "scores.txt"), *options]) == 0
    page = (folder / "report.html").read_text()
    assert "Corpus 2019la, phase eval" in page
    assert ">A08</text>" in page


def test_without_keys_a_threshold_gives_verdicts(folder):
    output = folder / "report.html"
    assert main(["report", str(folder / "scores.txt"), "--threshold=-1e-1", "--output", str(output)]) == 0
    assert '<td data-column="judged bona fide">3</td><td data-column="judged spoof">1</td>' in output.read_text()


def test_bad_data_leaves_no_page(folder, capsys):
    (folder / "scores.txt").write_text("a 0.1\nb -2.5\nc nan\n")
    output = folder / "report.html"
    assert main(["report", str(folder / "scores.txt"), "--output", str(output)]) == 1
    error = capsys.readouterr().err
    assert "scores.txt: 1 score that is NaN or infinite (line 3: 'c' nan)" in error
    assert error.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize(
    "options", [["--corpus", "labels"], ["--threshold", "nan"], ["--threshold", "inf"], ["--threshold", "high"]]
)
def test_wrong_usage_exits_2(folder, options):
    with pytest.raises(SystemExit) as stop:
        main(["report", str(folder / "scores.txt"), *options, "--output", str(folder / "report.html")])
    assert stop.value.code == 2


def run_python(code, folder):
    arguments = ["report", folder / "scores.txt", "--output", folder / "report.html"]
    command = [sys.executable, "-c", f"import sys; {code}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_names_the_remedy_when_matplotlib_is_absent(folder):
    done = run_python(
        "sys.modules['matplotlib'] = None; from sls_plugin.__main__ import main; sys.exit(main(sys.argv[1:]))", folder
    )
    assert done.returncode == 1
    assert done.stderr == "sls report: error: no matplotlib: pip install 'sls-plugin[report]'\n"


def test_reports_without_torch(folder):
    done = run_python(
        "from sls_plugin.__main__ import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)", folder
    )
    assert done.returncode == 0
