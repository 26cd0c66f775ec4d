"""`recipes/tools/averaging.py` and the checkpoints that training keeps for it: which epochs they are."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from protocols import DataError
from recipes.tools.averaging import as_published, improving_epochs, main
from recipes.tools.training import remove_checkpoints
from recipes.tools.training_log import add_record, best_epochs, read_log, validations

LOSSES = {1: 0.5, 2: 0.000412, 3: 0.4, 4: 0.000411, 5: None, 6: 0.000412, 7: 0.3}


def log_of(run: Path, losses: dict = LOSSES) -> Path:
    for epoch, loss in losses.items():
        add_record(run, {"split": "train", "epoch": epoch, "num_updates": 10 * epoch, "loss": 0.0})
        add_record(run, {"split": "dev", "epoch": epoch, "num_updates": 10 * epoch, "loss": loss})
    return run


def test_the_best_epochs_differ_beyond_three_decimals(tmp_path) -> None:
    """Ties go to the earlier epoch; a loss that is not a number never counts."""
    log = read_log(log_of(tmp_path))
    assert best_epochs(log, "loss", 5) == [4, 2, 6, 7, 3]
    assert best_epochs(log, "loss", 9) == [4, 2, 6, 7, 3, 1]
    assert improving_epochs(log, "loss") == [1, 2, 4]


def test_no_epoch_counts_before_the_first_that_is_good_enough(tmp_path) -> None:
    """AASIST's authors begin with 1 %: their own example takes epochs 4, 6, 7 and 8."""
    eers = dict(enumerate([0.06, 0.03, 0.02, 0.01, 0.012, 0.009, 0.009, 0.004], start=1))
    log = read_log(log_of(tmp_path, eers))
    assert improving_epochs(log, "loss") == [1, 2, 3, 4, 6, 7, 8]
    assert improving_epochs(log, "loss", at_most=0.01) == [4, 6, 7, 8]
    with pytest.raises(DataError, match=r"^no epoch reached loss 0\.001 on the development split: train longer, or raise"):
        improving_epochs(log, "loss", at_most=0.001)


def test_an_epoch_as_good_as_the_best_is_averaged_too(tmp_path) -> None:
    assert improving_epochs(read_log(log_of(tmp_path, {1: 0.2, 2: 0.2, 3: 0.3, 4: 0.1})), "loss") == [1, 2, 4]


def test_of_an_epoch_validated_again_the_latest_record_counts(tmp_path) -> None:
    log = read_log(log_of(log_of(tmp_path, {1: 0.5, 2: 0.1}), {2: 0.6, 3: 0.55}))
    assert [record["loss"] for record in validations(log)] == [0.5, 0.6, 0.55]
    assert best_epochs(log, "loss", 1) == [1]


def test_the_published_average_loses_the_best() -> None:
    """(2 best_1 + best_2 + best_3 + best_4) / 5, counted from 0."""
    assert as_published([4, 2, 6, 7, 3]) == [2, 2, 6, 7, 3]


def test_only_the_best_checkpoints_are_kept_and_the_one_being_written(tmp_path) -> None:
    run, settings = log_of(tmp_path), OmegaConf.create({"best_checkpoint_metric": "loss", "keep_best_checkpoints": 2})
    (run / "checkpoints").mkdir()
    others = {"checkpoint_best.pt", "checkpoint_last.pt", "checkpoint_1_500.pt"}
    for name in {*others, *(f"checkpoint{epoch}.pt" for epoch in LOSSES)}:
        (run / "checkpoints" / name).touch()
    remove_checkpoints(run, settings, but=7)
    assert {path.name for path in (run / "checkpoints").iterdir()} == others | {f"checkpoint{epoch}.pt" for epoch in (2, 4, 7)}
    remove_checkpoints(run, settings)
    assert {path.name for path in (run / "checkpoints").iterdir()} == others | {f"checkpoint{epoch}.pt" for epoch in (2, 4)}


@pytest.mark.parametrize(
    ("finished", "message"),
    [
        (False, "its training has not finished: resume it first"),
        (True, "6 epochs were validated, too few to average the 8 best: train longer"),
    ],
)
def test_too_few_epochs_are_reported_in_one_line(finished, message, tmp_path, capsys) -> None:
    run = log_of(tmp_path)
    (run / "training.yaml").write_text("checkpoint: {best_checkpoint_metric: loss, keep_best_checkpoints: 8}\n")
    if finished:
        add_record(run, {"event": "finished"})
    assert main([str(run), str(run / "average.pt")]) == 1
    assert capsys.readouterr().err == f"averaging.py: error: {run}: {message}\n"
    assert not (run / "average.pt").exists()


def test_the_configuration_says_how_many_epochs_are_averaged(tmp_path, capsys) -> None:
    run = log_of(tmp_path)
    (run / "training.yaml").write_text("checkpoint: {best_checkpoint_metric: loss}\n")
    add_record(run, {"event": "finished"})
    assert main([str(run), str(run / "average.pt")]) == 1
    assert "training.yaml: checkpoint.keep_best_checkpoints is not set" in capsys.readouterr().err
