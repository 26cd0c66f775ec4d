"""Prosody without content: a detector for each lambda, and their table."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from configurations import composed
from miniatures import COUNTS
from omegaconf import OmegaConf
from recipe_runs import ROOT, SMALL, rows, run_recipe

from protocols import Trial, read_manifest
from recipes.experiments.prosody.split_mlaad import split
from recipes.tools.training_log import read_log, validations

LAMBDAS = ("0", "0.5")


@pytest.fixture(scope="module")
def finished(corpora: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list]:
    dest = tmp_path_factory.mktemp("prosody results")
    arguments = ["--corpora", corpora, "--teacher-path", backbone, "--dest", dest, "--lambdas", ",".join(LAMBDAS), "--", *SMALL]
    arguments += ["task.max_samples=4000", "optimization.max_update=3", "checkpoint.save_interval_updates=1"]
    run_recipe("train.sh", "prosody", *arguments)
    return dest, arguments


def test_a_row_for_each_lambda(finished) -> None:
    dest, _ = finished
    lines = [line for line in (dest / "RESULTS.md").read_text().splitlines() if line.startswith("| 0")]
    assert len(lines) == len(LAMBDAS)
    for strength, line in zip(LAMBDAS, lines, strict=True):
        folder = dest / f"lambda{strength}"
        row = rows(folder)["2019la", "seed1234"]
        assert [int(cell) for cell in row[3:5]] == list(COUNTS["2019la"])
        of_dev = min(record["eer"] for record in validations(read_log(folder / "seed1234")))
        figures = f"| {strength} | seed1234 | {100 * of_dev:.2f} | 2019la | {row[5]} | {row[6]} |"
        assert line == f"{figures} [RESULTS.md](lambda{strength}/RESULTS.md) |"


def test_each_run_has_its_lambda_and_all_else_alike(finished) -> None:
    dest, _ = finished
    path = "seed1234/checkpoints/checkpoint_best.pt"
    runs = {strength: torch.load(dest / f"lambda{strength}" / path, weights_only=False) for strength in LAMBDAS}
    assert {strength: run["cfg"]["criterion"]["adversarial_lambda"] for strength, run in runs.items()} == {"0": 0, "0.5": 0.5}
    assert not torch.equal(*(run["model"]["fc1.weight"] for run in runs.values()))
    records = [(dest / f"lambda{strength}" / "seed1234" / "run.json").read_text() for strength in LAMBDAS]
    assert records[0] == re.sub(r'("criterion.adversarial_lambda"): 0.5', r"\1: 0", records[1])


def test_validation_comes_after_updates_not_epochs(finished) -> None:
    dest, _ = finished
    log = read_log(dest / "lambda0" / "seed1234")
    assert [record["num_updates"] for record in validations(log)] == [1, 2, 3]
    assert all(record["bsz"] > 0 and record["content_loss"] > 0 for record in validations(log))


def test_no_architecture_and_no_speaker_is_in_both_parts(finished) -> None:
    data = finished[0] / "data"
    for corpus, fact in (("mlaad", "architecture"), ("librispeech", "speaker")):
        train, dev = ({trial.facts[fact] for trial in read_manifest(data / f"{corpus}_{part}.tsv")} for part in ("train", "dev"))
        assert train
        assert dev
        assert not train & dev


def test_a_second_run_repeats_nothing(finished) -> None:
    dest, arguments = finished
    logs = [dest / f"lambda{strength}" / "seed1234" / "train.jsonl" for strength in LAMBDAS]
    before = [log.read_bytes() for log in logs]
    printed = run_recipe("train.sh", "prosody", "--stage", 2, *arguments)
    assert printed.count("already done") == printed.count("nothing left to do") == len(LAMBDAS)
    assert [log.read_bytes() for log in logs] == before


def test_errors_are_one_line(tmp_path) -> None:
    printed = run_recipe("train.sh", "prosody", "--dest", tmp_path, "--lambdas", "0,-1", status=2)
    assert "--lambdas '0,-1': must be numbers >= 0, separated by commas: see --help" in printed.splitlines()[-1]
    table = [sys.executable, "-m", "recipes.experiments.prosody.table", tmp_path]
    outcome = subprocess.run(table, cwd=ROOT, capture_output=True, text=True)
    assert outcome.returncode == 1
    assert outcome.stderr == f"table.py: error: {tmp_path}: no lambda*/seed*/scores/*.json in it: start with stage 3\n"
    assert not (tmp_path / "RESULTS.md").exists()


def test_the_split_of_mlaad() -> None:
    """Every fifth architecture for dev, with 20 trials of each model and language; all of the others to train on."""
    models = [("en", f"model{number}", f"architecture{number // 2}") for number in range(24)]
    models += [("de", "model0", "architecture0"), ("de", "nameless", "")]
    trials = [
        Trial(f"{language}/{model}/{number}", "a.wav", "spoof", facts={"language": language, "attack": model} | named)
        for language, model, architecture in models
        for number in range(25)
        for named in [{"architecture": architecture} if architecture else {}]
    ]
    train, dev = split(trials)
    # architecture0, 1, 10, 11, 2, 3, ..., 9, nameless
    of_dev = {"architecture0", "architecture3", "architecture8"}
    assert {trial.facts["architecture"] for trial in dev} == of_dev
    assert set(Counter((trial.facts["language"], trial.facts["attack"]) for trial in dev).values()) == {20}
    assert len(dev) == 20 * 7
    assert train == [trial for trial in trials if trial.facts.get("architecture") not in of_dev]


def test_the_published_configuration() -> None:
    config = composed("experiments/prosody/config/paper.yaml")
    expected = {
        "task.max_samples": 64_000, "task.padding": "zero", "task.balanced_batches": True, "task.rawboost_algorithm": 0,
        "dataset.batch_size": 16, "optimization.max_update": 50 * 500, "checkpoint.save_interval_updates": 500,
        "optimization.lr": [1e-4], "optimizer.weight_decay": 1e-5, "optimization.clip_norm": 3.0,
        "criterion.adversarial_lambda": 0.1,
    }  # fmt: skip
    assert {key: OmegaConf.select(config, key) for key in expected} == expected
