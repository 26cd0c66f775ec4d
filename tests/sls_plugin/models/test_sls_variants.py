"""SLS with other layer fusions and poolings, against plain loops; what each of them trains, takes and refuses."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from reference.synthetic_weights import fill_outside_backbone
from torch import Tensor
from torch.nn import functional as F

from fairseq_ckpt.wav2vec.random_backbone import TINY
from protocols import DataError, SettingError
from sls_plugin.models.sls import SLS, SLSConfig
from sls_plugin.optim.l2_adam import L2Adam, L2AdamConfig

N_SAMPLES = 4000
FUSIONS = ("gate", "softmax", "sum", "last")
POOLINGS = ("3x3", "max", "mean", "attention")
NORM = {"ssl_model.model.encoder.layer_norm.weight", "ssl_model.model.encoder.layer_norm.bias"}


def detector(fusion: str, pooling: str, max_samples: int = N_SAMPLES, **settings: Any) -> SLS:
    torch.manual_seed(3)
    cfg = OmegaConf.structured(SLSConfig)
    cfg.w2v_args, cfg.max_samples, cfg.layer_fusion, cfg.pooling = TINY, max_samples, fusion, pooling
    for name, value in settings.items():
        cfg[name] = value
    return SLS(cfg)


def waveforms(n_clips: int = 2, n_samples: int = N_SAMPLES, seed: int = 7) -> Tensor:
    return torch.from_numpy(0.1 * np.random.default_rng(seed).standard_normal((n_clips, n_samples), dtype=np.float32))


def naive_fusion(model: SLS, clip: Tensor) -> Tensor:
    """The fused features of one clip, T x C, from fairseq's own network."""
    encoder = model.ssl_model.model.encoder
    entering = []
    with encoder.layers[0].register_forward_pre_hook(lambda _, inputs: entering.append(inputs[0][:, 0])):
        result = model.ssl_model.model(clip[None], mask=False, features_only=True)
    outputs, last = [layer[0][:, 0] for layer in result["layer_results"]], result["x"][0]
    if model.layer_fusion == "last":
        return last
    if model.layer_fusion == "softmax":
        states = [entering[0][: len(last)], *outputs[:-1], last]
        powers = [weight.exp() for weight in model.hidden_state_weights]
        return sum(power / sum(powers) * state for power, state in zip(powers, states, strict=True))
    if model.layer_fusion == "sum":
        return sum(outputs)
    return sum(torch.sigmoid(model.fc0(output.mean(dim=0))) * output for output in outputs)


def naive_pooling(model: SLS, pooling: str, x: Tensor) -> Tensor:
    if pooling == "3x3":
        n_frames, n_features = len(x) // 3, x.shape[1] // 3
        cells = [x[3 * t : 3 * t + 3, 3 * c : 3 * c + 3].max() for t in range(n_frames) for c in range(n_features)]
        return torch.stack(cells)
    if pooling == "max":
        return torch.stack([column.max() for column in x.T])
    if pooling == "mean":
        return sum(x) / len(x)
    inner, _, outer = model.time_pooling.attention
    powers = [outer(torch.tanh(inner(frame))).exp() for frame in x]
    return sum(power / sum(powers) * frame for power, frame in zip(powers, x, strict=True))


@pytest.mark.parametrize(("fusion", "pooling"), list(product(FUSIONS, POOLINGS)))
def test_log_probabilities_are_those_of_plain_loops(fusion: str, pooling: str) -> None:
    model = detector(fusion, pooling).eval()
    fill_outside_backbone(model)
    bn = model.first_bn
    with torch.no_grad():
        output = model(waveforms())
        for clip, log_probabilities in zip(waveforms(), output, strict=True):
            fused = naive_fusion(model, clip)
            x = F.selu((fused - bn.running_mean) / (bn.running_var + bn.eps).sqrt() * bn.weight + bn.bias)
            x = F.selu(model.fc3(F.selu(model.fc1(naive_pooling(model, pooling, x)))))
            torch.testing.assert_close(log_probabilities, x - x.exp().sum().log(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_weights_are_those_that_the_sum_takes(fusion: str) -> None:
    """Also what explains a score: one weight per state and clip."""
    model = detector(fusion, "max").eval()
    fill_outside_backbone(model)
    with torch.no_grad():
        states = torch.stack(list(model.states(waveforms())))  # L x T x B x C
        fused_clips, weights = model.fuse(states)
        assert weights.shape == ({"gate": 4, "softmax": 5, "sum": 4, "last": 1}[fusion], 2)
        for number, clip in enumerate(waveforms()):
            fused = sum(weight * state for weight, state in zip(weights[:, number], states[:, :, number], strict=True))
            torch.testing.assert_close(fused, naive_fusion(model, clip), rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(fused_clips[number], fused, rtol=1e-4, atol=1e-4)
        _, explained = model.forward_with_layer_weights(waveforms())
        if fusion in ("gate", "softmax"):
            torch.testing.assert_close(explained, weights)  # states in a row in memory: their means may round differently
        else:
            assert explained is None  # nothing was learned


@pytest.mark.parametrize("pooling", ["max", "mean", "attention"])
def test_pooling_over_time_takes_clips_of_any_length_from_one_frame_on(pooling: str) -> None:
    model = detector("gate", pooling).eval()
    with torch.no_grad():
        for n_samples in (400, 4000, 64_600, 80_000):
            assert model(waveforms(1, n_samples)).isfinite().all()
    with pytest.raises(DataError, match="clips of 399 samples: SLS needs at least 400"):
        model(waveforms(1, 399))


def test_pooling_of_frames_and_features_keeps_its_length() -> None:
    with pytest.raises(DataError, match="clips of 8,000 samples: this head takes 3,920 to 4,879"):
        detector("softmax", "3x3")(waveforms(1, 8000))


def test_a_softmax_over_layers_needs_all_of_them() -> None:
    with pytest.raises(SettingError, match="--encoder-layerdrop 0"):
        detector("softmax", "max", encoder_layerdrop=0.1)


# What is trained


@pytest.mark.parametrize("pooling", ["3x3", "attention"])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_everything_that_is_trained_gets_a_gradient(fusion: str, pooling: str) -> None:
    """The final norm only where the last hidden state is used."""
    model = detector(fusion, pooling).train()
    F.nll_loss(model(waveforms()), torch.tensor([0, 1])).backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name for name, parameter in model.named_parameters() if parameter.grad is not None} == trained
    assert trained >= NORM if fusion in ("softmax", "last") else not trained & NORM


def told_apart(output: Tensor, labels: Tensor) -> bool:
    """Every bona fide clip scores higher than every spoof: an EER of 0."""
    return bool(output[labels == 1, 1].min() > output[labels == 0, 1].max())


def overfit(model: SLS, clips: Tensor, labels: Tensor, n_updates: int) -> Tensor:
    """The log-probabilities of the clips after training on them, all in one batch."""
    cfg = OmegaConf.structured(L2AdamConfig)
    cfg.lr = [1e-3]
    optimizer = L2Adam(cfg, [parameter for parameter in model.parameters() if parameter.requires_grad])
    for _ in range(n_updates):
        optimizer.zero_grad()
        F.nll_loss(model.train()(clips), labels).backward()
        optimizer.step()
    with torch.no_grad():
        return model.eval()(clips)


@pytest.mark.parametrize("fusion", ["gate", "softmax"])
def test_layer_weights_move_and_sixteen_clips_are_told_apart(fusion: str) -> None:
    clips, labels = waveforms(16), torch.arange(16) % 2
    model = detector(fusion, "max")
    with torch.no_grad():
        states = torch.stack(list(model.eval().states(clips)))
        _, start = model.fuse(states)
    assert not told_apart(overfit(model, clips, labels, 0), labels)
    assert told_apart(overfit(model, clips, labels, 20), labels)
    with torch.no_grad():
        _, weights = model.fuse(states)
    assert (weights - start).abs().max() > 1e-3
    if fusion == "softmax":
        torch.testing.assert_close(start, torch.full_like(start, 1 / 5))
        torch.testing.assert_close(weights.sum(dim=0), torch.ones(16))
