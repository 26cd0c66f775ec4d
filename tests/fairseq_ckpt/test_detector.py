"""Reading a detector: once, and as one of three kinds: of this project, of the original authors, or none."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from made_checkpoints import aasist_tensors, synthetic, write_original_sls

from fairseq_ckpt import CheckpointError, reading
from fairseq_ckpt.conversion import convert
from fairseq_ckpt.detector import read_detector, read_for_fairseq
from fairseq_ckpt.fingerprint import tensors_sha256
from fairseq_ckpt.writing import write_pickled


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose content is read, as often as it is read; the reader names them by their descriptor."""
    names: list[str] = []

    def counted(function: Callable) -> Callable:
        def reader(path: Path, *args: object, **settings: object) -> object:
            names.append(Path(path).resolve().name)
            return function(path, *args, **settings)

        return reader

    monkeypatch.setattr(torch, "load", counted(torch.load))
    monkeypatch.setattr(reading, "safe_open", counted(reading.safe_open))
    return names


@pytest.fixture
def original(tmp_path: Path) -> Path:
    torch.save(aasist_tensors(), tmp_path / "AASIST.pth")
    return tmp_path / "AASIST.pth"


@pytest.mark.parametrize("read", [read_detector, read_for_fairseq])
@pytest.mark.parametrize("layout", ["original", "fairseq", "safetensors"])
def test_a_file_is_read_once(original: Path, reads: list[str], read: Callable, layout: str) -> None:
    path = original.with_name("converted")
    convert(original, path, layout)
    reads.clear()
    read(path)
    assert reads == ["converted"]


def test_conversion_reads_once(original: Path, tiny_checkpoint: Path, tmp_path: Path, reads: list[str]) -> None:
    convert(tiny_checkpoint, tmp_path / "hf", "huggingface")
    convert(tmp_path / "hf", tmp_path / "back.pt", "fairseq")
    assert reads == [tiny_checkpoint.name, "model.safetensors"]


def test_an_original(tmp_path: Path) -> None:
    write_original_sls(tmp_path / "epoch_2.pth", prefix="module.")
    detector = read_detector(tmp_path / "epoch_2.pth")
    assert (detector.path, detector.layout.name, detector.layout.title) == (tmp_path / "epoch_2.pth", "sls", "XLS-R + SLS")
    assert detector.config["task"]["max_samples"] == 3920
    assert "fc0.weight" in detector.tensors
    for_fairseq = read_for_fairseq(tmp_path / "epoch_2.pth")
    assert (for_fairseq["cfg"], for_fairseq["args"]) == (detector.config, None)
    assert tensors_sha256(for_fairseq["model"]) == tensors_sha256(detector.tensors)


def test_one_of_this_project(original: Path, tmp_path: Path) -> None:
    content = read_for_fairseq(original)
    content["cfg"]["model"]["joint_pool_ratio"] = 0.25
    write_pickled(content | {"extra_state": {"train_iterator": {"epoch": 3}}}, tmp_path / "checkpoint_best.pt")
    detector = read_detector(tmp_path / "checkpoint_best.pt")
    assert detector.layout.name == "aasist"
    assert detector.config == content["cfg"]
    assert read_for_fairseq(tmp_path / "checkpoint_best.pt")["extra_state"] == {"train_iterator": {"epoch": 3}}


def test_a_model_that_nobody_published(tmp_path: Path) -> None:
    task = {"_name": "asvspoof", "max_samples": 64_600, "padding": "tile"}
    for model in ({"_name": "xlsr_linear"}, {"_name": "sls", "pooling": "mean", "max_samples": 64_600}):
        write_pickled({"cfg": {"task": task, "model": model}, "model": synthetic({"fc.weight": (2, 3)})}, tmp_path / "a.pt")
        assert read_detector(tmp_path / "a.pt").layout is None


def test_what_is_no_detector(tiny_checkpoint: Path, tmp_path: Path) -> None:
    torch.save(torch.load(tiny_checkpoint)["model"], tmp_path / "a.pt")
    for read in (read_detector, read_for_fairseq):
        with pytest.raises(CheckpointError, match=r"not a detector trained with --task asvspoof \(XLS-R or wav2vec 2\.0"):
            read(tiny_checkpoint)
        with pytest.raises(CheckpointError, match="no detector that can be scored or trained further"):
            read(tmp_path / "a.pt")
