"""Checkpoints that someone made to run code, to read other files or to take all memory: each is refused in one line."""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from made_checkpoints import NARROW, TINY, aasist_tensors, reference_sls
from omegaconf import OmegaConf
from safetensors.torch import save_file

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.__main__ import main
from fairseq_ckpt.averaging import average
from fairseq_ckpt.checkpoint import MAX_TENSORS, read
from fairseq_ckpt.conversion import convert
from fairseq_ckpt.detector import read_detector, read_for_fairseq
from fairseq_ckpt.inspection import inspect
from fairseq_ckpt.pretrained import read_xlsr
from fairseq_ckpt.settings import plain_settings
from fairseq_ckpt.verification import verify
from fairseq_ckpt.wav2vec.backbone import build_backbone

TASK = {"_name": "asvspoof", "data": "", "max_samples": 64_600, "padding": "tile"}
AASIST = {"_name": "aasist", "encoder_channels": 64}


def saved(path: Path, model: dict, task: dict = TASK, tensors: dict | None = None, **sections: Any) -> Path:
    """A detector of this project, with these settings; by default an AASIST."""
    config = {"task": task, "model": model} | sections
    tensors = aasist_tensors() if tensors is None else tensors
    if path.suffix == ".safetensors":
        save_file(tensors, path, {"cfg": json.dumps(config)})
    else:
        torch.save({"cfg": config, "model": tensors}, path)
    return path


def refusal(path: Path, use: Callable[[Path], Any] = read_detector) -> str:
    with pytest.raises(CheckpointError) as error:
        use(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message


EVERY_USE = {
    "score": read_detector,
    "fairseq": read_for_fairseq,
    "inspect": inspect,
    "verify": verify,
    "convert": lambda path: convert(path, path.with_name("out"), "fairseq"),
    "average": lambda path: average([path], path.with_name("out")),
}


def test_the_plain_file_is_read(tmp_path: Path) -> None:
    """What the tests below change."""
    path = saved(tmp_path / "a.pt", AASIST)
    assert read_detector(path).config == {"task": TASK, "model": AASIST}
    for use in EVERY_USE.values():
        use(path)


# Settings that would be evaluated


@pytest.mark.parametrize("use", EVERY_USE)
@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_a_name_that_changes_between_check_and_use(tmp_path: Path, name: str, use: str) -> None:
    """`aasist` for the check; for fairseq, which removes settings that it does not know, a model that evaluates Python."""
    model = AASIST | {"_name": "${oc.select:task.x,fconv}", "encoder_layers": "open('trace', 'w')"}
    path = saved(tmp_path / name, model, TASK | {"x": "aasist"})
    assert "model._name in its configuration is an interpolation" in refusal(path, EVERY_USE[use])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "settings",
    [
        {"task": TASK | {"padding": "${oc.env:HOME}"}},
        {"criterion": {"_name": "${oc.select:task.x,ctc}", "wer_args": "open('trace', 'w')"}},
        {"model": AASIST | {"deep": [{"er": ("a", ["text ${task.x}"])}]}},
        {"model": AASIST | {"${task.x}": 1}},
    ],
)
def test_interpolations_anywhere(tmp_path: Path, settings: dict) -> None:
    path = saved(tmp_path / "a.pt", **({"model": AASIST} | settings))
    assert "interpolation (${...}): do not trust this file" in refusal(path)


def test_interpolations_in_what_old_fairseq_wrote(tmp_path: Path) -> None:
    config = OmegaConf.create({"task": TASK | {"padding": "${oc.env:HOME}"}, "model": AASIST})
    flat = argparse.Namespace(arch="wav2vec2", data="${oc.env:HOME}")
    for content in ({"cfg": config}, {"args": flat, "cfg": None}, {"args": flat, "cfg": {"model": {"_name": "wav2vec2"}}}):
        torch.save(content | {"model": aasist_tensors()}, tmp_path / "a.pt")
        for use in (read_detector, read_for_fairseq, read_xlsr):
            assert "is an interpolation" in refusal(tmp_path / "a.pt", use)


def test_interpolations_in_a_configuration_of_hugging_face(tiny_checkpoint: Path, tmp_path: Path) -> None:
    convert(tiny_checkpoint, tmp_path / "hf", "huggingface")
    path = tmp_path / "hf" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"hidden_dropout": "${oc.env:HOME}"}))
    with pytest.raises(CheckpointError, match=r"config\.json: hidden_dropout in its configuration is an interpolation"):
        read_xlsr(tmp_path / "hf")
    with pytest.raises(CheckpointError, match="dropout in its configuration is an interpolation"):
        build_backbone(TINY | {"dropout": "${oc.env:HOME}"}, "the test")


@pytest.mark.parametrize("name", ["fconv", "wav2vec2", "", None, 3, ["aasist"], {"aasist": 1}])
def test_only_models_of_this_project(tmp_path: Path, name: object) -> None:
    for use in (read_detector, read_for_fairseq):
        message = refusal(saved(tmp_path / "a.pt", AASIST | {"_name": name}), use)
        assert "asks for a model that is not this project's" in message


@pytest.mark.parametrize("text", ["\x1b[2J", "two\nlines", "\u202egnp.x", "\x9b31m", "\x00"])
def test_texts_cannot_write_to_the_terminal(tmp_path: Path, text: str) -> None:
    for settings in ({"model": AASIST | {"_name": text}}, {"model": AASIST | {text: 1}}, {"model": AASIST, "x": [{"y": text}]}):
        for use in EVERY_USE.values():
            assert "control characters: do not trust this file" in refusal(saved(tmp_path / "a.pt", **settings), use)


# Values of the wrong type


@pytest.mark.parametrize("value", [-5, 0, True, 64_600.0, "64600", None, 10**9, [64_600]])
def test_lengths_that_are_none(tmp_path: Path, value: object) -> None:
    for changed in ({"task": TASK | {"max_samples": value}}, {"model": AASIST | {"max_samples": value}}):
        path = saved(tmp_path / "a.pt", **({"model": AASIST} | changed))
        assert f"max_samples is {value!r}, not a number of samples up to an hour" in refusal(path)


@pytest.mark.parametrize("value", ["reflect", 1, None, ["tile"]])
def test_padding_is_one_of_two(tmp_path: Path, value: object) -> None:
    assert f"padding is {value!r}" in refusal(saved(tmp_path / "a.pt", AASIST, TASK | {"padding": value}))


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, torch.zeros(2), 2**70, 1j, "x" * 200_000])
def test_settings_are_plain_values(tmp_path: Path, value: object) -> None:
    path = saved(tmp_path / "a.pt", AASIST | {"extra": value})
    assert "model.extra in its configuration is" in refusal(path) or "unpickling" in refusal(path)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(2, dtype=torch.int64),
        torch.ones(2, dtype=torch.bool),
        torch.ones(2, dtype=torch.complex64),
        torch.ones(2).to(torch.float8_e4m3fn),
        torch.ones(1).expand(2),
    ],
    ids=["integers", "booleans", "complex", "eight bits", "stride 0"],
)
def test_weights_are_real_numbers_in_the_file(tmp_path: Path, tensor: torch.Tensor) -> None:
    path = saved(tmp_path / "a.pt", AASIST, tensors=aasist_tensors() | {"out_layer.bias": tensor})
    for use in EVERY_USE.values():
        assert "it holds out_layer.bias beside 228 tensors" in refusal(path, use)


class Rebuilt:
    """Unpickled, a tensor of another size than its storage."""

    def __init__(self, n_values: int) -> None:
        self.n_values = n_values

    def __reduce__(self) -> tuple[Callable, tuple]:
        storage = torch.storage.TypedStorage(wrap_storage=torch.ones(2).untyped_storage(), dtype=torch.float32, _internal=True)
        return torch._utils._rebuild_tensor_v2, (storage, 0, (self.n_values,), (1,), False, {})


@pytest.mark.parametrize("new_format", [True, False])
def test_a_tensor_larger_than_its_file(tmp_path: Path, new_format: bool) -> None:
    content = aasist_tensors() | {"out_layer.bias": Rebuilt(10**6)}
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=new_format)
    refusal(tmp_path / "a.pt")


# Devices, pipes and other files


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Opening it would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_a_checkpoint_is_a_file(pipe: Path) -> None:
    for path in (pipe, Path("/dev/zero")):
        for use in (read_detector, read_for_fairseq, read_xlsr, verify):
            assert "a device or pipe, not a checkpoint" in refusal(path, use)


def test_a_configuration_of_hugging_face_is_a_file(tiny_checkpoint: Path, tmp_path: Path, pipe: Path) -> None:
    convert(tiny_checkpoint, tmp_path / "hf", "huggingface")
    (tmp_path / "hf" / "config.json").unlink()
    (tmp_path / "hf" / "config.json").symlink_to(pipe)
    with pytest.raises(CheckpointError, match=r"config\.json: not a file"):
        read_xlsr(tmp_path / "hf")


def test_a_checkpoint_opens_no_other_file(tmp_path: Path, pipe: Path) -> None:
    for number, settings in enumerate(
        (
            {"model": AASIST | {"w2v_path": str(pipe)}},
            {"model": AASIST | {"w2v_path": str(pipe), "w2v_args": None}},
            {"model": AASIST | {"w2v_path": str(pipe), "w2v_args": str(pipe)}},
            {"criterion": {"_name": "prosody_adversarial", "teacher_path": str(pipe)}},
            {"criterion": {"_name": "prosody_adversarial", "teacher_path": "/dev/zero"}},
        )
    ):
        path = saved(tmp_path / f"{number}.pt", **({"model": AASIST} | settings))
        for use in (read_detector, read_for_fairseq):
            assert any(word in refusal(path, use) for word in ("w2v_args", "teacher_path"))


# Small files that would take all memory or all time


def bomb(depth: int = 40) -> list:
    """A list of 2^depth numbers in a few hundred bytes."""
    shared: Any = [1]
    for _ in range(depth):
        shared = [shared, shared]
    return shared


def endless() -> list:
    """A list that contains itself."""
    shared: list = []
    shared.append(shared)
    return shared


def nested() -> list:
    shared: list = []
    for _ in range(100):
        shared = [shared]
    return shared


@pytest.mark.parametrize("make", [bomb, endless, nested])
def test_containers_that_unfold(tmp_path: Path, make: Callable) -> None:
    path = saved(tmp_path / "a.pt", AASIST | {"extra": make()})
    assert path.stat().st_size < 2_000_000
    assert "larger than that of any model" in refusal(path)
    flat = argparse.Namespace(extra=make())
    with pytest.raises(CheckpointError, match="larger than that of any model"):
        plain_settings(flat, "the test")


def test_containers_of_omegaconf_that_unfold() -> None:
    inner = OmegaConf.create({"a": 1})
    for _ in range(20):  # sharing nodes, as unpickling can
        outer = OmegaConf.create({})
        outer.__dict__["_content"] = {"a": inner, "b": inner}
        inner = outer
    with pytest.raises(CheckpointError, match="larger than that of any model"):
        plain_settings(inner, "the test")
    outer.__dict__["_content"] = 3
    assert plain_settings(outer, "the test") == 3  # no configuration, then
    del outer.__dict__["_content"]
    with pytest.raises(CheckpointError, match="is damaged"):
        plain_settings(outer, "the test")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("encoder_layers", 10**7),
        ("encoder_layers", "10000000"),
        ("encoder_layers", 1e7),
        ("encoder_embed_dim", 10**6),
        ("encoder_ffn_embed_dim", 10**9),
        ("conv_pos", 10**6),
        ("final_dim", 10**6),
        ("latent_vars", 10**8),
        ("latent_dim", 10**6),
        ("conv_feature_layers", "[(99999, 9999, 1)] * 7"),
        ("conv_feature_layers", "[(512, 10, 5)] * 99 + " * 60 + "[(512, 10, 5)]"),
        ("pos_conv_depth", 10**7),
        ("quantizer_depth", 10**7),
        ("adp_num", "10000000"),
        ("max_positions", 10**12),
    ],
)
def test_sizes_are_compared_with_the_tensors_before_anything_is_built(
    tmp_path: Path, tiny_checkpoint: Path, name: str, value: object
) -> None:
    content = torch.load(tiny_checkpoint)
    content["cfg"]["model"][name] = value
    torch.save(content, tmp_path / "a.pt")

    def build(path: Path) -> None:
        build_backbone(read_xlsr(path).config, path)

    assert name.split("_")[0] in refusal(tmp_path / "a.pt", build)


def test_sizes_of_a_detector(tmp_path: Path) -> None:
    tensors = dict(reference_sls().state_dict())
    sls = {"_name": "sls", "w2v_args": NARROW, "max_samples": 3920}
    task = TASK | {"max_samples": 3920}
    path = tmp_path / "a.pt"
    assert read_detector(saved(path, sls, task, tensors)).layout.name == "sls"
    assert "max_samples is 57600000, they allow" in refusal(saved(path, sls | {"max_samples": 57_600_000}, task, tensors))
    large = sls | {"w2v_args": NARROW | {"encoder_layers": 10**7}}
    assert "encoder_layers is 10000000" in refusal(saved(path, large, task, tensors))
    assert "encoder_layers is 10000000" in refusal(saved(path, large | {"pooling": "mean"}, task, tensors))
    del tensors["fc1.weight"]
    assert "its tensors do not fit its configuration (fc1.weight is missing)" in refusal(saved(path, sls, task, tensors))
    for value in (10**9, 65, True, "64"):
        message = refusal(saved(path, AASIST | {"encoder_channels": value}))
        assert f"encoder_channels is {value!r}, they allow 64" in message


def test_hundreds_of_thousands_of_tensors(tmp_path: Path) -> None:
    torch.save({f"encoder.layers.{number}.x": torch.zeros(0) for number in range(MAX_TENSORS + 1)}, tmp_path / "a.pt")
    assert "20,001 tensors, more than any model has" in refusal(tmp_path / "a.pt", read)


def test_conv_layers_of_a_file_to_be_converted(tiny_checkpoint: Path, tmp_path: Path) -> None:
    content = torch.load(tiny_checkpoint)
    content["cfg"]["model"]["conv_feature_layers"] = "[(32, 10, 5)] * 99999999999"
    torch.save(content, tmp_path / "a.pt")
    assert "conv_feature_layers" in refusal(tmp_path / "a.pt", lambda path: convert(path, tmp_path / "hf", "huggingface"))


# Messages


@pytest.mark.parametrize("name", ["\x1b[2J\x1b[31mfc.weight", "two\nlines", "\u202egnp.x", "x" * 10_000])
def test_names_cannot_write_to_the_terminal(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(aasist_tensors() | {name: torch.zeros(2)}, tmp_path / "a.pt")
    assert main(["verify", str(tmp_path / "a.pt")]) == 1
    message = capsys.readouterr().err.removesuffix("\n")
    assert message.isprintable()
    assert len(message) < 1000
