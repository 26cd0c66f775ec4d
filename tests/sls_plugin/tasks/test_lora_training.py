"""Training with `--lora-rank` as a user runs it: the backbone stays as pre-trained, and the checkpoint alone is scored."""

from pathlib import Path

import numpy as np
import pytest
import torch
from commands import RECIPE, column, fairseq, logged
from ways_to_score import ways_to_score

from fairseq_ckpt import CheckpointError
from sls_plugin.inference.load import load_detector
from sls_plugin.modules.lora import adapters

LORA = ("--lora-rank", "2")


@pytest.fixture(scope="module")
def trained(data: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lora")
    arguments = (str(data), *RECIPE, *LORA, "--w2v-path", str(backbone), "--save-dir", str(folder))
    fairseq("train", *arguments, "--max-epoch", "2")
    return folder / "checkpoint_last.pt"


def test_the_backbone_stays_as_pretrained(trained: Path, backbone: Path) -> None:
    pretrained = torch.load(backbone, weights_only=False)["model"]
    tensors = torch.load(trained, weights_only=False)["model"]
    prefix = "ssl_model.model."
    kept = {
        name.removeprefix(prefix).replace("parametrizations.weight.original", "weight"): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix) and ".weight.0." not in name
    }
    assert kept.keys() == pretrained.keys()
    assert all(torch.equal(kept[name], pretrained[name]) for name in pretrained)
    ups = [tensor for name, tensor in tensors.items() if name.endswith("weight.0.up")]
    assert len(ups) == 2 * 2  # layers, queries and values
    assert all(tensor.abs().max() > 0 for tensor in ups)


def test_every_way_to_score_gives_the_same(trained: Path, data: Path, tmp_path: Path) -> None:
    """`fairseq-generate` computes with the adapters, the others with merged weights."""
    assert not list(adapters(load_detector(trained).model))
    others = ways_to_score(trained, data, tmp_path)
    expected = next(others)
    assert np.std(expected) > 1e-3
    for scores, tolerance in zip(others, (1e-5, 1e-5, 1e-4), strict=True):
        assert scores == pytest.approx(expected, abs=tolerance)


def test_a_resumed_training_is_one_that_never_stopped(trained: Path, data: Path, backbone: Path, tmp_path: Path) -> None:
    arguments = (str(data), *RECIPE, *LORA, "--w2v-path", str(backbone), "--max-epoch", "3")
    fairseq("train", *arguments, "--save-dir", str(tmp_path / "whole"))
    resumed = logged(fairseq("train", *arguments, "--restore-file", str(trained), "--save-dir", str(tmp_path / "resumed")))
    assert len(column(resumed, "train_loss")) == 1
    states = [torch.load(tmp_path / run / "checkpoint_last.pt", weights_only=False)["model"] for run in ("whole", "resumed")]
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, rtol=1e-5, atol=1e-6, msg=name)


def test_a_file_that_names_another_rank_than_it_holds(trained: Path, tmp_path: Path) -> None:
    for rank in (0, 1, 1_000_000_000):
        content = torch.load(trained, weights_only=False)
        content["cfg"]["model"]["lora_rank"] = rank
        torch.save(content, tmp_path / "other.pt")
        with pytest.raises(CheckpointError, match=r"other\.pt: its (settings|tensors) .*: name another file$"):
            load_detector(tmp_path / "other.pt")
