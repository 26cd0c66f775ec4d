"""The contract between backbones and heads, shown by a toy backbone: one file, and every head runs on it."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from detectors import backbone, build, in_half_precision, waveforms, write_detector
from fairseq.models import build_model
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.nn import functional as F

from protocols import DataError, SettingError
from sls_plugin.inference.load import load_detector
from sls_plugin.models import backbones
from sls_plugin.models.backbones import BACKBONES, Backbone, BackboneConfig, BackboneDetector, build_backbone

TOY = {"n_features": 64, "n_layers": 2}
N_SAMPLES = 4000
N_FRAMES = 98
HEADS = {
    "sls_xlsr_300m": (),
    "sls_xlsr_300m --layer-fusion softmax": ("--layer-fusion", "softmax", "--pooling", "attention"),
    "xlsr_aasist_300m": (),
    "xlsr_mamba_300m": ("--mamba-layers", "4", "--mamba-features", "8"),
    "xlsr_linear_300m": (),
    "xlsr_nes2net_x_300m": (),
    "xlsr_conformer_tcm_300m": (),
    "xlsr_mhfa_300m": ("--mhfa-heads", "2"),
}


@pytest.fixture(scope="module", autouse=True)
def toy_in_the_folder() -> Iterator[None]:
    """The toy's file as if it stood beside xlsr.py."""
    backbones.__path__.append(str(Path(__file__).parent))
    importlib.import_module("sls_plugin.models.backbones.toy")
    yield
    backbones.__path__.pop()
    del BACKBONES["toy"]


@pytest.fixture(scope="module")
def toy_checkpoint(toy_in_the_folder: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("toy") / "toy.pt"
    torch.save({"config": TOY, "weights": toy().state_dict()}, path)
    return path


def toy(**settings: Any) -> Backbone:
    return backbone(TOY, backbone="toy", **settings)


def detector(head: str, toy_checkpoint: Path, *options: str) -> BackboneDetector:
    arguments = ("--backbone", "toy", "--w2v-path", str(toy_checkpoint), "--max-samples", str(N_SAMPLES))
    return build(head.split()[0], *arguments, *HEADS[head], *options)


def trained(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


# Heads


@pytest.mark.parametrize("head", HEADS)
def test_every_head_runs_on_it_and_trains_it(head: str, toy_checkpoint: Path) -> None:
    model = detector(head, toy_checkpoint).train()
    assert type(model.ssl_model).__name__ == "Toy"
    output = model(waveforms(N_SAMPLES))
    assert output.shape == (2, 2)
    F.cross_entropy(output, torch.tensor([0, 1])).backward()
    received = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert received == trained(model)
    assert any(name.startswith("ssl_model.convolution.0.") for name in received)
    with pytest.raises(DataError, match="clips of 19 samples"):
        model(waveforms(19))


@pytest.mark.parametrize("head", HEADS)
def test_a_detectors_checkpoint_needs_no_file_of_the_backbone(head: str, toy_checkpoint: Path) -> None:
    model = detector(head, toy_checkpoint).eval()
    written = toy().state_dict()
    assert all(torch.equal(tensor, written[name]) for name, tensor in model.ssl_model.state_dict().items())
    cfg = OmegaConf.to_container(model.cfg, resolve=True, enum_to_str=True) | model.cfg_for_checkpoint()
    again = type(model).build_model(OmegaConf.create(cfg | {"w2v_path": "moved.pt", "max_samples": N_SAMPLES})).eval()
    again.load_state_dict(model.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(again(waveforms(N_SAMPLES)), model(waveforms(N_SAMPLES)))


@pytest.mark.parametrize("head", HEADS)
def test_a_detectors_checkpoint_is_scored(head: str, toy_checkpoint: Path, tmp_path: Path) -> None:
    options = ("--backbone", "toy", "--w2v-path", str(toy_checkpoint), *HEADS[head])
    model = write_detector(tmp_path / "detector.pt", head.split()[0], N_SAMPLES, *options).eval()
    loaded = load_detector(tmp_path / "detector.pt")
    with torch.no_grad():
        assert torch.equal(loaded.model(waveforms(N_SAMPLES)), model(waveforms(N_SAMPLES)))


@pytest.mark.parametrize("head", HEADS)
def test_its_weights_are_packed_by_itself(head: str, toy_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, packed = detector(head, toy_checkpoint), []
    model.pack_weights()  # nothing to do
    monkeypatch.setattr(BACKBONES["toy"], "pack_weights", lambda self: packed.append(self))
    model.pack_weights()
    assert packed == [model.ssl_model]


@pytest.mark.parametrize("head", HEADS)
def test_half_precision_gives_single_precision_outputs_close_by(head: str, toy_checkpoint: Path) -> None:
    model = detector(head, toy_checkpoint, "--normalize").eval()
    with torch.no_grad():
        expected = model(waveforms(N_SAMPLES))
        output = in_half_precision(model, torch.bfloat16, waveforms(N_SAMPLES))(waveforms(N_SAMPLES))
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, expected, rtol=0.2, atol=0.2)


# The contract


def test_frames_and_samples() -> None:
    model = toy()
    for n_samples in (90, 91, 129, 130, 4000):
        (first, *_) = model.layer_outputs(waveforms(n_samples))
        assert model.n_frames(n_samples) == len(first)
        assert model.min_samples(len(first)) <= n_samples < model.min_samples(len(first) + 1)
    assert model.min_samples(1) == 90


def test_states() -> None:
    model = toy().eval()
    clips = waveforms(N_SAMPLES)
    with torch.no_grad():
        entering = model.embed(clips)
        outputs, hidden, features = list(model.layer_outputs(clips)), list(model.hidden_states(clips)), model.features(clips)
    assert [tuple(state.shape) for state in hidden] == [(N_FRAMES, 2, 64)] * (model.n_layers + 1)
    assert torch.equal(hidden[0], entering)
    assert torch.equal(outputs[0], model.layers[0](entering))
    assert torch.equal(hidden[1], outputs[0])
    assert torch.equal(features.transpose(0, 1), model.final_norm(outputs[1]))
    assert torch.equal(hidden[2], features.transpose(0, 1))


def test_layerdrop() -> None:
    model = toy()
    model.layerdrop = 0.5
    np.random.seed(0)
    assert {len(list(model.train().layer_outputs(waveforms(90)))) for _ in range(30)} == {0, 1, 2}
    assert {len(list(model.eval().layer_outputs(waveforms(90)))) for _ in range(5)} == {2}


def test_freezing() -> None:
    names = trained(toy())
    assert trained(toy(freeze_backbone=True)) == set()
    above = {name for name in names if name.startswith(("layers.1.", "final_norm."))}
    assert trained(toy(freeze_below_layer=1)) == above
    frozen = toy(freeze_below_layer=1).train()
    assert [part.training for part in (frozen.convolution, *frozen.layers)] == [False, False, True]
    frozen.freeze_final_norm()
    assert trained(frozen) == {name for name in above if name.startswith("layers.")}
    with pytest.raises(SettingError, match="--freeze-below-layer 3: the backbone has 2 layers"):
        toy(freeze_below_layer=3)


def test_a_frozen_start() -> None:
    model = toy(freeze_backbone_updates=2).train()
    for num_updates in range(4):
        model.set_num_updates(num_updates)
        assert model.features(waveforms(N_SAMPLES)).requires_grad == (num_updates >= 2)
        assert model.convolution.training == (num_updates >= 2)


@pytest.mark.parametrize("layer", [0, 1])
def test_recomputed_activations_give_the_same_gradients(layer: int) -> None:
    gradients = []
    for checkpoint_activations in (False, True):
        model = toy(checkpoint_activations=checkpoint_activations, freeze_below_layer=layer)
        model.features(waveforms(N_SAMPLES)).square().sum().backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None})
    assert gradients[0].keys() == gradients[1].keys() == trained(model)
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


# Choosing a backbone


def settings(**changed: Any) -> DictConfig:
    return OmegaConf.structured(BackboneConfig(**changed))


def test_names_are_those_of_the_files() -> None:
    assert BACKBONES.keys() == {"xlsr", "toy"}
    assert {name: backbone.__module__ for name, backbone in BACKBONES.items()} == {
        name: f"sls_plugin.models.backbones.{name}" for name in BACKBONES
    }


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(SettingError, match="--backbone hubert: no such backbone: choose from toy, xlsr"):
        build_backbone(settings(backbone="hubert"))


@pytest.mark.parametrize("name", ["sls", "sls_xlsr_300m"])  # fairseq adds default settings for one of the two
def test_a_checkpoint_of_version_0_3_has_an_xlsr(name: str, tiny_checkpoint: Path) -> None:
    """Its settings do not name a backbone."""
    model = build("sls_xlsr_300m", "--w2v-path", str(tiny_checkpoint), "--max-samples", str(N_SAMPLES)).eval()
    cfg = OmegaConf.to_container(model.cfg, enum_to_str=True) | {"_name": name, "max_samples": N_SAMPLES, "w2v_path": None}
    del cfg["backbone"]
    old = build_model(OmegaConf.create(cfg), None, from_checkpoint=True).eval()
    old.load_state_dict(model.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(old(waveforms(N_SAMPLES)), model(waveforms(N_SAMPLES)))
