"""XLSR-Mamba: the mean of the five best epochs, and the mean that the authors' code computes."""

import json
from pathlib import Path

import pytest
import torch
from configurations import composed
from miniatures import COUNTS
from omegaconf import OmegaConf
from recipe_runs import SMALL, rows, run_recipe

from fairseq_ckpt.fingerprint import file_sha256
from recipes.tools.training_log import read_log
from sls_plugin.inference.load import load_detector

N_EPOCHS = 7
TENSOR = "conformer.classifier.weight"


@pytest.fixture(scope="module")
def finished(corpora: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list, list]:
    dest = tmp_path_factory.mktemp("xlsr mamba")
    options = ["--corpora", corpora, "--w2v-path", backbone, "--dest", dest]
    overrides = ["--", *SMALL, f"optimization.max_epoch={N_EPOCHS}", "model.mamba_layers=4"]
    run_recipe("train.sh", "xlsr_mamba", *options, "--tracks", "2019la,in-the-wild", *overrides)
    return dest, options, overrides


def best_five(run: Path) -> list[int]:
    losses = {record["epoch"]: record["loss_batch_mean"] for record in read_log(run) if record.get("split") == "dev"}
    assert sorted(losses) == list(range(1, N_EPOCHS + 1))
    return sorted(losses, key=lambda epoch: losses[epoch])[:5]


def mean(run: Path, epochs: list[int]) -> torch.Tensor:
    states = [torch.load(run / "checkpoints" / f"checkpoint{epoch}.pt", weights_only=True)["model"] for epoch in epochs]
    return sum(state[TENSOR].double() for state in states) / len(epochs)


def weights(path: Path) -> torch.Tensor:
    return torch.load(path, weights_only=True)["model"][TENSOR].double()


def test_rows_for_the_tracks(finished) -> None:
    dest, *_ = finished
    for track in ("2019la", "in-the-wild"):
        assert [int(cell) for cell in rows(dest)[track, "seed1234"][3:5]] == list(COUNTS[track])


def test_the_five_best_epochs_are_kept_and_averaged(finished) -> None:
    dest, *_ = finished
    run = dest / "seed1234"
    epochs = best_five(run)
    names = {f"checkpoint{epoch}.pt" for epoch in epochs} | {"checkpoint_best.pt", "checkpoint_last.pt"}
    assert {path.name for path in (run / "checkpoints").iterdir()} == names
    torch.testing.assert_close(weights(run / "average.pt"), mean(run, epochs), rtol=0, atol=1e-7)


def test_in_the_wild_is_scored_with_shorter_clips(finished) -> None:
    """The same weights, and 64,600 samples of each clip instead of those trained on."""
    dest, *_ = finished
    run = dest / "seed1234"
    for track, name, n_samples in (("2019la", "average.pt", 8_000), ("in-the-wild", "average_64600.pt", 64_600)):
        record = json.loads((run / "scores" / f"{track}.txt.run.json").read_text())
        assert record["checkpoint"] == file_sha256(run / name)
        assert load_detector(run / name).segment.n_samples == n_samples
    assert torch.equal(weights(run / "average.pt"), weights(run / "average_64600.pt"))


def test_the_published_average_beside_it_and_nothing_repeated(finished) -> None:
    """Without another training; the mean and its scores stay."""
    dest, options, overrides = finished
    run = dest / "seed1234"
    unchanged = [run / "train.jsonl", run / "average.pt", run / "scores" / "in-the-wild.txt", dest / "RESULTS.md"]
    before = [(path.stat().st_mtime_ns, path.read_bytes()) for path in unchanged]
    again = ["--stage", 2, "--averaging", "published", "--tracks", "in-the-wild"]
    printed = run_recipe("train.sh", "xlsr_mamba", *options, *again, *overrides)
    assert f"already done: {run}" in printed
    assert [(path.stat().st_mtime_ns, path.read_bytes()) for path in unchanged] == before
    _, second, *others = best_five(run)
    of_authors = dest / "published" / "seed1234"
    torch.testing.assert_close(weights(of_authors / "average.pt"), mean(run, [second, second, *others]), rtol=0, atol=1e-7)
    assert not torch.equal(weights(of_authors / "average.pt"), weights(run / "average.pt"))
    assert [int(cell) for cell in rows(dest / "published")["in-the-wild", "seed1234"][3:5]] == list(COUNTS["in-the-wild"])


def test_another_averaging_is_refused(tmp_path) -> None:
    printed = run_recipe("train.sh", "xlsr_mamba", "--dest", tmp_path, "--averaging", "median", status=2)
    assert "--averaging median: choose mean or published" in printed


@pytest.mark.parametrize(("name", "algorithm"), [("la", 5), ("df", 3)])
def test_the_published_configurations(name, algorithm) -> None:
    config = composed(f"experiments/xlsr_mamba/config/{name}.yaml")
    expected = {
        "task.max_samples": 66_800, "task.rawboost_algorithm": algorithm, "task.augment_validation": True,
        "dataset.batch_size": 20, "optimization.lr": [1e-6], "optimization.max_epoch": 75, "optimizer.weight_decay": 1e-4,
        "criterion.class_weights": "0.1,0.9", "checkpoint.best_checkpoint_metric": "loss_batch_mean",
        "dataset.batch_size_valid": 8, "checkpoint.patience": 7,
        "checkpoint.keep_best_checkpoints": 5,
    }  # fmt: skip
    assert {key: OmegaConf.select(config, key) for key in expected} == expected
