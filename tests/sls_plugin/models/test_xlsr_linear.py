"""Two-stage XLS-R: its output against plain loops, its size, what either stage trains, and that it can learn."""

from typing import Any

import numpy as np
import pytest
import torch
from detectors import in_half_precision
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F

from fairseq_ckpt.wav2vec.random_backbone import TINY
from fairseq_ckpt.wav2vec.spec import XLSR_300M
from protocols import DataError
from sls_plugin.models.xlsr_linear import XLSRLinear, XLSRLinearConfig
from sls_plugin.optim.l2_adam import L2Adam, L2AdamConfig

N_SAMPLES = 4000
DROPOUT = {"dropout": 0.1, "attention_dropout": 0.1, "activation_dropout": 0.1, "dropout_input": 0.1}


def detector(config: dict[str, Any] = TINY, **settings: Any) -> XLSRLinear:
    torch.manual_seed(3)
    cfg = OmegaConf.structured(XLSRLinearConfig)
    cfg.w2v_args = config
    for name, value in settings.items():
        cfg[name] = value
    return XLSRLinear(cfg)


def waveforms(n_clips: int = 2, n_samples: int = N_SAMPLES, seed: int = 7) -> Tensor:
    return torch.from_numpy(0.1 * np.random.default_rng(seed).standard_normal((n_clips, n_samples), dtype=np.float32))


def optimiser(model: nn.Module, lr: float = 1e-3) -> L2Adam:
    cfg = OmegaConf.structured(L2AdamConfig)
    cfg.lr = [lr]
    return L2Adam(cfg, [parameter for parameter in model.parameters() if parameter.requires_grad])


def update(model: nn.Module, optimizer: L2Adam, clips: Tensor, labels: Tensor) -> None:
    optimizer.zero_grad()
    F.cross_entropy(model.train()(clips), labels).backward()
    optimizer.step()


# Output and size


def test_logits_are_those_of_plain_loops() -> None:
    model = detector().eval()
    inner, _, outer = model.time_pooling.attention
    hidden, _, _, last = model.classifier
    with torch.no_grad():
        output = model(waveforms())
        features = model.ssl_model.model(waveforms(), mask=False, features_only=True)["x"]  # behind the final norm
        for clip, logits in zip(features, output, strict=True):
            powers = [outer(torch.tanh(inner(frame))).exp() for frame in clip]
            pooled = sum(power / sum(powers) * frame for power, frame in zip(powers, clip, strict=True))
            torch.testing.assert_close(logits, last(hidden(pooled).clamp(min=0)), rtol=1e-4, atol=1e-5)


def test_the_published_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """In names and shapes only: fairseq's initialisation would copy tensors that have no values."""
    monkeypatch.setattr("fairseq.models.wav2vec.wav2vec2.init_bert_params", lambda module: None)
    with torch.device("meta"):
        model = detector(XLSR_300M)
    head = [tuple(parameter.shape) for name, parameter in model.named_parameters() if not name.startswith("ssl_model.")]
    assert head == [(128, 1024), (128,), (1, 128), (1,), (256, 1024), (256,), (2, 256), (2,)]
    assert model.classifier[2].p == 0.1
    assert model.ssl_model.n_frames(80_000) == 249  # of five seconds


@pytest.mark.parametrize("pooling", ["max", "mean", "attention"])
def test_clips_of_any_length_from_one_frame_on(pooling: str) -> None:
    model = detector(pooling=pooling).eval()
    with torch.no_grad():
        for n_samples in (400, 64_600, 80_000):
            assert model(waveforms(1, n_samples)).shape == (1, 2)
    with pytest.raises(DataError, match="clips of 399 samples: XLSRLinear needs at least 400"):
        model(waveforms(1, 399))


def test_scores_are_probabilities_of_bona_fide_and_ratios_logit_differences() -> None:
    logits = torch.tensor([[1.0, 1.0], [0.0, 2.0], [3.0, -90.0]])
    expected = [0.5, 1 / (1 + np.exp(-2.0)), 0.0]
    assert detector().scores(logits).tolist() == pytest.approx(expected, abs=1e-7)
    assert detector().log_likelihood_ratios(logits).tolist() == [0.0, 2.0, -93.0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_single_precision_logits_close_by(dtype: torch.dtype) -> None:
    model = detector(normalize=True).eval()
    with torch.no_grad():
        expected = model(waveforms())
        output = in_half_precision(model, dtype, waveforms())(waveforms())
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, expected, rtol=0.1, atol=0.1)


# Two stages


def test_the_first_stage_trains_the_head_the_second_the_top_layers_too() -> None:
    model = detector(freeze_backbone_updates=3, freeze_below_layer=2, **DROPOUT).train()
    optimizer = optimiser(model)
    head = {name for name, _ in model.named_parameters() if not name.startswith("ssl_model.")}
    top = {name for name, _ in model.named_parameters() if ".encoder.layers.2." in name or ".encoder.layers.3." in name}
    assert len(top) == 2 * 16
    for stage, n_updates, expected in ((1, 3, head), (2, 2, head | top)):
        before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        for number in range(n_updates):
            update(model, optimizer, waveforms(seed=number), torch.tensor([0, 1]))
            assert model.classifier.training
            assert [layer.training for layer in model.ssl_model.layers] == [False, False, stage == 2, stage == 2]
            model.set_num_updates(model.ssl_model.num_updates + 1)
        moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
        assert moved == expected


def test_features_of_the_first_stage_are_those_of_scoring() -> None:
    model = detector(freeze_backbone_updates=3, encoder_layerdrop=0.5, **DROPOUT)
    expected = model.eval().ssl_model.features(waveforms())
    model.train()
    for _ in range(3):
        assert torch.equal(model.ssl_model.features(waveforms()), expected)
    model.set_num_updates(3)
    assert not torch.equal(model.ssl_model.features(waveforms()), expected)


def test_the_second_stage_starts_with_fresh_moments_for_the_top_layers() -> None:
    """An Adam's first update moves every weight by the learning rate; the head's has a memory."""
    model = detector(freeze_backbone_updates=2, freeze_below_layer=3)
    optimizer = optimiser(model)
    for number in range(3):
        before = model.ssl_model.layers[3].fc1.weight.detach().clone()
        update(model, optimizer, waveforms(seed=number), torch.tensor([0, 1]))
        model.set_num_updates(number + 1)
    weight = model.ssl_model.layers[3].fc1.weight
    steps = (weight - before)[weight.grad.abs() > 1e-5].abs()
    assert len(steps) > 100
    torch.testing.assert_close(steps, torch.full_like(steps, 1e-3), rtol=0.01, atol=0)


def test_sixteen_clips_are_told_apart() -> None:
    clips, labels = waveforms(16), torch.arange(16) % 2
    model = detector(normalize=True)
    optimizer = optimiser(model)

    def told_apart() -> bool:
        """Every bona fide clip scores higher than every spoof: an EER of 0."""
        with torch.no_grad():
            scores = model.scores(model.eval()(clips))
        return bool(scores[labels == 1].min() > scores[labels == 0].max())

    assert not told_apart()
    for _ in range(20):
        update(model, optimizer, clips, labels)
    assert told_apart()
