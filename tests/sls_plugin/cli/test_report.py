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
    assert "Corpus asvspoof2019-la, phase eval" in page
    assert ">A08</text>" in page


def test_a_phase_of_the_keys(folder):
    """2021 LA: of the four trials two are of the evaluation phase."""
    lines = [
        f"LA_1 {name} none - {'bonafide bonafide' if name in 'ac' else 'A07 spoof'} notrim {phase}"
        for name, phase in zip("abcd", ("eval", "eval", "progress", "progress"), strict=True)
    ]
    (folder / "trial_metadata.txt").write_text("\n".join(lines) + "\n")
    options = ["--corpus", "2021la", "--keys", str(folder / "trial_metadata.txt"), "--output", str(folder / "report.html")]
    for chosen, phase, n_trials in (([], "eval", 2), (["--phase", "all"], "all", 4)):
        assert main(["report", str(folder / "scores.txt"), *options, *chosen]) == 0
        assert f"phase {phase}, keys trial_metadata.txt: {n_trials} trials" in (folder / "report.html").read_text()


def test_resamples_a_thousand_times_unless_told_otherwise(folder):
    command = [
        "report", str(folder / "scores.txt"), str(folder / "other.txt"), "--keys", str(folder / "labels.txt"),
        "--output", str(folder / "report.html"),
    ]  # fmt: skip
    assert main(command) == 0
    page = (folder / "report.html").read_text()
    assert "from 1,000 resamples of trials within each class" in page
    assert "Paired comparison" in page
    assert main([*command, "--bootstrap", "0"]) == 0
    page = (folder / "report.html").read_text()
    assert "resamples" not in page
    assert "Paired comparison" not in page


def test_resamples_speakers(folder, capsys):
    command = ["report", str(folder / "scores.txt"), "--bootstrap", "100", "--by-speaker"]
    command += ["--output", str(folder / "report.html"), "--keys"]
    assert main([*command, str(folder / "labels.txt")]) == 1
    error = capsys.readouterr().err
    assert "the speaker of 4 of 4 trials is unknown" in error
    assert error.count("\n") == 1
    rows = ("a\ta.wav\t0\tbonafide\tx", "b\tb.wav\t0\tspoof\tx", "c\tc.wav\t0\tbonafide\ty", "d\td.wav\t0\tspoof\ty")
    (folder / "eval.tsv").write_text("\n".join(["id\taudio\tn_frames\tlabel\tspeaker", *rows]) + "\n")
    assert main([*command, str(folder / "eval.tsv")]) == 0
    assert "from 100 resamples of whole speakers" in (folder / "report.html").read_text()


def test_trials_without_a_score_are_refused_or_left_out(folder, capsys):
    (folder / "other.txt").write_text("a 0.5\nb -2.5\n")
    command = ["report", str(folder / "scores.txt"), str(folder / "other.txt"), "--keys", str(folder / "labels.txt")]
    command += ["--output", str(folder / "report.html")]
    assert main(command) == 1
    assert "other.txt: 2 trials of the keys have no score" in capsys.readouterr().err
    assert main([*command, "--allow-missing"]) == 0
    assert "2 of 4 trials of the keys are not scored by every system" in (folder / "report.html").read_text()


def test_a_score_file_is_given_once(folder):
    with pytest.raises(SystemExit) as stop:
        main(["report", *[str(folder / "scores.txt")] * 2, "--output", str(folder / "report.html")])
    assert stop.value.code == 2


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
    "options",
    [
        ["--corpus", "labels"], ["--phase", "eval"], ["--allow-missing"], ["--by-speaker"],
        ["--keys", "labels.txt", "--by-speaker", "--bootstrap", "0"], ["--bootstrap", "-1"], ["--bootstrap", "99"],
        ["--bootstrap", "1000000"],
        ["--threshold", "nan"], ["--threshold", "inf"], ["--threshold", "high"],
    ],
)  # fmt: skip
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


def test_an_output_that_is_an_input_is_refused(folder, capsys):
    before = (folder / "scores.txt").read_text()
    with pytest.raises(SystemExit) as stop:
        main(["report", str(folder / "scores.txt"), "--output", str(folder / "x" / ".." / "scores.txt")])
    assert stop.value.code == 2
    assert "scores.txt is an input: name another file to write" in capsys.readouterr().err
    assert (folder / "scores.txt").read_text() == before
