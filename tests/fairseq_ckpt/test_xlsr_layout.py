"""Reading XLS-R checkpoints: what is taken from them, and every kind of file that is refused in one line."""

import argparse
import io
import os
import pickle
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.pretrained import read_xlsr
from fairseq_ckpt.wav2vec.backbone import build_backbone


class Command:
    """Unpickled, it runs a shell command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable, tuple[str]]:
        return os.system, (self.command,)


def saved(content: Any, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **settings)
    return buffer.getvalue()


def changed(checkpoint: Path, path: Path, **model_settings: Any) -> Path:
    """The checkpoint with some settings of `cfg.model` changed."""
    content = torch.load(checkpoint)
    content["cfg"]["model"] |= model_settings
    torch.save(content, path)
    return path


def assert_refused(path: Path, *words: str) -> str:
    """One line that begins with the path and holds each of the words."""
    with pytest.raises(CheckpointError) as refusal:
        build_backbone(read_xlsr(path).config, path)
    message = str(refusal.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


# What is read


def test_configuration_and_tensors_are_those_of_the_file(tiny_checkpoint: Path) -> None:
    written = torch.load(tiny_checkpoint)
    backbone = read_xlsr(tiny_checkpoint)
    assert backbone.config == written["cfg"]["model"]
    assert backbone.weights.keys() == written["model"].keys()
    assert all(torch.equal(tensor, written["model"][name]) for name, tensor in backbone.weights.items())


def test_settings_that_this_fairseq_does_not_know_are_no_obstacle(tiny_checkpoint: Path, tmp_path: Path) -> None:
    path = changed(tiny_checkpoint, tmp_path / "new.pt", from_the_future={"depth": [1, 2]})
    assert read_xlsr(path).config["from_the_future"] == {"depth": [1, 2]}


def test_files_of_torch_before_1_6_are_read(tiny_checkpoint: Path, tmp_path: Path) -> None:
    written = torch.load(tiny_checkpoint)
    path = tmp_path / "old.pt"
    path.write_bytes(saved(written, _use_new_zipfile_serialization=False))
    assert not zipfile.is_zipfile(path)
    assert torch.equal(read_xlsr(path).weights["mask_emb"], written["model"]["mask_emb"])


def test_the_file_may_be_replaced_while_its_tensors_are_in_use(tiny_checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.pt"
    path.write_bytes(tiny_checkpoint.read_bytes())
    weights = read_xlsr(path).weights
    (tmp_path / "new").write_bytes(bytes(path.stat().st_size))
    os.replace(tmp_path / "new", path)
    assert torch.equal(weights["mask_emb"], torch.load(tiny_checkpoint)["model"]["mask_emb"])


def test_settings_that_old_versions_of_fairseq_wrote(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """`args`, a flat namespace of texts and numbers, and `cfg` in OmegaConf's containers."""
    content = torch.load(tiny_checkpoint)
    flat = argparse.Namespace(**(content["cfg"]["model"] | {"arch": "wav2vec2", "latent_temp": "(2,0.5,0.999995)", "lr": [1e-3]}))
    for change in ({"args": flat, "cfg": None}, {"cfg": OmegaConf.create(content["cfg"])}):
        torch.save(content | change, tmp_path / "old.pt")
        backbone = read_xlsr(tmp_path / "old.pt")
        build_backbone(backbone.config, "old.pt").load_state_dict(backbone.weights, strict=True)


# What is refused


def test_no_file(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none.pt", "no such checkpoint")
    assert_refused(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello\nworld\n",
        b"LA_0079 LA_T_1138215 - - bonafide\n" * 10,
        "Überlänge".encode(),
        b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 3808868242\n",
        bytes(1000),
        b"\x80\x02}q\x00.",
    ],
)
def test_files_that_hold_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    assert_refused(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_random_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    rng = random.Random(0)
    for head in (b"", b"\x80\x02", b"\x80\x02}", b"PK\x03\x04"):
        for _ in range(50):
            path.write_bytes(head + rng.randbytes(rng.randrange(1, 500)))
            assert_refused(path)


def test_a_download_that_broke_off(tiny_checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    content = tiny_checkpoint.read_bytes()
    for share in (0.001, 0.01, 0.1, 0.5, 0.9, 0.999):
        path.write_bytes(content[: int(share * len(content))])
        assert_refused(path)


def test_damaged_names_and_settings(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """A flipped byte in the pickle gives a backbone, perhaps of other names, or a refusal; never another error."""
    path = tmp_path / "a.pt"
    content = tiny_checkpoint.read_bytes()
    with zipfile.ZipFile(tiny_checkpoint) as archive:
        names = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    start = content.index(names)
    rng = random.Random(0)
    n_refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        damaged[start + rng.randrange(len(names))] ^= rng.randrange(1, 256)
        path.write_bytes(damaged)
        try:
            read_xlsr(path)
        except CheckpointError:
            assert_refused(path)
            n_refused += 1
    assert n_refused > 20


def test_archives_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<xml/>")
    assert_refused(path)
    with tarfile.open(path, "w") as archive:
        archive.add(__file__)
    assert_refused(path)


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        torch.zeros(3),
        {},
        {"model": {"mask_emb": torch.zeros(3)}},
        {"cfg": {"model": {}}},
        {"cfg": {"task": {}}, "model": {"mask_emb": torch.zeros(3)}},
        {"cfg": {"model": {}}, "model": {"encoder.weight": torch.zeros(3)}},
        {"cfg": None, "args": None, "model": {"mask_emb": torch.zeros(3)}},
        {"pos_S": torch.zeros(1, 23, 64), "encoder.0.0.conv1.weight": torch.zeros(32, 1, 2, 3)},
        {"module.ssl_model.model.mask_emb": torch.zeros(3)},
    ],
)
def test_checkpoints_of_another_layout(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "a.pt"
    torch.save(content, path)
    assert_refused(path)


def test_a_detector_of_other_authors(shared: Path) -> None:
    assert_refused(shared / "data" / "weights" / "AASIST.pth", "not an XLS-R checkpoint")


@pytest.mark.parametrize("save", [saved, lambda content: pickle.dumps(content, protocol=2)])
def test_a_file_that_would_run_a_command(tiny_checkpoint: Path, tmp_path: Path, save: Callable[[Any], bytes]) -> None:
    path, trace = tmp_path / "a.pt", tmp_path / "trace"
    path.write_bytes(save(torch.load(tiny_checkpoint) | {"extra_state": Command(f"touch {trace}")}))
    assert_refused(path)
    assert not trace.exists()


@pytest.mark.parametrize("save", [saved, pickle.dumps])
def test_the_command_of_these_tests_would_run(tmp_path: Path, save: Callable[[Any], bytes]) -> None:
    """What the test above sees refused is a real danger."""
    trace = tmp_path / "trace"
    content = io.BytesIO(save(Command(f"touch {trace}")))
    if save is saved:
        torch.load(content, weights_only=False)
    else:
        pickle.load(content)
    assert trace.exists()


@pytest.mark.parametrize(
    "layers",
    [
        "__import__('os').system('touch {trace}')",
        "[(512, 10, 5)] + [x for x in open('{trace}', 'w')]",
        "[(512, 10, 5)] if 1 else 0",
        "[(0x10, 10, 5)]",
        "[(512, 10, 5)]; 1",
        "[(512, 10, 5)]\n\x0c#",
    ],
)
def test_settings_that_are_code(tiny_checkpoint: Path, tmp_path: Path, layers: str) -> None:
    trace = tmp_path / "trace"
    path = changed(tiny_checkpoint, tmp_path / "a.pt", conv_feature_layers=layers.format(trace=trace))
    assert_refused(path, "conv_feature_layers")
    assert not trace.exists()


@pytest.mark.parametrize("layers", [None, 3, [[512, 10, 5]], b"[(512, 10, 5)]"])
def test_layers_that_are_not_text(tiny_checkpoint: Path, tmp_path: Path, layers: object) -> None:
    path = changed(tiny_checkpoint, tmp_path / "a.pt", conv_feature_layers=layers)
    if layers is None:
        assert read_xlsr(path).config["conv_feature_layers"] is None
    else:
        assert_refused(path, "conv_feature_layers")


@pytest.mark.parametrize("layers", ["[(32, 10, 5)] * 9**9**9", "[(32, 10, 5)] * 99999999999"])
def test_settings_that_would_take_all_memory(tiny_checkpoint: Path, tmp_path: Path, layers: str) -> None:
    assert_refused(changed(tiny_checkpoint, tmp_path / "a.pt", conv_feature_layers=layers), "conv_feature_layers")


def test_a_refusal_does_not_recommend_the_unsafe_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(pickle.dumps(Command("true"), protocol=2))
    assert "False" not in assert_refused(path)
