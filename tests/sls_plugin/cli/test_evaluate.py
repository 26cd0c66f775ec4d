"""`sls evaluate` from the command line."""

import gzip
import json
import subprocess
import sys

import pytest

from protocols import Trial, write_manifest
from sls_plugin.__main__ import main

LABELS = "a bonafide\nb spoof\nc bona-fide\nd spoof\n"
SCORES = "a 0.1\nb -2.5\nc 3\nd 0.25\n"  # the lower bona fide below the higher spoof: EER 50 %


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "labels.txt").write_text(LABELS)
    (tmp_path / "scores.txt").write_text(SCORES)
    return tmp_path


def run(folder, *options):
    scores, keys = folder / "scores.txt", folder / "labels.txt"
    return main(["evaluate", "labels", str(scores), "--keys", str(keys), *options])


def test_prints_a_table_and_writes_full_precision(folder, capsys):
    assert run(folder, "--json", str(folder / "new" / "result.json")) == 0
    assert json.loads((folder / "new" / "result.json").read_text()) == {
        "eer": 0.5, "eer_threshold": 0.1, "n_bonafide": 2, "n_spoof": 2, "phase": "all", "per_attack": {},
    }  # fmt: skip
    output = capsys.readouterr()
    assert "EER       50.000 % at threshold 0.1\n" in output.out
    assert "phase     all\n" in output.out
    assert output.err == ""


def test_manifest_with_attacks_and_phases(tmp_path, capsys):
    facts = {"b1": ("", "eval"), "s1": ("A1", "eval"), "s2": ("A2", "eval"), "p": ("A1", "progress")}
    trials = [
        Trial(name, f"{name}.wav", "bonafide" if name == "b1" else "spoof", facts={"attack": attack, "phase": phase})
        for name, (attack, phase) in facts.items()
    ]
    write_manifest(tmp_path / "eval.tsv", trials)
    (tmp_path / "scores.txt").write_text("b1 1\ns1 0\ns2 2\np 3\n")
    evaluate = ["evaluate", "labels", str(tmp_path / "scores.txt"), "--keys", str(tmp_path)]
    assert main([*evaluate, "--json", str(tmp_path / "r.json")]) == 0
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["phase"], result["n_spoof"], result["per_attack"]) == ("eval", 2, {"A1": 0.0, "A2": 1.0})
    assert main([*evaluate, "--phase", "all"]) == 0
    assert "phase     all\ntrials    4: 1 bona fide, 3 spoof" in capsys.readouterr().out
    assert main([*evaluate, "--phase", "hidden"]) == 1
    assert "no trial of phase hidden" in capsys.readouterr().err


def test_allow_missing_says_so_in_every_output(folder, capsys):
    (folder / "scores.txt").write_text("a 3\nb 1\n")
    assert run(folder) == 1
    assert "2 trials of the keys have no score ('c', 'd')" in capsys.readouterr().err
    assert run(folder, "--allow-missing", "--json", str(folder / "r.json")) == 0
    assert "left out  2 trials" in capsys.readouterr().out
    assert json.loads((folder / "r.json").read_text())["n_missing"] == 2


def test_negated_scores_are_told(folder, capsys):
    (folder / "scores.txt").write_text("a -3\nb 1\nc -4\nd 2\n")
    assert run(folder) == 0
    output = capsys.readouterr()
    assert "EER       100.000 %" in output.out
    assert output.err.startswith("sls evaluate: warning: the EER of 100.00 % is above 50 %")
    assert run(folder, "--negate") == 0
    output = capsys.readouterr()
    assert "scores.txt (negated)" in output.out
    assert "EER       0.000 % at threshold -1\n" in output.out
    assert output.err == ""


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ("a 1\nb 2\nc 3\n", "1 trial of the keys has no score ('d')"),
        (SCORES + "x 1\n", "1 id is not in the keys ('x')"),
        (SCORES + "a 0.1\n", "1 repeated id (line 5: 'a' with the same score)"),
        (SCORES + "a 7\n", "1 repeated id (line 5: 'a' with another score)"),
        (SCORES.replace("3", "nan"), "1 score that is NaN or infinite (line 3: 'c' nan)"),
        (SCORES.replace("3", "-inf"), "1 score that is NaN or infinite (line 3: 'c' -inf)"),
        (SCORES.replace(" 3", ""), "1 malformed line (line 3: 'c')"),
        ("", "the file is empty"),
    ],
)
def test_bad_scores_are_one_line_and_no_figure(folder, capsys, scores, message):
    (folder / "scores.txt").write_text(scores)
    assert run(folder, "--json", str(folder / "r.json")) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert message in output.err
    assert "scores.txt" in output.err
    assert output.err.count("\n") == 1
    assert not (folder / "r.json").exists()


def test_absent_files_are_one_line(folder, capsys):
    (folder / "labels.txt").unlink()
    assert run(folder) == 1
    output = capsys.readouterr()
    assert "labels.txt" in output.err
    assert output.err.count("\n") == 1


def test_wrong_usage_exits_2(folder):
    for options in (["--phase", "development"], ["--bootstrap"]):
        with pytest.raises(SystemExit) as stop:
            run(folder, *options)
        assert stop.value.code == 2


@pytest.mark.parametrize("system", ["RawGAT_ST_mul", "softmax"])
def test_published_scores_of_2019la(shared, tmp_path, system, capsys):
    source = shared / "data/scores/la19_eval"
    expected = json.loads((shared / "data/scores/expected.json").read_text())[f"la19_eval/{system}"]
    keys = tmp_path / "ASVspoof2019.LA.cm.eval.trl.txt"
    keys.write_bytes(gzip.decompress((source / "cm_key.txt.gz").read_bytes()))
    with gzip.open(source / f"{system}.txt.gz", "rt") as file:
        rows = [line.split() for line in file]
    (tmp_path / "scores.txt").write_text("".join(f"{row[0]} {row[-1]}\n" for row in reversed(rows)))
    evaluate = ["evaluate", "2019la", str(tmp_path / "scores.txt"), "--keys", str(tmp_path)]
    assert main([*evaluate, "--json", str(tmp_path / "r.json")]) == 0
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["phase"] == "eval"
    assert (result["n_bonafide"], result["n_spoof"]) == (expected["n_bona"], expected["n_spoof"])
    # The scores are read in another order, and where trials tie the order within a class does not matter.
    assert result["eer"] == pytest.approx(expected["eer"], abs=1e-12)
    assert result["eer_threshold"] == pytest.approx(expected["eer_threshold"], abs=1e-12)
    if "eer_per_attack" in expected:
        assert result["per_attack"] == pytest.approx(expected["eer_per_attack"], abs=1e-12)
    output = capsys.readouterr()
    assert max(map(len, output.out.splitlines())) <= 100
    assert ("many ties: 5,393 bona fide trials and 1,303 spoofs" in output.err) == (system == "softmax")


def test_evaluates_without_torch(folder):
    code = (
        "import sys; from sls_plugin.__main__ import main; status = main(sys.argv[1:]); "
        "print({'torch', 'fairseq', 'matplotlib', 'librosa'} & set(sys.modules)); sys.exit(status)"
    )
    arguments = ["evaluate", "labels", folder / "scores.txt", "--keys", folder / "labels.txt"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")
