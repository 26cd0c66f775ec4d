"""`${updates:E}` in a configuration: the updates of E epochs, computed from the size of the manifest."""

import pytest
from configurations import composed, make_manifest
from omegaconf import OmegaConf

from protocols import DataError


@pytest.mark.parametrize(
    ("name", "override", "n_trials", "expected"),
    [
        ("experiments/aasist/config/aasist.yaml", "common.log_interval=1", 25_380, {"optimization.max_update": 105_800}),
        ("experiments/aasist/config/rawnet2.yaml", "optimization.max_epoch=3", 48, {"optimization.max_update": 6}),
        (
            "experiments/two_stage/config/paper.yaml",
            "dataset.batch_size=5",
            101,
            {"lr_scheduler.warmup_updates": 6, "lr_scheduler.total_num_update": 3 * 21},  # three tenths of 21 updates, cut off
        ),
    ],
)
def test_updates_of_the_manifest(name, override, n_trials, expected, tmp_path) -> None:
    make_manifest(tmp_path / "train.tsv", n_trials)
    config = composed(name, override, data=tmp_path)
    assert {key: OmegaConf.select(config, key) for key in expected} == expected


def test_the_trials_of_joined_manifests_are_added(tmp_path) -> None:
    make_manifest(tmp_path / "a.tsv", 20)
    make_manifest(tmp_path / "b.tsv", 5)
    overrides = ("dataset.train_subset=a+b", "optimization.max_epoch=2")
    config = composed("experiments/aasist/config/aasist.yaml", *overrides, data=tmp_path)
    assert config.optimization.max_update == 4


def test_a_missing_manifest_is_reported_in_one_line(tmp_path) -> None:
    with pytest.raises(DataError, match=r"train\.tsv: no such manifest: start with stage 1$"):
        composed("experiments/aasist/config/aasist.yaml", data=tmp_path)


def test_an_unknown_interpolation_is_reported_in_one_line() -> None:
    with pytest.raises(DataError, match="log_intervall") as problem:
        composed("experiments/sls/config/paper.yaml", "optimization.max_update=${common.log_intervall}")
    assert "\n" not in str(problem.value)
