"""XLS-R + MHFA: a frozen backbone stays as it was pre-trained, and the head alone learns."""

from pathlib import Path

import pytest
import torch
from miniatures import COUNTS
from recipe_runs import SMALL, rows, run_recipe


@pytest.mark.parametrize("config", ["frozen", "fine_tuned"])
def test_it_trains_and_scores(config: str, corpora: Path, backbone: Path, tmp_path: Path) -> None:
    arguments = ["--config", config, "--corpora", corpora, "--w2v-path", backbone, "--dest", tmp_path, "--tracks", "in-the-wild"]
    run_recipe("train.sh", "xlsr_mhfa", *arguments, "--", *SMALL, "optimization.max_epoch=2")
    assert [int(cell) for cell in rows(tmp_path)["in-the-wild", "seed1234"][3:5]] == list(COUNTS["in-the-wild"])
    trained = torch.load(tmp_path / "seed1234" / "checkpoints" / "checkpoint_best.pt", weights_only=False)["model"]
    pretrained = torch.load(backbone, weights_only=False)["model"]
    layers = [name for name in pretrained if name.startswith("encoder.layers.")]
    unchanged = [name for name in layers if torch.equal(trained[f"ssl_model.model.{name}"], pretrained[name])]
    assert (unchanged == layers) == (config == "frozen")
    assert (trained["mhfa.weights_k"] != 0).all()
