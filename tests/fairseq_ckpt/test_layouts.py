"""Layouts: each is recognised by its names and shapes; for other files the nearest layout and the differences are named."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from made_checkpoints import BASE, NARROW, aasist_tensors, reference_sls, synthetic

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.checkpoint import read, require_known
from fairseq_ckpt.conversion import convert
from fairseq_ckpt.detector import read_detector
from fairseq_ckpt.identification import LAYOUTS, nearest
from fairseq_ckpt.shapes import Shapes
from fairseq_ckpt.wav2vec.backbone import build_backbone
from fairseq_ckpt.wav2vec.random_backbone import TINY
from fairseq_ckpt.wav2vec.spec import Wav2VecSpec

KEYS = {  # the state dicts of the original implementations, listed
    "xlsr300m": ("xlsr", 317_390_592),
    "sls_full": ("sls", 340_790_021),
    "ssl_aasist_full": ("xlsr_aasist", 317_837_834),
    "xlsr_mamba_full": ("xlsr_mamba", 319_327_542),
    "nes2net_x_head": ("xlsr_nes2net_x", 317_902_631),
    "xlsr_conformer_tcm_head": ("xlsr_conformer_tcm", 321_213_220),
    "AASIST": ("aasist", 297_866),
    "AASIST-L": ("aasist", 85_306),
    "RawGATST_baseline": ("rawgat_st", 437_034),
    "RawNet2_baseline": ("rawnet2", 17_621_410),
    "prosody_encoder": ("prosody_encoder", 5_035_970),
}


def published(shared: Path, key: str) -> tuple[Shapes, int]:
    """Names and shapes, and the number of parameters; a head is put on XLS-R 300M."""
    keys = shared / "reference" / "keys"
    listed = json.loads((keys / f"{key}.json").read_text())
    if key.endswith("_head"):
        backbone = json.loads((keys / "xlsr300m.json").read_text())
        listed |= {f"ssl_model.model.{name}": entry for name, entry in backbone.items()}
    shapes = {name: tuple(entry["shape"]) for name, entry in listed.items()}
    return shapes, sum(torch.Size(shapes[name]).numel() for name, entry in listed.items() if entry["param"])


@pytest.mark.parametrize("key", KEYS)
def test_every_published_layout_is_known_to_the_last_shape(shared: Path, key: str) -> None:
    shapes, n_parameters = published(shared, key)
    found = nearest(shapes)
    assert (found.layout.name, n_parameters) == KEYS[key]
    assert found.differences == []
    assert found.layout.tensors(shapes) == shapes


@pytest.mark.parametrize("key", KEYS)
def test_one_tensor_less_more_or_of_another_shape_is_named(shared: Path, key: str) -> None:
    shapes, _ = published(shared, key)
    for name in list(shapes)[:: max(len(shapes) // 4, 1)]:
        less = {other: shape for other, shape in shapes.items() if other != name}
        found = nearest(less)
        assert found.layout.name == KEYS[key][0]
        assert f"{name} is missing" in found.differences
        found = nearest(shapes | {f"{name}.more": (1,)})
        assert (found.layout.name, found.differences) == (KEYS[key][0], [f"{name}.more is not part of it"])
    weight = next(name for name in shapes if name.endswith(("out_proj.weight", "conv2.weight")))
    found = nearest(shapes | {weight: (7, 7)})
    assert (found.layout.name, len(found.differences)) == (KEYS[key][0], 1)
    assert found.differences[0].startswith(f"{weight} is 7 x 7, not ")


def test_the_patterns_of_unused_tensors_meet_tensors(shared: Path) -> None:
    """Those that the facts list as never trained: 1,954,944 values of SLS, 291,168 of the Mamba head."""

    def n_unused(key: str, among: str) -> int:
        shapes, _ = published(shared, key)
        pattern = nearest(shapes).layout.unused
        return sum(torch.Size(shape).numel() for name, shape in shapes.items() if re.match(pattern, name) and among in name)

    assert n_unused("sls_full", "") == 1_954_944
    assert n_unused("xlsr_mamba_full", "conformer") == 291_168
    assert n_unused("ssl_aasist_full", "ssl_model") == 1_952_896
    for key, n_blocks in (("AASIST", 5), ("ssl_aasist_full", 5), ("RawGATST_baseline", 10), ("RawNet2_baseline", 5)):
        shapes, _ = published(shared, key)
        pattern = nearest(shapes).layout.unused
        assert len({name.rpartition(".")[0] for name in shapes if re.match(pattern, name) and "bn1" in name}) == n_blocks


# The same without the reference data: the layouts beside the networks themselves


@pytest.mark.parametrize("config", [TINY, NARROW, BASE, TINY | {"conv_bias": False, "encoder_layers": 3, "final_dim": 24}])
def test_xlsr_of_any_size_is_fairseqs_own_network(config: dict) -> None:
    network = build_backbone(config, "the test").state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in network.items()}
    found = nearest(shapes)
    assert (found.layout.name, found.differences) == ("xlsr", [])


@pytest.mark.parametrize("config", [NARROW, BASE])
def test_the_settings_that_shapes_show_build_the_same_network(config: dict) -> None:
    network = build_backbone(config, "the test").eval()
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    rebuilt = build_backbone(Wav2VecSpec.from_shapes(shapes).config("the test"), "the test").eval()
    rebuilt.load_state_dict(network.state_dict(), strict=True)
    waveform = torch.randn(1, 4000)
    with torch.no_grad():
        output, expected = (model(waveform, mask=False, features_only=True)["x"] for model in (rebuilt, network))
    assert torch.equal(output, expected)


def test_a_width_of_which_nobody_knows_the_heads() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in build_backbone(TINY, "the test").state_dict().items()}
    with pytest.raises(CheckpointError, match=r"a\.pth: 48 features: .* attention heads"):
        Wav2VecSpec.from_shapes(shapes).config("a.pth")


@pytest.mark.parametrize("n_channels", [64, 24])
def test_aasist_is_the_models(n_channels: int) -> None:
    found = nearest({name: tuple(tensor.shape) for name, tensor in aasist_tensors(n_channels).items()})
    assert (found.layout.name, found.differences) == ("aasist", [])


@pytest.mark.parametrize("prefix", ["", "module."])
def test_data_parallels_prefix_is_put_aside(tmp_path: Path, prefix: str) -> None:
    tensors = reference_sls().state_dict()
    torch.save({f"{prefix}{name}": tensor for name, tensor in tensors.items()}, tmp_path / "xlsr2_300m.pt")
    checkpoint = require_known(read(tmp_path / "xlsr2_300m.pt"))
    assert (checkpoint.layout.name, checkpoint.prefix) == ("sls", prefix)
    assert checkpoint.tensors.keys() == tensors.keys()


def refusal(path: Path, content: dict) -> str:
    torch.save(content, path)
    with pytest.raises(CheckpointError) as error:
        require_known(read(path))
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{path}: ")


def without(tensors: dict, *names: str) -> dict:
    return {name: tensor for name, tensor in tensors.items() if name not in names}


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda tensors: without(tensors, "pos_S"), "pos_S is missing"),
        (lambda tensors: tensors | {"fc.weight": torch.zeros(2, 3)}, "fc.weight is not part of it"),
        (lambda tensors: tensors | {"out_layer.weight": torch.zeros(3, 160)}, "out_layer.weight is 3 x 160, not 2 x 160"),
        (
            lambda tensors: without(tensors, "pos_S", "master1", "master2", "out_layer.bias"),
            "pos_S is missing; master1 is missing; master2 is missing; and 1 more",
        ),
    ],
)
def test_an_unknown_file_is_answered_with_the_nearest_layout(tmp_path: Path, change: Callable, difference: str) -> None:
    message = refusal(tmp_path / "a.pth", change(aasist_tensors()))
    assert message == f"no known layout; the nearest is aasist (AASIST or AASIST-L), but {difference}"


def test_a_prefix_that_only_some_names_have_is_no_prefix(tmp_path: Path) -> None:
    tensors = aasist_tensors()
    half = {(f"module.{name}" if number % 2 else name): tensor for number, (name, tensor) in enumerate(tensors.items())}
    assert "the nearest is aasist" in refusal(tmp_path / "a.pth", half)


def test_a_file_like_none(tmp_path: Path) -> None:
    message = refusal(tmp_path / "a.pth", synthetic({"a": (2, 2)}))
    assert message == "none of its tensors has a name as in a known layout: name another file"


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"model": {"cfg": 1}}, {1: torch.zeros(2)}])
def test_no_tensors_by_name(tmp_path: Path, content: dict) -> None:
    assert "not the tensors by name that a model has" in refusal(tmp_path / "a.pth", content)


def test_sizes_that_make_no_sense_are_differences_like_others(tmp_path: Path) -> None:
    for name in ("encoder.pos_conv.0.weight_v", "quantizer.vars", "encoder.layer_norm.weight", "project_q.weight"):
        for shape in ((0, 0, 0), (1,), (0,), ()):
            tensors = build_backbone(TINY, "the test").state_dict() | {name: torch.zeros(shape)}
            assert "the nearest is xlsr" in refusal(tmp_path / "a.pt", tensors)


def test_layouts_have_names_of_their_own() -> None:
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)


# As training scripts wrap them


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "net", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "module._orig_mod.", "_orig_mod.module.model."])
def test_wrapped_originals(tmp_path: Path, wrapper: str, prefix: str) -> None:
    tensors = aasist_tensors()
    wrapped = {f"{prefix}{name}": tensor for name, tensor in tensors.items()}
    torch.save({"epoch": 3, wrapper: wrapped, "optimizer": {"state": {}}}, tmp_path / "a.pth")
    detector = read_detector(tmp_path / "a.pth")
    assert detector.layout.name == "aasist"
    assert detector.tensors.keys() == tensors.keys()
    assert all(torch.equal(detector.tensors[name], tensor) for name, tensor in tensors.items())
    convert(tmp_path / "a.pth", tmp_path / "b.pth", "original")
    assert torch.load(tmp_path / "b.pth").keys() == wrapped.keys()


def test_an_unknown_wrapper_is_named(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "weights": aasist_tensors()}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError) as error:
        read_detector(tmp_path / "a.pth")
    reason = "not the tensors by name that a model has (it holds epoch, weights beside 0 tensors)"
    assert str(error.value) == f"{tmp_path / 'a.pth'}: {reason}: save its part weights alone"
