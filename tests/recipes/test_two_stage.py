"""Two-stage XLS-R: `recipes/two_stage`, the head first, then the topmost layers with it."""

from pathlib import Path

import pytest
import torch
from configurations import composed, make_manifest
from miniatures import COUNTS
from omegaconf import OmegaConf
from recipe_runs import SMALL, rows, run_recipe

from recipes.tools.training_log import read_log

BORDER = "ssl_model.model.encoder.layers.1."
HEAD = ("time_pooling.", "classifier.")


@pytest.fixture(scope="module")
def finished(corpora: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list]:
    """One epoch of each stage; the upper of two layers is trained in the second."""
    dest = tmp_path_factory.mktemp("two stages")
    arguments = ["--corpora", corpora, "--w2v-path", backbone, "--dest", dest, "--tracks", "in-the-wild", "--", *SMALL]
    arguments += ["optimization.lr=[0.01,0.001]", "optimization.max_epoch=2", "dataset.batch_size=5"]
    arguments += ["model.freeze_backbone_updates=${updates:1}", "model.freeze_below_layer=1"]
    arguments += ["checkpoint.no_epoch_checkpoints=false"]
    run_recipe("train.sh", "two_stage", *arguments)
    return dest, arguments


def test_a_row_for_the_track(finished) -> None:
    dest, _ = finished
    assert [int(cell) for cell in rows(dest)["in-the-wild", "seed1234"][3:5]] == list(COUNTS["in-the-wild"])


def test_each_stage_trains_its_own_part(finished, backbone) -> None:
    dest, _ = finished
    pretrained = torch.load(backbone, weights_only=False)["model"]
    checkpoints = dest / "seed1234" / "checkpoints"
    first, second = (torch.load(checkpoints / f"checkpoint{epoch}.pt", weights_only=True)["model"] for epoch in (1, 2))
    for name, tensor in pretrained.items():
        assert torch.equal(first[f"ssl_model.model.{name}"], tensor), name
    changed = {name for name in first if not torch.equal(first[name], second[name])}
    upper = {name for name in first if name.startswith(BORDER)}
    assert {name for name in changed if not name.startswith(HEAD)} <= upper
    assert len(changed & upper) > len(upper) / 2  # keys' biases have no effect, and so no gradient
    assert any(name.startswith("classifier.") for name in changed)


def test_each_stage_has_its_own_learning_rate(finished) -> None:
    """A record has the rate of the next update."""
    dest, _ = finished
    rates = [record["lr"] for record in read_log(dest / "seed1234") if record.get("split") == "train_inner"]
    fall = [1, 0.75, 0.5, 0.25]
    expected = [*(0.01 * part for part in fall), *(0.001 * part for part in fall), 0]
    assert rates == pytest.approx(expected[1:], rel=1e-3)


def test_a_second_run_repeats_nothing(finished) -> None:
    dest, arguments = finished
    log = (dest / "seed1234" / "train.jsonl").read_bytes()
    printed = run_recipe("train.sh", "two_stage", "--stage", 2, *arguments)
    assert f"already done: {dest / 'seed1234'}" in printed
    assert "nothing left to do" in printed
    assert (dest / "seed1234" / "train.jsonl").read_bytes() == log


def test_the_published_configuration(tmp_path) -> None:
    make_manifest(tmp_path / "train.tsv", 25_380)
    config = composed("experiments/two_stage/config/paper.yaml", data=tmp_path)
    expected = {
        "task.max_samples": 80_000, "task.padding": "zero_normalized", "task.rawboost_algorithm": 0, "model.normalize": None,
        "model.freeze_below_layer": 16, "model.freeze_backbone_updates": 15 * 1_587, "optimization.max_update": 18 * 1_587,
        "optimization.lr": [5e-4, 2e-5], "optimization.clip_norm": 1.0, "dataset.batch_size": 16,
        "criterion.class_weights": "balanced", "checkpoint.best_checkpoint_metric": "eer",
    }  # fmt: skip
    assert {key: OmegaConf.select(config, key) for key in expected} == expected
