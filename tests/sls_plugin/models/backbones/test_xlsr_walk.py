"""The backbone's own walk through fairseq's network, against fairseq's forward: outputs, gradients, memory."""

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from detectors import backbone
from fairseq.models.wav2vec import Wav2Vec2Model

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.wav2vec.random_backbone import TINY
from sls_plugin.models.backbones.xlsr import XLSR
from sls_plugin.modules.frame_convolutions import FrameConvolutions
from sls_plugin.modules.packed_weights import pack_weights

N_LAYERS = 4
BASE = TINY | {"extractor_mode": "default", "conv_bias": False, "layer_norm_first": False}  # as wav2vec_small


def fairseqs(model: XLSR) -> Wav2Vec2Model:
    """fairseq's network, untouched, with the same tensors."""
    network = Wav2Vec2Model(model.model.cfg)
    network.load_state_dict(model.model.state_dict(), strict=True)
    return network.train(model.training)


def waveforms(n_samples: int = 4_320) -> torch.Tensor:
    return torch.from_numpy(0.1 * np.random.default_rng(7).standard_normal((2, n_samples), dtype=np.float32))


def layer_outputs(model: XLSR, n_samples: int = 4_320) -> list[torch.Tensor]:
    return list(model.layer_outputs(waveforms(n_samples)))


def gradients(network: torch.nn.Module, outputs: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Of a sum to which every layer's frames and features add something else."""
    torch.manual_seed(11)
    sum((torch.randn_like(output) * output).sum() for output in outputs).backward()
    return {name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("n_samples", [400, 720, 4_320])  # 1, 2 and 13 frames; fairseq fills up odd numbers
@pytest.mark.parametrize("config", [TINY, BASE, TINY | {"feature_grad_mult": 0.1}, BASE | {"feature_grad_mult": 0.0}])
def test_outputs_and_gradients_are_fairseqs(config: dict[str, Any], n_samples: int) -> None:
    model = backbone(config)
    network = fairseqs(model)
    assert isinstance(model.model.feature_extractor, FrameConvolutions) == (config["extractor_mode"] == "layer_norm")
    outputs = layer_outputs(model, n_samples)
    result = network(waveforms(n_samples), mask=False, features_only=True)
    expected = [output for output, *_ in result["layer_results"]]
    for output, other in zip(outputs, expected, strict=True):
        torch.testing.assert_close(output, other, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(model.features(waveforms(n_samples)), result["x"], rtol=1e-5, atol=1e-5)
    received, other = gradients(model.model, outputs), gradients(network, expected)
    assert set(received) == set(other)
    for name, gradient in other.items():
        # a key projection's bias cancels in the softmax: its gradient is rounding noise
        torch.testing.assert_close(received[name], gradient, rtol=0, atol=1e-4 * gradient.abs().max().item() + 1e-4, msg=name)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this build of torch has no oneDNN")
@pytest.mark.parametrize("config", [TINY, BASE])
def test_packed_weights_give_the_same(config: dict[str, Any]) -> None:
    model = backbone(config).eval()
    with torch.inference_mode():
        expected = layer_outputs(model)
        pack_weights(model, "cpu", torch.float32)
        assert not any(isinstance(module, torch.nn.Linear) for module in model.layers.modules())
        for output, other in zip(layer_outputs(model), expected, strict=True):
            torch.testing.assert_close(output, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("config", [TINY, BASE])
def test_dropout_falls_where_fairseqs_does(config: dict[str, Any]) -> None:
    model = backbone(config, dropout=0.3, attention_dropout=0.2, activation_dropout=0.1, dropout_input=0.4)
    network = fairseqs(model)
    network.dropout_features.p = 0.0  # of pre-training's targets
    torch.manual_seed(5)
    outputs = layer_outputs(model, 4_560)  # 14 frames: fairseq adds none to an even number
    torch.manual_seed(5)
    expected = network(waveforms(4_560), mask=False, features_only=True)["layer_results"]
    for output, (other, *_) in zip(outputs, expected, strict=True):
        torch.testing.assert_close(output, other, rtol=1e-5, atol=1e-5)


def test_layers_are_dropped_as_fairseq_does() -> None:
    model = backbone(encoder_layerdrop=0.5)
    network = fairseqs(model)
    for seed in range(6):
        np.random.seed(seed)
        n_outputs = len(layer_outputs(model, 1_040))
        np.random.seed(seed)
        assert n_outputs == len(network(waveforms(1_040), mask=False, features_only=True)["layer_results"])


def test_a_frozen_layer_is_not_dropped() -> None:
    model = backbone(encoder_layerdrop=0.9, freeze_below_layer=3)
    expected = layer_outputs(model.eval())[:3]
    np.random.seed(0)
    for _ in range(5):
        assert all(map(torch.equal, layer_outputs(model.train()), expected))


def test_a_caller_between_two_layers_keeps_its_gradients() -> None:
    model = backbone(freeze_backbone_updates=1)
    for output in model.layer_outputs(waveforms(1_040)):
        assert torch.is_grad_enabled()
        assert not output.requires_grad
    with torch.no_grad():
        for _ in model.layer_outputs(waveforms(1_040)):
            assert not torch.is_grad_enabled()


def test_of_the_layers_only_the_last_is_kept() -> None:
    model = backbone().eval()
    seen: list[weakref.ref] = []
    with torch.inference_mode():
        for output in model.layer_outputs(waveforms()):
            seen.append(weakref.ref(output))
            del output
            gc.collect()
            assert sum(reference() is not None for reference in seen) == 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [("layer_type", "trf_adp"), ("quantize_input", True), ("crop_seq_to_multiple", 2)],
)
def test_networks_that_compute_in_another_way_are_refused(setting: str, value: Any) -> None:
    with pytest.raises(CheckpointError, match=f"its {setting} is {value}: give a wav2vec 2.0 or XLS-R network, with {setting} "):
        backbone(TINY | {setting: value, "adp_num": 1})


# Activations computed again


def kept_bytes(model: XLSR) -> tuple[int, list[torch.Tensor]]:
    """What a forward pass keeps for the backward pass, parameters aside, and the layers' outputs."""
    kept: dict[int, int] = {}
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if (storage := tensor.untyped_storage()).data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = layer_outputs(model, 16_000)
    return sum(kept.values()), outputs


@pytest.mark.parametrize("layer", [0, 2])
def test_activations_computed_again_give_the_same_gradients_in_less_memory(layer: int) -> None:
    settings = {"freeze_below_layer": layer, "dropout": 0.3, "attention_dropout": 0.2, "dropout_input": 0.1}
    found = []
    for checkpoint_activations in (False, True):
        model = backbone(checkpoint_activations=checkpoint_activations, **settings)
        torch.manual_seed(5)
        n_bytes, outputs = kept_bytes(model)
        found.append((n_bytes, outputs, gradients(model, outputs)))
    (more, outputs, expected), (fewer, others, received) = found
    assert fewer < 0.4 * more
    assert all(map(torch.equal, outputs, others))
    assert set(received) == set(expected)
    assert len(expected) >= 16 * (N_LAYERS - layer)
    for name, gradient in expected.items():
        torch.testing.assert_close(received[name], gradient, rtol=1e-5, atol=1e-6, msg=name)


def test_fairseqs_own_checkpointing_stays_off() -> None:
    model = backbone(TINY | {"checkpoint_activations": True}, freeze_below_layer=2)
    assert [output.requires_grad for output in layer_outputs(model)] == [False, False, True, True]
    assert gradients(model, layer_outputs(model))
