"""Adapters: none at first, what they compute, what they train, and that merging changes nothing but the names."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from detectors import backbone, build, n_parameters, train, waveforms
from torch import nn

from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random
from fairseq_ckpt.wav2vec.spec import XLSR_300M
from protocols import SettingError
from sls_plugin.models.backbones import Backbone, BackboneConfig
from sls_plugin.modules.lora import Adapter, adapters, add_adapter, merge_adapters

RANK = 3


def linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(5, 4).double()


def adapted(model: nn.Module) -> nn.Module:
    """With adapters that have learnt something."""
    for adapter in adapters(model):
        nn.init.normal_(adapter.up, std=0.1)
    return model


def test_the_output_is_that_of_the_definition() -> None:
    plain, layer = linear(), linear()
    add_adapter(layer, RANK)
    layer.double()
    x = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 5)))
    assert torch.equal(layer(x), plain(x))  # up is 0 at first
    nn.init.normal_(layer.parametrizations.weight[0].up)
    down, up = (getattr(layer.parametrizations.weight[0], name).detach().numpy() for name in ("down", "up"))
    for clip, output in zip(x.numpy(), layer(x).detach().numpy(), strict=True):
        without = plain.weight.detach().numpy() @ clip + plain.bias.detach().numpy()
        np.testing.assert_allclose(output, without + up @ (down @ clip), rtol=1e-12)


def test_merging_gives_the_plain_names_and_the_same_output() -> None:
    layer, x = linear(), torch.ones(1, 5, dtype=torch.float64)
    add_adapter(layer, RANK)
    adapted(layer.double())
    expected = layer(x)
    merge_adapters(layer)
    assert torch.equal(layer(x), expected)
    assert set(layer.state_dict()) == {"weight", "bias"}
    assert not list(adapters(layer))


def test_a_fresh_adapter_leaves_the_network_as_it_is() -> None:
    """Trained ones change its every layer; merged and packed, it computes the same."""
    plain, network = backbone().eval(), backbone(lora_rank=RANK).eval()
    assert len(list(adapters(network))) == 2 * network.n_layers
    with torch.no_grad():
        assert torch.equal(network.features(waveforms(8_000)), plain.features(waveforms(8_000)))
        outputs = list(adapted(network).layer_outputs(waveforms(8_000)))
        for output, other in zip(outputs, plain.layer_outputs(waveforms(8_000)), strict=True):
            assert not torch.allclose(output, other, atol=1e-3)
        merge_adapters(network)
        assert set(network.state_dict()) == set(plain.state_dict())
        for output, other in zip(outputs, network.layer_outputs(waveforms(8_000)), strict=True):
            assert torch.equal(output, other)
        network.pack_weights()
        for output, other in zip(outputs, network.layer_outputs(waveforms(8_000)), strict=True):
            torch.testing.assert_close(output, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("checkpoint_activations", [False, True])
def test_only_adapters_and_the_head_are_trained(checkpoint_activations: bool, tiny_checkpoint: Path) -> None:
    options = ("--checkpoint-activations",) if checkpoint_activations else ()
    model = build("xlsr_aasist_300m", "--w2v-path", str(tiny_checkpoint), "--lora-rank", str(RANK), *options)
    adapted(model).train()(waveforms(8_000)).square().sum().backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    of_backbone = {name for name in trained if name.startswith("ssl_model.")}
    projections = [f"ssl_model.model.encoder.layers.{n}.self_attn.{kind}_proj" for n in range(4) for kind in "qv"]
    assert of_backbone == {f"{name}.parametrizations.weight.0.{part}" for name in projections for part in ("down", "up")}
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert all(gradients[name].abs().sum() > 0 for name in of_backbone)
    assert all(gradients[name] is None for name in gradients if name.startswith("ssl_model.") and name not in of_backbone)
    assert not model.ssl_model.model.training


def test_the_head_alone_learns_at_first(tiny_checkpoint: Path) -> None:
    options = ("--w2v-path", str(tiny_checkpoint), "--lora-rank", str(RANK), "--freeze-backbone-updates", "2")
    model = build("xlsr_aasist_300m", *options)
    for num_updates, learns in ((0, False), (2, True)):
        model.set_num_updates(num_updates)
        model.zero_grad()
        model.train()(waveforms(8_000)).square().sum().backward()
        assert all((adapter.up.grad is not None) == learns for adapter in adapters(model))


def test_parameters_of_the_published_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rank 8: 24 layers, two projections, 8 x 1024 twice."""
    monkeypatch.setattr("fairseq.models.wav2vec.wav2vec2.init_bert_params", lambda module: None)
    with torch.device("meta"):
        network = backbone(XLSR_300M, lora_rank=8)
    assert sum(n_parameters(adapter) for adapter in adapters(network)) == 24 * 2 * 2 * 8 * 1024 == 786_432
    assert sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad) == 786_432


def test_sixteen_clips_are_told_apart_after_32_updates(tmp_path: Path) -> None:
    make_random(TINY | {"encoder_layers": 2, "encoder_embed_dim": 64, "encoder_ffn_embed_dim": 16}, tmp_path / "narrow.pt")
    arguments = ("--w2v-path", str(tmp_path / "narrow.pt"), "--lora-rank", "4")
    loss, eer = train("xlsr_mhfa_300m", *arguments, n_samples=4_000, n_updates=32, lr=1e-3)
    assert loss < 0.6
    assert eer < 0.2


@pytest.mark.parametrize("rank", [-1, 49])
def test_a_rank_that_is_none(rank: int) -> None:
    with pytest.raises(SettingError, match=rf"^--lora-rank {rank}: must be from 1 to 48, or 0 for none$"):
        backbone(lora_rank=rank)


@pytest.mark.parametrize("settings", [{"freeze_backbone": True}, {"freeze_below_layer": 2}])
def test_freezing_besides(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=r"^--lora-rank freezes the backbone itself: leave out --freeze-backbone and --fr"):
        backbone(lora_rank=RANK, **settings)


def test_a_backbone_without_such_projections() -> None:
    class Other(Backbone):
        def embed(self, source: torch.Tensor) -> torch.Tensor:
            return source

    with pytest.raises(SettingError, match=r"^--lora-rank: the backbone Other takes no adapters: leave it out$"):
        Other(BackboneConfig()).attention_projections()


def test_an_adapter_says_what_it_holds() -> None:
    assert {name: tuple(tensor.shape) for name, tensor in Adapter(4, 5, 2).state_dict().items()} == {"down": (2, 5), "up": (4, 2)}
