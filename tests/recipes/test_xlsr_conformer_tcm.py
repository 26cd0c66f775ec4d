"""XLS-R + Conformer + TCM: the mean of the five epochs of lowest dev loss is scored."""

from pathlib import Path

import torch
from miniatures import COUNTS
from recipe_runs import SMALL, rows, run_recipe

from recipes.tools.training_log import best_epochs, read_log

N_EPOCHS = 6
TENSOR = "conformer.fc5.weight"


def test_the_five_best_epochs_are_averaged_and_scored(corpora: Path, backbone: Path, tmp_path: Path) -> None:
    arguments = ["--corpora", corpora, "--w2v-path", backbone, "--dest", tmp_path, "--tracks", "in-the-wild", "--config", "df"]
    run_recipe("train.sh", "xlsr_conformer_tcm", *arguments, "--", *SMALL, f"optimization.max_epoch={N_EPOCHS}")
    run = tmp_path / "seed1234"
    best = best_epochs(read_log(run), "loss", 5)
    states = [torch.load(run / "checkpoints" / f"checkpoint{epoch}.pt", weights_only=True)["model"] for epoch in best]
    averaged = torch.load(run / "average.pt", weights_only=True)["model"]
    expected = sum(state[TENSOR].double() for state in states) / 5
    torch.testing.assert_close(averaged[TENSOR].double(), expected, rtol=0, atol=1e-7)
    assert torch.equal(averaged["conformer.positional_emb"], states[0]["conformer.positional_emb"])  # was never trained
    assert [int(cell) for cell in rows(tmp_path)["in-the-wild", "seed1234"][3:5]] == list(COUNTS["in-the-wild"])
