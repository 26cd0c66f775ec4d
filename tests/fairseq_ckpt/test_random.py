"""Random checkpoints: the published layout, names and sizes; the same seed, the same file; never half a file."""

import errno
import json
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from fairseq.checkpoint_utils import load_model_ensemble_and_task
from fairseq.dataclass.utils import merge_with_parent
from fairseq.models.wav2vec import Wav2Vec2Config, Wav2Vec2Model
from fairseq.tasks.audio_pretraining import AudioPretrainingConfig
from omegaconf import OmegaConf

from fairseq_ckpt import CheckpointError
from fairseq_ckpt import __main__ as command
from fairseq_ckpt.wav2vec.random_backbone import PRESETS, TINY, make_random


def read(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def test_the_layout_is_that_of_the_published_file(tiny_checkpoint: Path) -> None:
    checkpoint = read(tiny_checkpoint)
    assert checkpoint["args"] is None
    assert {"model", "task"} <= set(checkpoint["cfg"])
    assert checkpoint["cfg"]["model"]["_name"] == "wav2vec2"
    assert {"mask_emb", "quantizer.vars", "project_q.weight", "final_proj.weight"} <= set(checkpoint["model"])
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in checkpoint["model"].values())


def test_its_task_has_settings_that_this_fairseq_does_not_know(tiny_checkpoint: Path) -> None:
    assert set(read(tiny_checkpoint)["cfg"]["task"]) - set(AudioPretrainingConfig.__dataclass_fields__)


def test_fairseq_itself_reads_it(tiny_checkpoint: Path) -> None:
    load = getattr(load_model_ensemble_and_task, "__wrapped__", load_model_ensemble_and_task)  # without the plugin's repairs
    (model,), _, _ = load([str(tiny_checkpoint)])
    assert isinstance(model, Wav2Vec2Model)
    written = read(tiny_checkpoint)["model"]
    assert all(torch.equal(tensor, written[name]) for name, tensor in model.state_dict().items())


def test_the_true_size_has_the_published_names_and_shapes(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = backbone_without_values("300m", monkeypatch)
    expected = json.loads((shared / "reference" / "keys" / "xlsr300m.json").read_text())
    assert {name: list(tensor.shape) for name, tensor in model.state_dict().items()} == {
        name: entry["shape"] for name, entry in expected.items()
    }


def test_the_true_size_has_317_million_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    model = backbone_without_values("300m", monkeypatch)
    assert sum(parameter.numel() for parameter in model.parameters()) == 317_390_592


def test_the_tiny_one_has_the_published_parts_in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    def kinds(preset: str) -> set[str]:
        names = backbone_without_values(preset, monkeypatch).state_dict()
        return {name for name in names if not name.startswith("encoder.layers.") or name.startswith("encoder.layers.0.")}

    assert kinds("tiny") == kinds("300m")


def backbone_without_values(preset: str, monkeypatch: pytest.MonkeyPatch) -> Wav2Vec2Model:
    """A preset in names and shapes only."""
    # fairseq's initialisation copies through the CPU, which a tensor without values cannot do.
    monkeypatch.setattr("fairseq.models.wav2vec.wav2vec2.init_bert_params", lambda module: None)
    with torch.device("meta"):
        return Wav2Vec2Model(merge_with_parent(Wav2Vec2Config(), OmegaConf.create(PRESETS[preset])))


def test_the_seed_makes_the_weights_and_leaves_the_callers_generator_alone(tiny_checkpoint: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)
    expected = torch.rand(3)
    torch.manual_seed(99)
    make_random(TINY, tmp_path / "same.pt", seed=1)
    make_random(TINY, tmp_path / "other.pt", seed=2)
    assert torch.equal(torch.rand(3), expected)
    first, same, other = (read(path)["model"] for path in (tiny_checkpoint, tmp_path / "same.pt", tmp_path / "other.pt"))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["encoder.layers.0.fc1.weight"], other["encoder.layers.0.fc1.weight"])


def test_the_count_is_that_of_the_parameters(tmp_path: Path) -> None:
    n_parameters = make_random(TINY, tmp_path / "new folder" / "tiny.pt")
    assert n_parameters == sum(tensor.numel() for tensor in read(tmp_path / "new folder" / "tiny.pt")["model"].values())


def test_a_failure_leaves_the_old_file_whole_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tiny.pt"
    path.write_bytes(b"old")

    def write_half(checkpoint: dict[str, Any], target: BinaryIO) -> None:
        target.write(b"half")
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(torch, "save", write_half)
    with pytest.raises(CheckpointError, match=r"tiny\.pt: not written \(No space left on device\)"):
        make_random(TINY, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_command_writes_a_preset(tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tiny.pt"
    assert command.main(["make-random", "--preset", "tiny", str(path)]) == 0
    n_parameters = sum(tensor.numel() for tensor in read(path)["model"].values())
    assert f"{path}: {n_parameters:,} " in capsys.readouterr().out
    assert read(path)["model"].keys() == read(tiny_checkpoint)["model"].keys()


def test_the_command_offers_presets_only(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["make-random", "--preset", "huge", str(tmp_path / "huge.pt")])
