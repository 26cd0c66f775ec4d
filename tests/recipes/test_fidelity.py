"""The published settings, written down from the authors' code, against the experiments."""

from pathlib import Path

import pytest
from configurations import composed, make_manifest
from recipe_runs import ROOT

PAGE = (ROOT / "recipes" / "original" / "FIDELITY.md").read_text()
LINES = PAGE.partition("## What is equal")[0].splitlines()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in LINES if line.startswith("| `")]
EXPERIMENTS = ROOT / "recipes" / "experiments"
CONFIGS = {path.relative_to(EXPERIMENTS) for path in EXPERIMENTS.glob("*/config/*.yaml")}
OWN = {  # not the authors'
    "channels/paper", "sanity/tiny", "sanity/xlsr", "softmax_fusion/paper", "sls/v1", "sls/v2", "sls/v2_clean_validation",
    "xlsr_mhfa/frozen", "xlsr_mhfa/fine_tuned",
}  # fmt: skip


def test_every_published_configuration_has_a_row() -> None:
    assert {row[0].strip("`") for row in ROWS} | OWN == {f"{path.parts[0]}/{path.stem}" for path in CONFIGS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("`"))
def test_an_experiment_has_the_published_settings(row: list[str], tmp_path: Path) -> None:
    name, *published = row
    experiment, config = name.strip("`").split("/")
    make_manifest(tmp_path / "train.tsv", 40)
    overrides = ["criterion.teacher_path=/w.pt"] if experiment == "prosody" else []
    cfg = composed(f"experiments/{experiment}/config/{config}.yaml", *overrides, data=tmp_path)
    task = cfg.task
    ours = [cfg.dataset.batch_size, cfg.optimization.lr, cfg.optimizer.weight_decay, cfg.optimization.get("max_epoch", 0)]
    ours += [task.max_samples, task.crop, task.padding, task.rawboost_algorithm, cfg.criterion.get("class_weights", "")]
    batch, rates, decay, epochs, samples, crop, padding, algorithm, weights = published
    expected = [int(batch), [float(rate) for rate in rates.split(",")], float(decay), int(epochs), int(samples.replace(",", ""))]
    assert ours == [*expected, crop, padding, int(algorithm), weights]
