"""The mixer and its layer against the plain reference; how training starts; what half precision keeps."""

import math

import numpy as np
import pytest
import torch
from reference.mamba_reference import reference_mixer
from torch.nn import functional as F

from sls_plugin.modules.mamba import MambaLayer, MambaMixer
from sls_plugin.modules.selective_scan import selective_scan


def frames(n_frames: int = 21, n_features: int = 20) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(5).standard_normal((2, n_frames, n_features)))


def mixer(n_features: int = 20) -> MambaMixer:
    """In float64; with biases that are not zero."""
    torch.manual_seed(4)
    built = MambaMixer(n_features, depth=1).double()
    torch.nn.init.uniform_(built.conv1d.bias, -0.5, 0.5)
    torch.nn.init.uniform_(built.D, 0.5, 1.5)
    return built


@pytest.mark.parametrize("n_features", [16, 20])
@pytest.mark.parametrize("n_frames", [1, 2, 40])
def test_the_mixer_is_the_reference(n_features: int, n_frames: int) -> None:
    model, x = mixer(n_features), frames(n_frames, n_features)
    weights = {f"mixer.{name}": tensor for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        output, expected = model(x), reference_mixer(weights, "mixer", x)
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-10)


def test_names_and_shapes_of_a_mixer() -> None:
    """The published ones, for 144 features."""
    assert {name: tuple(tensor.shape) for name, tensor in MambaMixer(144, depth=6).named_parameters()} == {
        "A_log": (288, 16),
        "D": (288,),
        "in_proj.weight": (576, 144),
        "conv1d.weight": (288, 1, 4),
        "conv1d.bias": (288,),
        "x_proj.weight": (41, 288),
        "dt_proj.weight": (288, 9),
        "dt_proj.bias": (288,),
        "out_proj.weight": (144, 288),
    }


def test_every_parameter_of_a_mixer_learns() -> None:
    model = mixer()
    model(frames()).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().max() > 1e-6, name


def test_the_future_is_not_heard() -> None:
    model, x = mixer(), frames()
    changed = x.clone()
    changed[:, 12:] += 1
    difference = (model(changed) - model(x)).abs().amax(dim=(0, 2))
    assert difference[:12].max() == 0
    assert difference[12:].min() > 1e-6


def test_how_training_starts() -> None:
    torch.manual_seed(6)
    model = MambaMixer(144, depth=6)
    dt = F.softplus(model.dt_proj.bias)
    assert (dt.min().item(), dt.max().item()) == pytest.approx((1e-3, 1e-1), rel=0.1)
    assert dt.log().mean().item() == pytest.approx(math.log(1e-2), abs=0.3)  # as many between 1e-3 and 1e-2 as above
    torch.testing.assert_close(model.A_log.exp(), torch.arange(1.0, 17.0).expand(288, 16))
    assert (model.D == 1).all()
    assert model.conv1d.bias.abs().max().item() == pytest.approx(0.5, rel=0.02)  # torch's default for four inputs per output
    bound = 1 / math.sqrt(288)
    assert model.out_proj.weight.abs().max().item() == pytest.approx(bound / math.sqrt(6), rel=0.01)
    assert model.in_proj.weight.abs().max().item() == pytest.approx(1 / math.sqrt(144), rel=0.01)


def test_a_layer_normalises_what_its_mixer_hears() -> None:
    torch.manual_seed(8)
    layer = MambaLayer(20, depth=1).double()
    torch.nn.init.uniform_(layer.norm.weight, 0.5, 1.5)
    x = 7 * frames()
    normed = x / (x.square().mean(dim=2, keepdim=True) + 1e-5).sqrt() * layer.norm.weight
    torch.testing.assert_close(layer(x), layer.mixer(normed), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_with_a_residual_stream_in_single_precision(dtype: torch.dtype) -> None:
    torch.manual_seed(9)
    layer, stream = MambaLayer(20, depth=1), frames().float()
    with torch.no_grad():
        expected = layer(stream)
        output = layer.to(dtype)(stream)
    assert output.dtype == dtype
    torch.testing.assert_close(output.float(), expected, rtol=0, atol=0.03 * expected.abs().max().item())


def test_half_precision_weights_give_the_scan_steps_and_decays_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    scanned = {}

    def recorded(x: torch.Tensor, dt: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor) -> torch.Tensor:
        scanned.update(dt=dt, A=A)
        return selective_scan(x, dt, A, B, C)

    monkeypatch.setattr("sls_plugin.modules.mamba.selective_scan", recorded)
    model = mixer().bfloat16()
    model(frames().bfloat16())
    assert (scanned["dt"].dtype, scanned["A"].dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(scanned["A"], -model.A_log.float().exp())
