"""XLS-R + MHFA against the naive reference; which hidden states it hears, its size, and what it learns on a frozen backbone."""

from typing import Any

import numpy as np
import pytest
import torch
from detectors import build, float64_weights, in_half_precision, n_parameters, train, waveforms
from omegaconf import DictConfig, OmegaConf
from reference import mhfa_reference
from reference.synthetic_weights import fill_outside_backbone

from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random
from fairseq_ckpt.wav2vec.spec import XLSR_300M
from protocols import DataError, SettingError
from sls_plugin.models.xlsr_mhfa import XLSRMHFA, XLSRMHFAConfig


def configuration(config: dict[str, Any] = TINY, **settings: Any) -> DictConfig:
    """The model's configuration for a backbone that needs no file."""
    cfg = OmegaConf.structured(XLSRMHFAConfig)
    cfg.w2v_args = config
    cfg.update(settings)
    return cfg


def detector(**settings: Any) -> XLSRMHFA:
    """A random detector, the same at every call, with a head whose every tensor is other than 0 or 1."""
    torch.manual_seed(3)
    model = XLSRMHFA(configuration(**settings)).eval()
    fill_outside_backbone(model)
    return model


@pytest.mark.parametrize(("n_heads", "n_frames"), [(1, 1), (8, 31), (32, 2)])
def test_the_head_is_the_references(n_heads: int, n_frames: int) -> None:
    model = detector(mhfa_heads=n_heads)
    states = np.random.default_rng(n_frames).standard_normal((5, n_frames, 2, 48))  # as many as the backbone has, and one
    expected = [mhfa_reference.mhfa_head(float64_weights(model), states[:, :, clip]) for clip in range(2)]
    with torch.no_grad():
        in_single = model.head(torch.from_numpy(states.astype(np.float32)))
        assert in_single.dtype == torch.float32
        np.testing.assert_allclose(in_single, expected, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(model.double().head(torch.from_numpy(states)), expected, rtol=1e-6, atol=1e-6)


def test_it_hears_the_input_of_the_first_layer_and_the_output_of_each() -> None:
    model = detector()
    with torch.no_grad():
        states = list(model.ssl_model.hidden_states(waveforms(8_000)))
        assert len(states) == len(model.mhfa.weights_k) == model.ssl_model.n_layers + 1
        torch.testing.assert_close(model(waveforms(8_000)), model.head(states))
        assert not torch.allclose(model.head(states[::-1]), model.head(states))
        with pytest.raises(ValueError, match="zip"):
            model.head(states[1:])


def test_size_of_the_published_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    """50 weights, 2 x (1024 x 128 + 128), 128 x 32 + 32, 4096 x 256 + 256, 256 x 2 + 2."""
    monkeypatch.setattr("fairseq.models.wav2vec.wav2vec2.init_bert_params", lambda module: None)
    with torch.device("meta"):
        model = XLSRMHFA(configuration(XLSR_300M))
    assert n_parameters(model) == 318_706_516
    assert n_parameters(model) - n_parameters(model.ssl_model) == 50 + 262_400 + 4_128 + 1_048_832 + 514


def test_every_hidden_state_weighs_the_same_at_first(tiny_checkpoint: Any) -> None:
    model = build("xlsr_mhfa_300m", "--w2v-path", str(tiny_checkpoint))
    assert torch.softmax(model.mhfa.weights_k, dim=0).tolist() == pytest.approx([0.2] * 5)
    assert model.mhfa.att_head.out_features == 32


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_single_precision_scores_close_by(dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    model = XLSRMHFA(configuration()).eval()
    with torch.no_grad():
        expected = model(waveforms(8_000))
        output = in_half_precision(model, dtype, waveforms(8_000))(waveforms(8_000))
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, expected, rtol=0.1, atol=0.1)


def test_a_frozen_backbone_trains_the_head_alone() -> None:
    model = detector(freeze_backbone=True)
    model.train()(waveforms(8_000)).square().sum().backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == {name for name, _ in model.named_parameters() if not name.startswith("ssl_model.")}
    assert all(parameter.grad.abs().sum() > 0 for parameter in (model.mhfa.weights_k, model.mhfa.weights_v))


@pytest.mark.parametrize("options", [(), ("--freeze-backbone",)], ids=["all", "frozen"])
def test_sixteen_clips_are_told_apart_after_32_updates(options: tuple[str, ...], tmp_path: Any) -> None:
    make_random(TINY | {"encoder_layers": 2, "encoder_embed_dim": 64, "encoder_ffn_embed_dim": 16}, tmp_path / "narrow.pt")
    arguments = ("--w2v-path", str(tmp_path / "narrow.pt"), *options)
    loss, eer = train("xlsr_mhfa_300m", *arguments, n_samples=4_000, n_updates=32, lr=1e-3)
    assert loss < 0.6
    assert eer < 0.2


def test_what_is_refused() -> None:
    for n_heads in (0, 1025):
        with pytest.raises(SettingError, match=rf"^--mhfa-heads {n_heads}: must be from 1 to 1,024$"):
            detector(mhfa_heads=n_heads)
    with pytest.raises(SettingError, match=r"^--arch xlsr_mhfa_300m weighs every layer: set --encoder-layerdrop 0$"):
        detector(encoder_layerdrop=0.1)
    with pytest.raises(DataError, match="clips of 399 samples: XLSRMHFA needs at least 400"):
        detector()(waveforms(399, 1))
