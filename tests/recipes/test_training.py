"""`recipes/tools/training.py`: configurations, the batch on several GPUs, and what is refused."""

import math

import pytest
import torch
from configurations import composed
from omegaconf import OmegaConf
from recipe_runs import ROOT

from protocols import DataError, SettingError
from recipes.tools.training import batch_per_gpu, gpu_settings, require_known_settings, run_fingerprint
from recipes.tools.training_log import add_record, is_finished, parse_record, progress, read_log

SLS = ROOT / "recipes" / "experiments" / "sls" / "config"

PAPER = {
    "task.max_samples": 64_600, "task.crop": "start", "task.padding": "tile", "task.rawboost_algorithm": 3,
    "dataset.batch_size": 5, "criterion.class_weights": "0.1,0.9", "optimizer._name": "l2_adam", "optimizer.weight_decay": 1e-4,
    "optimizer.adam_betas": "(0.9, 0.999)", "optimization.lr": [1e-6], "optimization.max_epoch": 50,
    "lr_scheduler._name": "fixed", "checkpoint.best_checkpoint_metric": "train_loss_batch_mean", "checkpoint.patience": 1,
    "model._name": "sls",
}  # fmt: skip
ON_DEV_LOSS = {"checkpoint.best_checkpoint_metric": "loss_batch_mean", "checkpoint.patience": 10, "dataset.batch_size_valid": 5}


@pytest.mark.parametrize(
    ("name", "differences"),
    [
        ("paper", {}),
        ("v1", {}),
        ("v2", ON_DEV_LOSS | {"task.augment_validation": True}),
        ("v2_clean_validation", ON_DEV_LOSS | {"task.augment_validation": False}),
    ],
)
def test_the_published_configurations_of_sls(name, differences) -> None:
    config = composed(SLS / f"{name}.yaml")
    expected = PAPER | differences
    assert {key: OmegaConf.select(config, key) for key in expected} == expected
    require_known_settings(config)


def test_a_run_has_its_own_seed_files_and_folders(tmp_path) -> None:
    config = composed(SLS / "paper.yaml", "task.crop=random", "+model.freeze_backbone=true", run=tmp_path)
    assert (config.common.seed, config.model.w2v_path, config.task.data) == (7, "/xlsr2_300m.pt", "/data")
    assert (config.task.crop, config.model.freeze_backbone) == ("random", True)
    assert config.checkpoint.save_dir == str(tmp_path / "checkpoints")


def test_precisions() -> None:
    fp16 = composed(SLS / "paper.yaml", precision="fp16").common
    assert (fp16.fp16, fp16.fp16_no_flatten_grads, "bf16" in fp16) == (True, True, False)  # l2_adam cannot do with flat gradients
    assert composed(SLS / "paper.yaml", precision="bf16").common.bf16 is True
    assert not {"fp16", "bf16"} & composed(SLS / "paper.yaml").common.keys()


@pytest.mark.parametrize(
    ("batch_size", "n_gpus", "update_freq", "share"), [(5, 1, 1, 5), (5, 5, 1, 1), (14, 1, 2, 7), (24, 4, 3, 2)]
)
def test_the_batch_of_an_update_stays_that_of_the_configuration(batch_size, n_gpus, update_freq, share) -> None:
    assert batch_per_gpu(batch_size, n_gpus, update_freq) == share


@pytest.mark.parametrize(("batch_size", "n_gpus", "update_freq"), [(5, 2, 1), (5, 5, 2), (14, 4, 2), (2, 4, 1)])
def test_a_batch_that_cannot_be_shared_out_is_refused(batch_size, n_gpus, update_freq) -> None:
    with pytest.raises(
        DataError, match=f"a batch of {batch_size} cannot be divided by {n_gpus} GPUs x --update-freq {update_freq}"
    ):
        batch_per_gpu(batch_size, n_gpus, update_freq)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimization.max_epohc=3", r"optimization\.max_epohc: fairseq has no such setting"),
        ("optimisation.max_epoch=3", "optimisation: fairseq has no such section"),
    ],
)
def test_settings_that_fairseq_would_ignore_are_refused(override, message) -> None:
    with pytest.raises(DataError, match=message):
        require_known_settings(composed(SLS / "paper.yaml", override))


def test_an_override_without_a_value_is_refused_in_one_line() -> None:
    with pytest.raises(DataError, match=r"paper\.yaml: .*max_epoch") as problem:
        composed(SLS / "paper.yaml", "optimization.max_epoch")
    assert "\n" not in str(problem.value)


def test_the_fingerprint_depends_on_contents_and_not_on_paths(tmp_path) -> None:
    """A run may be resumed after a move and with more workers, but not with other data."""
    fingerprints = []
    for name, n_workers, content in (("one", 1, "same"), ("two", 8, "same"), ("three", 8, "other")):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("train.tsv", "dev.tsv", "xlsr.pt"):
            (folder / file).write_text(content)
        config = composed(SLS / "paper.yaml", f"dataset.num_workers={n_workers}", run=folder)
        config.task.data, files = str(folder), {"model.w2v_path": str(folder / "xlsr.pt")}
        OmegaConf.update(config, "model.w2v_path", files["model.w2v_path"])
        fingerprints.append(run_fingerprint(config, files))
    assert fingerprints[0] == fingerprints[1]
    differing = {key for key in fingerprints[1] if fingerprints[1][key] != fingerprints[2][key]}
    assert differing == {"train.tsv", "dev.tsv", "model.w2v_path"}


def test_missing_gpus_are_reported(monkeypatch) -> None:
    """fairseq would train with those that are visible, and so with another batch."""
    for name in ("SLURM_NNODES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert gpu_settings(4, 1) == []
    with pytest.raises(DataError, match="4 GPUs are visible, --gpus says 2"):
        gpu_settings(2, 1)
    with pytest.raises(SettingError, match="--nodes needs Slurm"):
        gpu_settings(4, 2)
    monkeypatch.setenv("SLURM_JOB_ID", "1234567")
    monkeypatch.setenv("SLURM_NNODES", "2")
    (port,) = gpu_settings(4, 2)
    assert 1024 < int(port.removeprefix("distributed_training.distributed_port=")) < 65_536
    with pytest.raises(DataError, match="Slurm gives 2 nodes, --nodes says 1"):
        gpu_settings(4, 1)


LINE = '[2026-11-21 10:25:27,024][dev][INFO] - {"epoch": 2, "dev_loss": "0.64", "dev_eer": "nan", "dev_num_updates": "24"}\n'


def test_a_line_of_the_log() -> None:
    record = parse_record(LINE)
    assert record == {"split": "dev", "epoch": 2, "loss": 0.64, "eer": None, "num_updates": 24}
    assert progress(record) == "epoch 2  dev loss 0.640000"
    assert progress(record | {"eer": 0.125}).endswith("EER 12.500 %")
    assert parse_record(LINE.replace('{"epoch": 2', '{"_name": 2')) is None
    assert parse_record("Traceback") is None
    assert math.isclose(parse_record(LINE.replace("0.64", "1e-06"))["loss"], 1e-6)


def test_a_record_that_a_crash_cut_off_is_left_out(tmp_path) -> None:
    assert read_log(tmp_path) == []
    add_record(tmp_path, {"event": "started"})
    with open(tmp_path / "train.jsonl", "a") as file:
        file.write('{"split": "dev", "lo')
    assert read_log(tmp_path) == [{"event": "started"}]
    add_record(tmp_path, {"event": "started"})
    add_record(tmp_path, {"event": "finished"})
    assert is_finished(read_log(tmp_path))
    assert [record["event"] for record in read_log(tmp_path)] == ["started", "started", "finished"]
