"""Nes2Net-X: the mean of the five epochs of lowest dev EER is scored."""

from pathlib import Path

import torch
from miniatures import COUNTS
from recipe_runs import SMALL, rows, run_recipe

from fairseq_ckpt.fingerprint import file_sha256
from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random
from recipes.tools.training_log import best_epochs, read_log

N_EPOCHS = 6
TENSOR = "Nested_Res2Net_TDNN.fc.weight"


def test_the_five_best_epochs_are_averaged_and_scored(corpora: Path, tmp_path: Path) -> None:
    make_random(TINY | {"encoder_layers": 2, "encoder_embed_dim": 64, "encoder_ffn_embed_dim": 16}, tmp_path / "backbone.pt")
    dest = tmp_path / "out"
    arguments = ["--corpora", corpora, "--w2v-path", tmp_path / "backbone.pt", "--dest", dest, "--tracks", "in-the-wild"]
    run_recipe("train.sh", "xlsr_nes2net_x", *arguments, "--", *SMALL, f"optimization.max_epoch={N_EPOCHS}")
    run = dest / "seed12345"
    best = best_epochs(read_log(run), "eer", 5)
    states = [torch.load(run / "checkpoints" / f"checkpoint{epoch}.pt", weights_only=True)["model"] for epoch in best]
    expected = sum(state[TENSOR].double() for state in states) / 5
    averaged = torch.load(run / "average.pt", weights_only=True)["model"][TENSOR].double()
    torch.testing.assert_close(averaged, expected, rtol=0, atol=1e-7)
    assert [int(cell) for cell in rows(dest)["in-the-wild", "seed12345"][3:5]] == list(COUNTS["in-the-wild"])
    assert file_sha256(run / "average.pt") in (dest / "RESULTS.md").read_text()
