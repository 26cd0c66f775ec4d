"""Softmax fusion of all hidden states."""

import csv
from pathlib import Path

import pytest
import torch
from miniatures import COUNTS
from recipe_runs import SMALL, rows, run_recipe

from recipes.tools.training_log import read_log

N_EPOCHS = 2


@pytest.fixture(scope="module")
def finished(corpora: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list]:
    dest = tmp_path_factory.mktemp("softmax fusion")
    arguments = ["--corpora", corpora, "--w2v-path", backbone, "--dest", dest, "--tracks", "in-the-wild", "--", *SMALL]
    arguments += [f"optimization.max_epoch={N_EPOCHS}"]
    run_recipe("train.sh", "softmax_fusion", *arguments)
    return dest, arguments


@pytest.fixture(scope="module")
def checkpoint(finished) -> dict:
    dest, _ = finished
    return torch.load(dest / "seed1234" / "checkpoints" / "checkpoint_last.pt", weights_only=False)


def test_a_row_for_the_track(finished) -> None:
    dest, _ = finished
    assert [int(cell) for cell in rows(dest)["in-the-wild", "seed1234"][3:5]] == list(COUNTS["in-the-wild"])


def test_four_batches_make_an_update(finished) -> None:
    dest, _ = finished
    updates = [record for record in read_log(dest / "seed1234") if record.get("split") == "train_inner"]
    assert [record["num_updates"] for record in updates] == [1, 2]  # of 20 clips, five at a time
    assert all(record["bsz"] == 20 for record in updates)
    assert updates[0]["lr"] == pytest.approx(0.0005)  # half-way along the cosine


def test_class_weights_come_from_the_data(checkpoint) -> None:
    weights = [float(weight) for weight in checkpoint["cfg"]["criterion"]["class_weights"].split(",")]
    assert weights == pytest.approx([20 / (2 * 12), 20 / (2 * 8)])


def test_the_head_has_a_learning_rate_of_its_own(checkpoint) -> None:
    groups = checkpoint["last_optimizer_state"]["param_groups"]
    assert sorted(group["lr_scale"] for group in groups) == [1.0, 100.0]


def test_the_layer_weights_are_a_softmax_that_moves(finished, checkpoint) -> None:
    dest, _ = finished
    with open(dest / "seed1234" / "layers.tsv") as file:
        _, *lines = csv.reader(file, delimiter="\t")
    weights = torch.tensor([float(line[1]) for line in lines])
    assert len(weights) == 3  # two layers, and what enters the first
    assert weights.sum() == pytest.approx(1, abs=1e-4)
    assert (weights - 1 / 3).abs().max() > 0.001
    best = torch.load(dest / "seed1234" / "checkpoints" / "checkpoint_best.pt", weights_only=False)["model"]
    torch.testing.assert_close(weights, torch.softmax(best["hidden_state_weights"], 0), rtol=0, atol=1e-4)


def test_a_second_run_repeats_nothing(finished) -> None:
    dest, arguments = finished
    log = (dest / "seed1234" / "train.jsonl").read_bytes()
    printed = run_recipe("train.sh", "softmax_fusion", "--stage", 2, *arguments)
    assert f"already done: {dest / 'seed1234'}" in printed
    assert f"already done: {dest / 'seed1234' / 'layers.tsv'}" in printed
    assert "nothing left to do" in printed
    assert (dest / "seed1234" / "train.jsonl").read_bytes() == log
