"""The sanity experiment passes when a small network overfits its clips, and fails when nothing is learnt."""

import json
import subprocess
import sys

import pytest
from recipe_runs import ROOT, rows, run_recipe

from recipes.tools.training_log import add_record

EASY = ("common.cpu=true", "task.max_samples=8000", "lr_scheduler.warmup_updates=20", "optimization.max_epoch=40")


def test_training_works(corpora, tmp_path) -> None:
    printed = run_recipe("train.sh", "sanity", "--corpora", corpora / "LA", "--dest", tmp_path, "--", *EASY)
    *_, loss, weights, eer = printed.splitlines()
    assert loss.startswith("pass  the training loss falls below half")
    assert weights.startswith("pass  the layer weights change")
    assert eer.startswith("pass  the EER of the training clips is below 5 %")
    _, phase, _, n_bonafide, n_spoof, *_ = rows(tmp_path)["train", "seed1234"]
    assert (phase, n_bonafide, n_spoof) == ("all", "8", "12")


@pytest.fixture
def run_and_start(tmp_path):
    """The files of a run and of its start that the checks read."""
    run, start = tmp_path / "run", tmp_path / "start"
    for folder in (run / "scores", start):
        folder.mkdir(parents=True)
    for loss in (0.7, 0.3, 0.02):
        add_record(run, {"split": "train", "loss": loss})
    (start / "layers.tsv").write_text("layer\tspoof\tbonafide\n0\t0.5\t0.5\n1\t0.5\t0.5\n")
    (run / "layers.tsv").write_text("layer\tspoof\tbonafide\n0\t0.4\t0.51\n1\t0.5\t0.52\n")
    (run / "scores" / "train.json").write_text(json.dumps({"eer": 0.049}))
    return run, start


def checked(run, start) -> tuple[int, list[str]]:
    command = [sys.executable, "-m", "recipes.experiments.sanity.checks", str(run), str(start)]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return outcome.returncode, outcome.stdout.splitlines()


def test_all_pass(run_and_start) -> None:
    status, facts = checked(*run_and_start)
    assert (status, [fact[:4] for fact in facts]) == (0, ["pass"] * 3)
    assert facts[1].endswith("that of layer 0 by 0.1000")
    assert facts[2].endswith(": 4.90 %")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_one_that_fails_is_enough(number, run_and_start) -> None:
    run, start = run_and_start
    if number == 0:
        add_record(run, {"split": "train", "loss": 0.36})
    elif number == 1:
        (run / "layers.tsv").write_text((start / "layers.tsv").read_text().replace("1\t0.5", "1\t0.5009"))
    else:
        (run / "scores" / "train.json").write_text(json.dumps({"eer": 0.05}))
    status, facts = checked(run, start)
    assert (status, [fact[:4] == "FAIL" for fact in facts]) == (1, [number == which for which in range(3)])
