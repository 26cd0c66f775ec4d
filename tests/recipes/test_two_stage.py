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
    arguments += ["optimization.max_epoch=2", "dataset.batch_size=5", "lr_scheduler.total_num_update=${updates:2}"]
    arguments += ["lr_scheduler.warmup_updates=2", "model.freeze_below_layer=1", "checkpoint.no_epoch_checkpoints=false"]
    run_recipe("train.sh", "two_stage", *arguments)
    return dest / "seed1234", arguments


def test_a_row_for_the_track(finished) -> None:
    run, _ = finished
    assert [int(cell) for cell in rows(run.parent)["in-the-wild", "seed1234"][3:5]] == list(COUNTS["in-the-wild"])


def weights(run: Path, name: str) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / f"{name}.pt", weights_only=True)["model"]


def test_each_stage_trains_its_own_part(finished, backbone) -> None:
    run, _ = finished
    pretrained = torch.load(backbone, weights_only=False)["model"]
    first, second = weights(run / "head", "checkpoint_best"), weights(run, "checkpoint_last")
    for name, tensor in pretrained.items():
        assert torch.equal(first[f"ssl_model.model.{name}"], tensor), name
    changed = {name for name in first if not torch.equal(first[name], second[name])}
    upper = {name for name in first if name.startswith(BORDER)}
    assert {name for name in changed if not name.startswith(HEAD)} <= upper
    assert len(changed & upper) > len(upper) / 2  # keys' biases have no effect, and so no gradient
    assert any(name.startswith("classifier.") for name in changed)


def test_the_second_stage_starts_from_the_best_epoch_of_the_first(finished) -> None:
    run, _ = finished
    eers = [record["eer"] for record in read_log(run / "head") if record.get("split") == "dev"]
    best_epoch = 1 + eers.index(min(eers))
    best = weights(run / "head", "checkpoint_best")
    assert all(torch.equal(tensor, best[name]) for name, tensor in weights(run / "head", f"checkpoint{best_epoch}").items())
    path = run / "head" / "checkpoints" / "checkpoint_best.pt"
    assert f"loading pretrained model from {path}" in (run / "train.log").read_text()


def test_each_stage_has_its_own_learning_rate(finished) -> None:
    """A record has the rate of the next update: a rise over two updates, and a fall to 0 over six."""
    run, _ = finished
    for folder in (run / "head", run):
        rates = [record["lr"] for record in read_log(folder) if record.get("split") == "train_inner"]
        rise, fall = [0.5, 1], [1 - done / 6 for done in range(1, 7)]
        assert rates == pytest.approx([0.001 * part for part in rise + fall], rel=1e-3, abs=1e-12)


def test_a_second_run_repeats_nothing(finished) -> None:
    run, arguments = finished
    logs = [(folder / "train.jsonl").read_bytes() for folder in (run / "head", run)]
    printed = run_recipe("train.sh", "two_stage", "--stage", 2, *arguments)
    assert f"already done: {run / 'head'}\n" in printed
    assert f"already done: {run}\n" in printed
    assert "nothing left to do" in printed
    assert [(folder / "train.jsonl").read_bytes() for folder in (run / "head", run)] == logs


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("head", {"model.freeze_backbone": True, "optimization.lr": [5e-4], "lr_scheduler.warmup_updates": 2_380,
                  "lr_scheduler.total_num_update": 15 * 1_587, "optimization.max_epoch": 15}),
        ("paper", {"model.freeze_below_layer": 16, "optimization.lr": [2e-5], "lr_scheduler.warmup_updates": 476,
                   "lr_scheduler.total_num_update": 3 * 1_587, "optimization.max_epoch": 3}),
    ],
)  # fmt: skip
def test_the_published_configuration(tmp_path, config: str, expected: dict) -> None:
    make_manifest(tmp_path / "train.tsv", 25_380)
    composed_config = composed(f"experiments/two_stage/config/{config}.yaml", data=tmp_path)
    expected |= {
        "task.max_samples": 80_000, "task.padding": "zero_normalized", "task.rawboost_algorithm": 0, "model.normalize": None,
        "optimization.clip_norm": 1.0, "dataset.batch_size": 16, "criterion.class_weights": "balanced",
        "checkpoint.best_checkpoint_metric": "eer", "checkpoint.patience": 5, "optimizer._name": "adamw",
    }  # fmt: skip
    assert {key: OmegaConf.select(composed_config, key) for key in expected} == expected
