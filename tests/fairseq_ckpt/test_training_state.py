"""What fairseq resumes from: numbers of several processes and moving averages are taken, other objects are refused."""

from pathlib import Path

import pytest
import torch

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.training_state import training_state

CKPT = Path("a.pt")


def test_a_time_that_processes_have_summed_becomes_a_number() -> None:
    extra = {"train_iterator": {"epoch": 2}, "previous_training_time": torch.tensor(1.5)}
    assert training_state({"extra_state": extra}, CKPT) == {"extra_state": extra | {"previous_training_time": 1.5}}


def test_a_moving_average_is_taken_as_it_is() -> None:
    average = {"fc.weight": torch.ones(2, 3)}
    assert training_state({"extra_state": {"ema": average}}, CKPT)["extra_state"]["ema"] is average


@pytest.mark.parametrize(
    "extra",
    [{"ema": {"fc.weight": "text"}}, {"ema": [1]}, {"times": torch.ones(2)}, {"metrics": {"train": [(0, "a", "eval", {})]}}],
)
def test_what_training_does_not_write_is_refused(extra: dict) -> None:
    with pytest.raises(CheckpointError, match=r"^a\.pt: "):
        training_state({"extra_state": extra}, CKPT)
