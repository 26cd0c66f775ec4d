"""Conversion: there and back again bit by bit, with the configuration that makes the result run."""

import importlib.machinery
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from made_checkpoints import BASE, NARROW, aasist_tensors, synthetic, write_original_sls
from safetensors.torch import load_file, save_file

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.checkpoint import read, require_known
from fairseq_ckpt.conversion import convert
from fairseq_ckpt.detector import read_detector, read_for_fairseq
from fairseq_ckpt.detectors import rawnet2
from fairseq_ckpt.fingerprint import tensors_sha256
from fairseq_ckpt.pretrained import read_xlsr
from fairseq_ckpt.reading import read_checkpoint
from fairseq_ckpt.wav2vec.backbone import build_backbone
from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random
from fairseq_ckpt.wav2vec.spec import PRETRAINING_TASK
from fairseq_ckpt.writing import fairseq_dictionary, write_pickled


def bits(tensors: dict[str, torch.Tensor]) -> dict[str, bytes]:
    return {name: tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes() for name, tensor in tensors.items()}


# Originals


@pytest.mark.parametrize("prefix", ["module.", ""])
@pytest.mark.parametrize("between", [["fairseq"], ["safetensors"], ["fairseq", "safetensors", "fairseq"]])
def test_an_original_comes_back_bit_by_bit(tmp_path: Path, between: list[str], prefix: str) -> None:
    """With the prefix of the original authors, whether or not the file had it."""
    write_original_sls(tmp_path / "original.pth", prefix)
    path = tmp_path / "original.pth"
    for number, layout in enumerate([*between, "original"]):
        path, before = tmp_path / f"{number}.pt", path
        convert(before, path, layout)
    original = torch.load(tmp_path / "original.pth")
    plain = {name.removeprefix(prefix): tensor for name, tensor in original.items()}
    assert bits(torch.load(path)) == bits({f"module.{name}": tensor for name, tensor in plain.items()})
    assert tensors_sha256(plain) == tensors_sha256(read(path).tensors)


@pytest.mark.parametrize("name", ["AASIST", "AASIST-L", "AASIST-asvspoof5"])
def test_published_weights_come_back_bit_by_bit(shared: Path, tmp_path: Path, name: str) -> None:
    original = shared / "data" / "weights" / f"{name}.pth"
    convert(original, tmp_path / "fairseq.pt", "fairseq")
    convert(tmp_path / "fairseq.pt", tmp_path / "a.safetensors", "safetensors")
    convert(tmp_path / "a.safetensors", tmp_path / "original.pth", "original")
    assert bits(torch.load(tmp_path / "original.pth")) == bits(torch.load(original, map_location="cpu"))


def test_values_that_compare_unequal_survive_too(tmp_path: Path) -> None:
    tensors = aasist_tensors() | {"out_layer.bias": torch.tensor([float("nan"), -0.0])}
    torch.save(tensors, tmp_path / "a.pth")
    convert(tmp_path / "a.pth", tmp_path / "b.pt", "safetensors")
    assert bits(read(tmp_path / "b.pt").tensors) == bits(tensors)


def test_the_length_of_a_clip_follows_from_the_head(tmp_path: Path) -> None:
    write_original_sls(tmp_path / "short.pth")
    config = read_detector(tmp_path / "short.pth").config
    assert config["task"]["max_samples"] == config["model"]["max_samples"] == 400 + 11 * 320  # 12 frames
    write_original_sls(tmp_path / "published.pth", n_frames=201)
    assert read_detector(tmp_path / "published.pth").config["task"]["max_samples"] == 64_600


def test_the_light_aasist_keeps_other_shares_of_its_nodes(tmp_path: Path) -> None:
    for n_channels, ratios in ((64, (0.5, 0.7, 0.5)), (24, (0.4, 0.5, 0.7))):
        torch.save(aasist_tensors(n_channels), tmp_path / "a.pth")
        model = read_detector(tmp_path / "a.pth").config["model"]
        assert model["encoder_channels"] == n_channels
        assert tuple(model[f"{name}_pool_ratio"] for name in ("spectral", "temporal", "joint")) == ratios


def test_a_model_that_nobody_published_is_converted_as_it_is(tmp_path: Path) -> None:
    """One of this project, or a published one with another head, is known by its configuration."""
    for model in ({"_name": "mine"}, {"_name": "sls", "pooling": "mean"}):
        config = {"task": {"_name": "asvspoof"}, "model": model}
        write_pickled({"cfg": config, "model": synthetic({"fc.weight": (2, 3)})}, tmp_path / "a.pt")
        assert convert(tmp_path / "a.pt", tmp_path / "b.safetensors", "safetensors").layout.name == model["_name"]
        assert bits(read(tmp_path / "b.safetensors").tensors) == bits(synthetic({"fc.weight": (2, 3)}))
    for name in ("sls", "sls_xlsr_300m", "xlsr_aasist_300m", "xlsr_mamba_300m", "aasist_l"):
        write_pickled({"cfg": config | {"model": {"_name": name}}, "model": synthetic({"fc.weight": (2, 3)})}, tmp_path / "a.pt")
        with pytest.raises(CheckpointError, match="known layout"):
            require_known(read(tmp_path / "a.pt"))


# Hugging Face


@pytest.fixture
def transformers(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The library, kept from a torchaudio that was built for another PyTorch; nothing here needs it."""
    try:
        import torchaudio  # noqa: F401
    except (ImportError, OSError):
        stand_in = types.ModuleType("torchaudio")
        stand_in.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
        monkeypatch.setitem(sys.modules, "torchaudio", stand_in)
    return pytest.importorskip("transformers")


@pytest.fixture(params=[TINY, NARROW, BASE], ids=["xlsr", "wider", "base"])
def pretrained(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A pre-trained network of fairseq whose every norm differs from its start."""
    torch.manual_seed(5)
    tensors = build_backbone(request.param, "the test").state_dict()
    shaken = {name: tensor + 0.1 * torch.randn(tensor.shape) if tensor.dim() == 1 else tensor for name, tensor in tensors.items()}
    write_pickled(fairseq_dictionary({"model": request.param, "task": PRETRAINING_TASK}, shaken), tmp_path / "fairseq.pt")
    return tmp_path / "fairseq.pt"


def test_hidden_states_are_those_of_transformers(pretrained: Path, tmp_path: Path, transformers: types.ModuleType) -> None:
    """The last one too: version 5, which the tests ask for, gives it before the encoder's last norm; older ones after it."""
    convert(pretrained, tmp_path / "hf", "huggingface")
    theirs, report = transformers.Wav2Vec2ForPreTraining.from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert not any(report.values()), report
    backbone = read_xlsr(pretrained)
    ours = build_backbone(backbone.config, pretrained).eval()
    ours.load_state_dict(backbone.weights, strict=True)
    embedded = []
    ours.encoder.layers[0].register_forward_pre_hook(lambda layer, inputs: embedded.append(inputs[0].transpose(0, 1)))
    waveform = 0.1 * torch.randn(2, 8000, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        output = theirs.eval().wav2vec2(waveform, output_hidden_states=True)
        expected = ours(waveform, mask=False, features_only=True)
    layers = [layer.transpose(0, 1) for layer, *_ in expected["layer_results"]]
    *hidden, last = output.hidden_states
    assert len(hidden) == len(layers)
    n_frames = layers[0].shape[1]
    for state, layer in zip(hidden, [embedded[0][:, :n_frames], *layers[:-1]], strict=True):
        torch.testing.assert_close(state, layer, rtol=0, atol=1e-4)
    torch.testing.assert_close(output.last_hidden_state, expected["x"], rtol=0, atol=1e-4)
    torch.testing.assert_close(last, layers[-1], rtol=0, atol=1e-4)


def test_the_configuration_is_read_by_transformers(pretrained: Path, tmp_path: Path, transformers: types.ModuleType) -> None:
    convert(pretrained, tmp_path / "hf", "huggingface")
    theirs = transformers.AutoConfig.from_pretrained(tmp_path / "hf")
    ours = read_xlsr(pretrained).config
    assert theirs.num_hidden_layers == ours["encoder_layers"]
    assert theirs.num_attention_heads == ours["encoder_attention_heads"]
    assert theirs.do_stable_layer_norm == ours["layer_norm_first"]
    assert (theirs.hidden_dropout, theirs.layerdrop) == (ours["dropout"], ours["encoder_layerdrop"])


@pytest.mark.parametrize("spelling", ["parametrizations", "weight_g"])
@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_hugging_face_comes_back_bit_by_bit(pretrained: Path, tmp_path: Path, kind: str, spelling: str) -> None:
    convert(pretrained, tmp_path / "hf", "huggingface")
    written = tmp_path / "hf" / "model.safetensors"
    tensors = load_file(written)
    if spelling == "parametrizations":
        named = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
        for old, new in named.items():
            prefix = "wav2vec2.encoder.pos_conv_embed.conv."
            tensors[f"{prefix}{new}"] = tensors.pop(f"{prefix}{old}")
    written.unlink()
    if kind == "bin":
        torch.save(tensors, tmp_path / "hf" / "pytorch_model.bin")
    else:
        save_file(tensors, written)
    convert(tmp_path / "hf", tmp_path / "back.pt", "fairseq")
    before, after = read_xlsr(pretrained), read_xlsr(tmp_path / "back.pt")
    assert bits(after.weights) == bits(before.weights)
    direct = read_xlsr(tmp_path / "hf")
    assert bits(direct.weights) == bits(before.weights)
    assert direct.config == after.config
    changed = {name for name in before.config if name in after.config and before.config[name] != after.config[name]}
    assert changed <= {"conv_feature_layers"}  # the same list, written out
    build_backbone(after.config, "the test").load_state_dict(after.weights, strict=True)


def test_a_folder_without_its_configuration(pretrained: Path, tmp_path: Path) -> None:
    convert(pretrained, tmp_path / "hf", "huggingface")
    config = tmp_path / "hf" / "config.json"
    for content in ("{}", "<html>", '{"conv_dim": 3}'):
        config.write_text(content)
        with pytest.raises(CheckpointError, match=r"config\.json: not the configuration"):
            read_xlsr(tmp_path / "hf")
    config.unlink()
    with pytest.raises(CheckpointError, match=r"config\.json: missing"):
        read_xlsr(tmp_path / "hf")


def test_fairseqs_network_in_one_file_comes_back(pretrained: Path, tmp_path: Path) -> None:
    convert(pretrained, tmp_path / "a.safetensors", "safetensors")
    convert(tmp_path / "a.safetensors", tmp_path / "back.pt", "fairseq")
    before, after = torch.load(pretrained), torch.load(tmp_path / "back.pt")
    assert bits(after["model"]) == bits(before["model"])
    assert after["cfg"] == before["cfg"]


# What cannot be


@pytest.mark.parametrize(
    ("make", "to", "reason"),
    [
        (lambda path: make_random(TINY, path), "original", "convert --to fairseq"),
        (lambda path: torch.save(aasist_tensors(), path), "huggingface", "pre-trained networks only"),
        (lambda path: torch.save({"encoder.layers.0.fc1.weight": torch.zeros(4, 2)}, path), "fairseq", "no known layout"),
        (lambda path: path, "fairseq", "no such checkpoint"),
    ],
)
def test_layouts_that_do_not_go_together(tmp_path: Path, make: Callable, to: str, reason: str) -> None:
    make(tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=reason):
        convert(tmp_path / "a.pt", tmp_path / "out", to)
    assert not (tmp_path / "out").exists()


def test_a_network_without_its_configuration(tmp_path: Path) -> None:
    torch.save(build_backbone(NARROW, "the test").state_dict(), tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="not an XLS-R checkpoint of fairseq with its configuration"):
        convert(tmp_path / "a.pt", tmp_path / "b.pt", "fairseq")


def test_written_files_are_as_readable_as_others(tmp_path: Path) -> None:
    """safetensors by itself makes files that only their owner may read."""
    torch.save(synthetic(rawnet2.tensors({})), tmp_path / "a.pth")
    mask = os.umask(0o022)
    try:
        convert(tmp_path / "a.pth", tmp_path / "b.safetensors", "safetensors")
    finally:
        os.umask(mask)
    assert (tmp_path / "b.safetensors").stat().st_mode & 0o777 == 0o644


def test_the_state_of_training_is_left_behind(tmp_path: Path) -> None:
    convert_from = tmp_path / "a.pt"
    torch.save(aasist_tensors(), tmp_path / "a.pth")
    trained = read_for_fairseq(tmp_path / "a.pth") | {"last_optimizer_state": {"state": {0: torch.zeros(1000)}}}
    torch.save(trained, convert_from)
    convert(convert_from, tmp_path / "b.pt", "fairseq")
    assert "last_optimizer_state" not in read_checkpoint(tmp_path / "b.pt")
    assert read_detector(tmp_path / "b.pt").config == trained["cfg"]


def test_a_device_is_not_written_to(tmp_path: Path) -> None:
    torch.save(aasist_tensors(), tmp_path / "a.pth")
    for layout in ("fairseq", "safetensors", "original"):
        with pytest.raises(CheckpointError, match=r"^/dev/full: is a device or pipe: name a file to write$"):
            convert(tmp_path / "a.pth", "/dev/full", layout)
