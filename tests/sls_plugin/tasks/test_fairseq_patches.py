"""The patches of fairseq: copies are atomic, and bad data is reported in one line."""

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fairseq import checkpoint_utils
from fairseq.file_io import PathManager
from fairseq.logging.progress_bar import BaseProgressBar
from omegaconf import OmegaConf
from torch import nn

from fairseq_ckpt import CheckpointError
from protocols import DataError
from sls_plugin.tasks.fairseq_logs import tidy_logs

# Copies


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("there_before", [True, False])
def test_a_copy_is_the_file_and_leaves_no_other(tmp_path: Path, there_before: bool) -> None:
    source, target = tmp_path / "checkpoint1.pt", tmp_path / "checkpoint_last.pt"
    source.write_bytes(b"new" * 1000)
    if there_before:
        target.write_bytes(b"old")
    assert PathManager.copy(str(source), str(target), overwrite=True)  # fairseq asserts that it is true
    assert target.read_bytes() == source.read_bytes()
    assert sorted(tmp_path.iterdir()) == [source, target]


@pytest.mark.usefixtures("patched")
def test_an_interrupted_copy_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "checkpoint1.pt", tmp_path / "checkpoint_last.pt"
    source.write_bytes(b"new" * 1000)
    target.write_bytes(b"old")

    def copy_half(source: str, target: str) -> None:
        content = Path(source).read_bytes()
        Path(target).write_bytes(content[: len(content) // 2])
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(shutil, "copyfile", copy_half)
        with pytest.raises(KeyboardInterrupt):
            PathManager.copy(str(source), str(target), overwrite=True)
    assert target.read_bytes() == b"old"
    # what is left of the first try is not in the way of the next
    PathManager.copy(str(source), str(target), overwrite=True)
    assert target.read_bytes() == source.read_bytes()
    assert sorted(tmp_path.iterdir()) == [source, target]


FULL_DISK = """
import sys, torch
from fairseq import checkpoint_utils
from fairseq import trainer
from fairseq.distributed import utils as distributed_utils
from fairseq.file_io import PathManager
from fairseq.logging.progress_bar import BaseProgressBar
from sls_plugin.tasks.fairseq_patches import patch_fairseq

patch_fairseq()
folder, what = sys.argv[1:]
if what == "write":
    checkpoint_utils.torch_persistent_save({"model": torch.zeros(100_000)}, f"{folder}/new.pt")
else:
    PathManager.copy(torch.functional.__file__, f"{folder}/new.pt", overwrite=True)  # 80 kB of text
"""


@pytest.mark.parametrize("what", ["write", "copy"])
def test_a_full_disk_is_reported_in_one_line_and_leaves_nothing(what: str, tmp_path: Path) -> None:
    small = 'mount -t tmpfs -o size=64k tmpfs "$0"'
    command = ["unshare", "-m", "sh", "-c"]
    if not shutil.which("unshare") or subprocess.run([*command, small, str(tmp_path)], capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root and unshare")
    script = f'{small}; "$1" -W ignore -c "$2" "$0" {what}; echo "status $?"; ls -A "$0"'
    outcome = subprocess.run([*command, script, str(tmp_path), sys.executable, FULL_DISK], capture_output=True, text=True)
    assert outcome.stdout == "status 1\n"
    assert outcome.stderr.startswith(f"error: {tmp_path}/new.pt: ")
    assert "No space left on device" in outcome.stderr
    assert outcome.stderr.count("\n") == 1


@pytest.mark.usefixtures("patched")
def test_an_old_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    source, target = tmp_path / "a.pt", tmp_path / "b.pt"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    with pytest.raises(FileExistsError, match=r"b\.pt"):
        PathManager.copy(str(source), str(target))
    assert target.read_bytes() == b"old"
    target.unlink()
    PathManager.copy(str(source), str(target))
    assert target.read_bytes() == b"new"


@pytest.mark.usefixtures("patched")
def test_a_missing_source_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "b.pt"
    target.write_bytes(b"old")
    with pytest.raises(FileNotFoundError):
        PathManager.copy(str(tmp_path / "a.pt"), str(target), overwrite=True)
    assert target.read_bytes() == b"old"


# Problems in one line

# A program as fairseq's commands are: the plugin installs its hook, then a worker process of the data loader meets bad data.
BAD_DATA_IN_A_WORKER = """
from torch.utils.data import DataLoader
from protocols import DataError
from sls_plugin.tasks.fairseq_patches import patch_fairseq

class Recordings:
    def __len__(self):
        return 4
    def __getitem__(self, index):
        raise DataError("eval/LA_E_1.flac: truncated: copy it again")

patch_fairseq()
list(DataLoader(Recordings(), num_workers=1))
"""


def test_bad_data_in_a_worker_of_the_data_loader() -> None:
    outcome = subprocess.run([sys.executable, "-W", "ignore", "-c", BAD_DATA_IN_A_WORKER], capture_output=True, text=True)
    assert outcome.returncode == 1
    assert outcome.stderr == "error: eval/LA_E_1.flac: truncated: copy it again\n"


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("kind", [DataError, CheckpointError])
def test_a_problem_with_data_or_a_checkpoint(kind: type[Exception], capsys: pytest.CaptureFixture[str]) -> None:
    error = kind("a.flac: truncated: copy it again")
    sys.excepthook(kind, error, None)
    assert capsys.readouterr().err == "error: a.flac: truncated: copy it again\n"


@pytest.mark.usefixtures("patched")
def test_a_checkpoint_of_another_model(capsys: pytest.CaptureFixture[str]) -> None:
    """Inside the error of its own that fairseq's trainer raises."""
    try:
        try:
            nn.Linear(2, 3).load_state_dict({"weight": torch.zeros(2, 2), "bias": torch.zeros(3)})
        except RuntimeError:
            message = "Cannot load model parameters from checkpoint a b/last.pt; please ensure that the architectures match."
            raise Exception(message)  # noqa: B904  (as fairseq does)
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
    printed = capsys.readouterr().err
    assert printed.startswith("error: a b/last.pt: its tensors are not those of the model (size mismatch for weight")
    assert printed.count("\n") == 1


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize(
    ("error", "printed"),
    [
        (FloatingPointError("gradients are Nan/Inf"), "error: gradients are Nan/Inf: training diverged: lower --lr\n"),
        (DataError("the loss is NaN"), "error: the loss is NaN\n"),
    ],
)
def test_a_training_that_diverged(error: Exception, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    sys.excepthook(type(error), error, None)
    assert capsys.readouterr().err == printed


@pytest.mark.usefixtures("patched")
def test_an_option_that_fairseq_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    cfg = OmegaConf.create(
        {"restore_file": "checkpoint_last.pt", "finetune_from_model": "a.pt", "reset_optimizer": True,
         "optimizer_overrides": "{}", "reset_lr_scheduler": False, "reset_meters": False, "reset_dataloader": False}
    )  # fmt: skip
    try:
        checkpoint_utils.load_checkpoint(cfg, None)
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    printed = capsys.readouterr().err
    assert printed.startswith("error: --finetune-from-model can not be set together with either --reset-optimizer")
    assert printed.count("\n") == 1


@pytest.mark.usefixtures("patched")
def test_other_errors_keep_their_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("a bug")
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback")
    assert "test_fairseq_patches.py" in printed
    assert printed.endswith("ValueError: a bug\n")


# Logs


def test_the_log_is_in_the_words_of_detection(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseProgressBar, "_str_pipes", BaseProgressBar._str_pipes)  # put back after the test
    tidy_logs()
    logger = logging.getLogger("fairseq_cli.generate")
    with caplog.at_level(logging.INFO):
        logger.info(OmegaConf.create({"common": {"seed": 1}}))
        logger.info(f"Translated {1270:,} sentences ({2:,} tokens) in {3:.1f}s ({4:.2f} sentences/s, {5:.2f} tokens/s)")
        logger.info("done")
    assert [record.getMessage() for record in caplog.records] == ["Scored 1,270 trials in 3.0s (4.00 trials/s)", "done"]
    line = BaseProgressBar([])._str_pipes({"eer": "0.1", "loss": "0.2", "layer_00": "0.5", "layer_23": "0.5", "wall": "3"})
    assert line == "eer 0.1 | loss 0.2 | wall 3"
