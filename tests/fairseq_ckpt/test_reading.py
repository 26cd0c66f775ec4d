"""Reading any file: what is plain data is read, everything else is refused in one line and nothing of it runs."""

import argparse
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fairseq.data.text_compressor import TextCompressionLevel
from made_checkpoints import synthetic
from omegaconf import OmegaConf
from safetensors.torch import save_file

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.checkpoint import plain_config
from fairseq_ckpt.reading import SAFE_GLOBALS, read_checkpoint

TENSORS = synthetic({"fc.weight": (3, 2), "fc.bias": (3,), "bn.num_batches_tracked": ()})


class Call:
    """Unpickled, it calls a function."""

    def __init__(self, function: Callable, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable, tuple]:
        return self.function, self.arguments


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        read_checkpoint(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


# What is read


@pytest.mark.parametrize("new_format", [True, False])
def test_files_of_any_age(tmp_path: Path, new_format: bool) -> None:
    torch.save(TENSORS, tmp_path / "a.pt", _use_new_zipfile_serialization=new_format)
    assert zipfile.is_zipfile(tmp_path / "a.pt") == new_format
    assert all(torch.equal(tensor, TENSORS[name]) for name, tensor in read_checkpoint(tmp_path / "a.pt").items())


def test_safetensors_whatever_the_name(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "a.pth")
    content = read_checkpoint(tmp_path / "a.pth")
    assert content.keys() == TENSORS.keys()
    assert all(torch.equal(tensor, TENSORS[name]) for name, tensor in content.items())


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_folders_of_hugging_face(tmp_path: Path, name: str) -> None:
    (save_file if name.endswith("safetensors") else torch.save)(TENSORS, tmp_path / name)
    assert read_checkpoint(tmp_path).keys() == TENSORS.keys()


def test_old_fairseq_keeps_its_options_in_a_namespace(tmp_path: Path) -> None:
    torch.save({"args": argparse.Namespace(arch="wav2vec2", encoder_layers=12), "model": TENSORS}, tmp_path / "a.pt")
    assert plain_config(read_checkpoint(tmp_path / "a.pt"), "a.pt") == {"model": {"arch": "wav2vec2", "encoder_layers": 12}}


def test_fairseq_once_kept_containers_of_omegaconf(tmp_path: Path) -> None:
    config = {"model": {"_name": "wav2vec2", "conv_pos": 128, "latent_temp": [2.0, 0.1, None]}, "task": {"normalize": True}}
    nested = config | {"old": argparse.Namespace(layers=[1, 2])}
    for flags in (None, {"allow_objects": True}):
        torch.save({"cfg": OmegaConf.create(config, flags=flags), "model": TENSORS}, tmp_path / "a.pt")
        assert plain_config(read_checkpoint(tmp_path / "a.pt"), "a.pt") == config
    torch.save({"cfg": OmegaConf.create(nested, flags={"allow_objects": True}), "model": TENSORS}, tmp_path / "a.pt")
    assert plain_config(read_checkpoint(tmp_path / "a.pt"), "a.pt") == config | {"old": {"layers": [1, 2]}}


def test_an_enum_is_read_as_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As Python pickles it; 3.11.0 to 3.11.3 call getattr instead, which is refused.
    monkeypatch.setattr(TextCompressionLevel, "__reduce_ex__", lambda self, _: (TextCompressionLevel, (self.value,)))
    torch.save({"cfg": {"task": {"text_compression_level": TextCompressionLevel.low}}, "model": TENSORS}, tmp_path / "a.pt")
    assert read_checkpoint(tmp_path / "a.pt")["cfg"]["task"]["text_compression_level"] == 1


@pytest.mark.parametrize("module", [b"numpy._core.multiarray", b"numpy.core.multiarray"])
def test_a_best_score_of_numpy(tmp_path: Path, module: bytes) -> None:
    content = pickle.dumps({"best": np.float64(0.25)}, protocol=2)
    assert b"numpy._core.multiarray\n" in content
    torch.save({}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        for name, part in parts.items():
            replaced = content.replace(b"numpy._core.multiarray\n", module + b"\n")
            archive.writestr(name, replaced if name.endswith("data.pkl") else part)
    assert read_checkpoint(tmp_path / "a.pt") == {"best": 0.25}


# What is refused


@pytest.mark.parametrize("new_format", [True, False])
def test_a_file_that_would_run_a_command(tmp_path: Path, new_format: bool) -> None:
    path, trace = tmp_path / "a.pth", tmp_path / "trace"
    content = TENSORS | {"extra": Call(os.system, f"touch {trace}")}
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    message = refusal(path)
    assert message == f"{path}: refused: unpickling it would run posix.system, which is not plain data: do not trust this file"
    assert not trace.exists()
    torch.load(path, weights_only=False)  # the danger is real
    assert trace.exists()


@pytest.mark.parametrize("function", [eval, exec, open, getattr, __import__, torch.load, Path.unlink, OmegaConf.load])
def test_no_other_function_can_be_called(tmp_path: Path, function: Callable) -> None:
    path = tmp_path / "a.pth"
    torch.save({"extra": Call(function, str(tmp_path / "trace"))}, path)
    refusal(path)


def test_what_is_safe_for_this_reader_stays_unsafe_for_others(tmp_path: Path) -> None:
    torch.save({"args": argparse.Namespace(a=1)}, tmp_path / "a.pt")
    read_checkpoint(tmp_path / "a.pt")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "a.pt")


def test_nothing_on_the_list_does_anything() -> None:
    """Classes that hold data, and numpy's maker of numbers; no function of the system, of files or of imports."""
    allowed = [entry[0] if isinstance(entry, tuple) else entry for entry in SAFE_GLOBALS]
    modules = {getattr(entry, "__module__", "typing").partition(".")[0] for entry in allowed}
    assert modules == {"argparse", "omegaconf", "typing", "builtins", "collections", "numpy"}
    functions = [entry for entry in allowed if not isinstance(entry, type) and entry is not Any]
    assert {function.__name__ for function in functions} == {"scalar"}


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>", b"\n  <html><body>Sign in</body>", b"<?xml version='1.0'?>"])
def test_a_web_page(tmp_path: Path, page: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(page)
    assert refusal(tmp_path / "a.pt").endswith("a web page, not a checkpoint: the download failed; fetch it again")


@pytest.mark.parametrize("save", [torch.save, save_file])
def test_a_file_cut_short(tmp_path: Path, save: Callable) -> None:
    save(TENSORS | {"large": torch.zeros(5000)}, tmp_path / "whole.pt")
    content = (tmp_path / "whole.pt").read_bytes()
    for share in (0.0, 0.01, 0.1, 0.5, 0.9, 0.999):
        (tmp_path / "a.pt").write_bytes(content[: int(share * len(content))])
        assert "fetch it again" in refusal(tmp_path / "a.pt")


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("word/document.xml", "<xml/>")
    assert "an archive that is not a checkpoint" in refusal(tmp_path / "a.pt")


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    assert "model.safetensors" in refusal(tmp_path)


def test_no_file(tmp_path: Path) -> None:
    assert "no such checkpoint" in refusal(tmp_path / "a.pt")


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), "text"])
def test_no_dictionary(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "a.pt")
    assert "not the dictionary of a checkpoint" in refusal(tmp_path / "a.pt")
