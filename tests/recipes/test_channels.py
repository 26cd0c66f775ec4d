"""The experiment whose training clips pass channels."""

from pathlib import Path

import torch
from configurations import composed, make_manifest
from recipe_runs import SMALL, rows, run_recipe

from sls_plugin.data.augmentation.chain import parse_chain


def test_it_trains_and_scores(corpora: Path, backbone: Path, tmp_path: Path) -> None:
    arguments = ["--corpora", corpora, "--w2v-path", backbone, "--dest", tmp_path, "--tracks", "in-the-wild", "--", *SMALL]
    run_recipe("train.sh", "channels", *arguments, "optimization.max_epoch=1")
    assert ("in-the-wild", "seed1234") in rows(tmp_path)
    cfg = torch.load(tmp_path / "seed1234" / "checkpoints" / "checkpoint_best.pt", weights_only=False)["cfg"]
    assert "codec:mp3/opus" in cfg["task"]["augment"]
    assert not cfg["task"]["augment_validation"]


def test_its_chain_has_all_parts_and_needs_no_other_data(tmp_path: Path) -> None:
    make_manifest(tmp_path / "train.tsv", 40)
    chain = parse_chain(composed("experiments/channels/config/paper.yaml", data=tmp_path).task.augment)
    names = [type(link.channel).__name__ for link in chain.links]
    assert names == ["RawBoost", "Noise", "BandPass", "Clipping", "Codec", "PacketLoss", "Level"]
