"""The moving average of the weights, against a plain loop in float64."""

import pytest
import torch
from fairseq.dataclass.configs import EMAConfig
from omegaconf import OmegaConf
from torch import nn

from sls_plugin.optim.weight_average import WeightAverage


def model() -> nn.Module:
    """With what fairseq's own average cannot copy or multiply: weight normalisation, and BatchNorm's counter."""
    torch.manual_seed(0)
    return nn.Sequential(nn.utils.weight_norm(nn.Conv1d(2, 3, 3)), nn.BatchNorm1d(3))


@pytest.mark.parametrize(("freq", "start"), [(1, 0), (3, 0), (1, 4), (2, 5)])
def test_the_average_is_that_of_a_plain_loop_also_when_resumed(freq: int, start: int) -> None:
    network = model().train()
    settings = EMAConfig(store_ema=True, ema_decay=0.8, ema_update_freq=freq, ema_start_update=start)
    cfg = OmegaConf.structured(settings)
    average = WeightAverage(network, cfg)
    expected = {name: tensor.clone().double() for name, tensor in network.state_dict().items()}
    for updates in range(1, 10):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        network(torch.randn(4, 2, 8))  # moves BatchNorm's statistics
        if updates == 6:  # a new process
            state = {name: tensor.clone() for name, tensor in average.get_model().state_dict().items()}
            average = WeightAverage(network, cfg)
            average.restore(state)
        average.step(network, updates)
        if updates % freq == 0:
            decay = 0.8 if updates >= start else 0.0
            for name, tensor in network.state_dict().items():
                is_counter = not tensor.is_floating_point()
                expected[name] = tensor.double() if is_counter else decay * expected[name] + (1 - decay) * tensor.double()
    for name, tensor in average.state_dict().items():
        torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-6)


def test_the_average_of_half_precision_is_in_float32() -> None:
    """Otherwise an update of 1e-4 of a weight is rounded away."""
    network = nn.Linear(1, 1, bias=False).to(torch.bfloat16)
    nn.init.constant_(network.weight, 1.0)
    average = WeightAverage(network, OmegaConf.structured(EMAConfig(ema_decay=0.9999)))
    nn.init.constant_(network.weight, 2.0)
    for updates in range(1, 101):
        average.step(network, updates)
    assert average.state_dict()["weight"].item() == pytest.approx(2 - 0.9999**100, rel=1e-4)
