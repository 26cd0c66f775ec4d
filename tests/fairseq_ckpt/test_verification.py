"""Verification: what is wrong is named, what was never trained is named, and a sound file passes."""

from pathlib import Path

import pytest
import torch
from made_checkpoints import aasist_tensors, write_original_sls

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.fingerprint import file_sha256, tensors_sha256
from fairseq_ckpt.verification import Verdict, verify
from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random


def saved(path: Path, **changes: torch.Tensor | None) -> Path:
    """AASIST with some tensors changed or (None) left out; `_` stands for a dot."""
    tensors = aasist_tensors()
    for name in [name for name in tensors if name.endswith("num_batches_tracked")]:
        tensors[name] += 100
    tensors |= {name.replace("__", "."): tensor for name, tensor in changes.items()}
    torch.save({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)
    return path


def trained_notes(verdict: Verdict) -> dict[str, list[str]]:
    return {kind: names for kind, names in verdict.notes.items() if not kind.startswith("never trained")}


def test_a_sound_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth")
    verdict = verify(path, file_sha256(path).upper())
    assert verdict.problems == []
    assert trained_notes(verdict) == {}
    assert verdict.tensors_sha256 == tensors_sha256(torch.load(path))


@pytest.mark.parametrize("name", ["AASIST", "AASIST-L", "AASIST-asvspoof5"])
def test_published_weights_are_sound(shared: Path, name: str) -> None:
    verdict = verify(shared / "data" / "weights" / f"{name}.pth")
    assert verdict.problems == []
    assert trained_notes(verdict) == {}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"pos_S": None}, "pos_S is missing"),
        ({"more": torch.zeros(2)}, "more is not part of it"),
        ({"out_layer__bias": torch.zeros(3)}, "out_layer.bias is 3, not 2"),
        ({"out_layer__bias": torch.tensor([float("nan"), 1.0])}, "out_layer.bias has 1 values that are NaN or infinite"),
        ({"out_layer__bias": torch.tensor([float("inf"), float("-inf")])}, "out_layer.bias has 2 values that are NaN"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict, problem: str) -> None:
    verdict = verify(saved(tmp_path / "a.pth", **changes))
    assert len(verdict.problems) == 1
    assert problem in verdict.problems[0]


def test_another_hash(tmp_path: Path) -> None:
    assert verify(saved(tmp_path / "a.pth"), "0" * 64).problems == ["its SHA-256 is another one: fetch the file again"]


def test_a_flipped_bit_in_a_weight(tmp_path: Path) -> None:
    """It gives another finite number: only the archive's own checksum shows it."""
    path = saved(tmp_path / "a.pth")
    content = bytearray(path.read_bytes())
    weight = torch.load(path)["out_layer.weight"].numpy().tobytes()
    content[content.index(weight) + 1] ^= 1
    path.write_bytes(content)
    (problem,) = verify(path).problems
    assert "is damaged: fetch the file again" in problem


def test_what_was_never_trained_is_named(tmp_path: Path) -> None:
    changes = {
        "out_layer__weight": torch.zeros(2, 160),
        "GAT_layer_S__bn__weight": torch.ones(64),
        "GAT_layer_S__bn__bias": torch.zeros(64),
        "first_bn__num_batches_tracked": torch.tensor(0),
        "encoder__0__0__bn2__weight": torch.ones(32),  # its bias has moved
    }
    verdict = verify(saved(tmp_path / "a.pth", **changes))
    assert verdict.problems == []
    assert trained_notes(verdict) == {
        "dead: all its values are the same": ["out_layer"],
        "as it was before training: weights 1, biases 0": ["GAT_layer_S.bn"],
        "never saw a batch in training": ["first_bn"],
    }


def test_what_a_model_does_not_use_is_told_apart(tmp_path: Path) -> None:
    write_original_sls(tmp_path / "a.pth")
    names = verify(tmp_path / "a.pth").notes["never trained, as sls does not use it"]
    backbone = "ssl_model.model."
    assert {name.removeprefix(backbone) for name in names} == {
        "mask_emb", "encoder.layer_norm", "quantizer.vars", "quantizer.weight_proj", "project_q", "final_proj",
    }  # fmt: skip


def test_a_random_network_shows_that_it_is_one(tmp_path: Path) -> None:
    make_random(TINY, tmp_path / "a.pt")
    assert "encoder.layer_norm" in verify(tmp_path / "a.pt").notes["as it was before training: weights 1, biases 0"]


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_text("<html>")
    with pytest.raises(CheckpointError, match="a web page"):
        verify(tmp_path / "a.pt")


def test_the_hash_of_tensors_sees_names_types_shapes_and_bits() -> None:
    tensor = torch.arange(4.0)
    hashes = [
        tensors_sha256(tensors)
        for tensors in (
            {"a": tensor}, {"b": tensor}, {"a": tensor.view(2, 2)}, {"a": tensor.view(torch.int32)}, {"a": -tensor},
            {"a": tensor, "b": tensor},
        )
    ]  # fmt: skip
    assert len(set(hashes)) == len(hashes)
    assert tensors_sha256({"b": tensor, "a": -tensor}) == tensors_sha256({"a": -tensor, "b": tensor})
    turned = torch.arange(6.0).view(2, 3).T
    assert tensors_sha256({"a": turned}) == tensors_sha256({"a": turned.contiguous()})
