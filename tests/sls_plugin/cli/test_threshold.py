"""`sls threshold` from the command line."""

import json
import subprocess
import sys

import numpy as np
import pytest

from sls_plugin.__main__ import main
from sls_plugin.scores.decision import read_decision


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(4)
    is_bonafide = np.arange(300) % 2 == 0
    labels = [f"t{number} {'bonafide' if label else 'spoof'}\n" for number, label in enumerate(is_bonafide)]
    scores = [f"t{number} {rng.normal() + 3 * label - 5:.6f}\n" for number, label in enumerate(is_bonafide)]
    (tmp_path / "dev.keys").write_text("".join(labels))
    (tmp_path / "dev.txt").write_text("".join(scores))
    return tmp_path


def threshold(folder, *options):
    files = [str(folder / "dev.txt"), "--keys", str(folder / "dev.keys"), "--output", str(folder / "decision.json")]
    return main(["threshold", *files, "--bootstrap", "100", *options])


def test_writes_and_prints_a_decision(folder, capsys):
    assert threshold(folder, "--max-error", "0.05") == 0
    decision = read_decision(folder / "decision.json")
    printed = capsys.readouterr().out
    assert f"threshold {decision.threshold:.6g} [" in printed
    assert f"undecided from {decision.spoof_up_to:.6g} to {decision.bonafide_above:.6g}\n" in printed
    assert "300: 150 bona fide, 150 spoof" in printed
    assert "better than chance (p-value < 0.0001)" in printed
    for name in ("bona fide judged spoof", "spoof judged bona fide", "bona fide undecided", "spoof undecided"):
        assert f"\n{name}" in printed
    assert max(map(len, printed.splitlines()[:-1])) <= 100
    content = json.loads((folder / "decision.json").read_text())
    assert (content["decision"], content["source"]["scores"], content["source"]["keys"]) == (1, "dev.txt", "dev.keys")


def test_the_rule_is_the_one_that_was_chosen(folder):
    found = {}
    for rule, options in {
        "equal error rates": ["--eer"],
        "at most 2 % false alarms": ["--max-false-alarms", "0.02"],
        "costs of 1 per false alarm and 20 per miss, at the prior 0.5": ["--costs", "1", "20"],
    }.items():
        assert threshold(folder, *options, "--overwrite") == 0
        decision = read_decision(folder / "decision.json")
        assert decision.rule == rule
        found[rule] = decision.threshold
    equal, few_false_alarms, few_misses = found.values()
    assert few_false_alarms < equal < few_misses


def test_an_existing_decision_stays(folder, capsys):
    (folder / "decision.json").write_text("mine\n")
    assert threshold(folder) == 1
    assert "already exists: give --overwrite" in capsys.readouterr().err
    assert (folder / "decision.json").read_text() == "mine\n"


def test_a_detector_that_guesses_exits_1_with_one_line(folder, capsys):
    names = [line.split()[0] for line in (folder / "dev.txt").read_text().splitlines()]
    (folder / "dev.txt").write_text("".join(f"{name} {number % 7}\n" for number, name in enumerate(names)))
    assert threshold(folder) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"sls threshold: error: {folder / 'dev.txt'}: no threshold: not better than chance here (AUC 0.")
    assert error.count("\n") == 1
    assert not (folder / "decision.json").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--eer", "--max-false-alarms", "0.01"], ["--max-false-alarms", "1"], ["--max-false-alarms", "0"], ["--costs", "1"],
        ["--costs", "1", "0"], ["--costs", "1", "nan"], ["--prior", "1"], ["--max-error", "2"], ["--bootstrap", "0"],
        ["--bootstrap", "99"], ["--output", "dev.txt"],
    ],
)  # fmt: skip
def test_wrong_usage_exits_2(folder, monkeypatch, options):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as stop:
        threshold(folder, *options)
    assert stop.value.code == 2


def test_needs_no_torch(folder):
    code = "import sys; from sls_plugin.__main__ import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    files = [folder / "dev.txt", "--keys", folder / "dev.keys", "--output", folder / "d.json", "--bootstrap", "100"]
    assert subprocess.run([sys.executable, "-c", code, "threshold", *files], check=False).returncode == 0
