"""XLS-R + AASIST against the original's output and the naive reference; what reaches the head; lengths; training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from detectors import assert_published_names, build, float64_weights, golden_output, n_parameters, train, waveforms
from omegaconf import DictConfig, OmegaConf
from reference import graph_reference
from reference.synthetic_weights import fill_outside_backbone

from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random
from fairseq_ckpt.wav2vec.spec import XLSR_300M
from protocols import DataError, SettingError
from sls_plugin.models.xlsr_aasist import XLSRAASIST, XLSRAASISTConfig

NARROW = TINY | {"encoder_layers": 2, "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 16}
# As wide as XLS-R 300M where the head sees it, small where it does not.
WIDE = NARROW | {"encoder_embed_dim": 1024, "encoder_attention_heads": 16, "conv_pos_groups": 16, "final_dim": 768}


def configuration(config: dict[str, Any], **settings: Any) -> DictConfig:
    """The model's configuration for a backbone that needs no file."""
    cfg = OmegaConf.structured(XLSRAASISTConfig)
    cfg.w2v_args = config
    cfg.update(settings)
    return cfg


def detector(config: dict[str, Any] = NARROW, **settings: Any) -> XLSRAASIST:
    """A random detector, the same at every call, with a head whose every tensor is other than 0 or 1."""
    torch.manual_seed(3)
    model = XLSRAASIST(configuration(config, **settings)).eval()
    fill_outside_backbone(model)
    return model


@pytest.fixture
def true_size(monkeypatch: pytest.MonkeyPatch) -> XLSRAASIST:
    """The published system in names and shapes only: its 1.3 GB are never allocated."""
    # fairseq's initialisation copies through the CPU, which a tensor without values cannot do.
    monkeypatch.setattr("fairseq.models.wav2vec.wav2vec2.init_bert_params", lambda module: None)
    with torch.device("meta"):
        return XLSRAASIST(configuration(XLSR_300M))


def test_names_shapes_and_number_of_parameters(true_size: XLSRAASIST, shared: Path) -> None:
    assert_published_names(true_size, shared, "ssl_aasist_full")
    assert n_parameters(true_size) == 317_837_834


def test_the_head_gives_the_originals_logits(shared: Path) -> None:
    features = torch.from_numpy(np.random.default_rng(2).standard_normal((2, 201, 1024), dtype=np.float32))
    with torch.no_grad():
        output = detector(WIDE).head(features)
    np.testing.assert_allclose(output, golden_output(shared, "xlsr_aasist", 2), rtol=0, atol=5e-5)


@pytest.mark.parametrize("n_frames", [3, 4, 31])
def test_the_head_is_the_references(n_frames: int) -> None:
    model = detector()
    features = np.random.default_rng(n_frames).standard_normal((2, n_frames, 16))
    with torch.no_grad():
        output = model.head(torch.from_numpy(features.astype(np.float32)))
    expected = [graph_reference.xlsr_aasist_head(float64_weights(model), clip) for clip in features]
    assert output.dtype == torch.float32
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-4)


def test_the_head_hears_the_last_layer_behind_the_final_norm() -> None:
    model = detector()
    with torch.no_grad():
        *_, last = model.ssl_model.layer_outputs(waveforms(8_000))
        last = last.transpose(0, 1)
        features = model.ssl_model.model.encoder.layer_norm(last)
        assert not torch.allclose(features, last, atol=0.1)
        torch.testing.assert_close(model.ssl_model.features(waveforms(8_000)), features)
        torch.testing.assert_close(model(waveforms(8_000)), model.head(features))


def test_clips_of_any_length_from_three_frames_on() -> None:
    model = detector()
    with torch.no_grad():
        for n_samples in (1_040, 16_000, 64_600, 66_800):
            assert model(waveforms(n_samples, 1)).isfinite().all()
        with pytest.raises(DataError, match="clips of 1,039 samples: XLSRAASIST needs at least 1,040: raise --max-samples"):
            model(waveforms(1_039, 1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_single_precision_scores_close_by(dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    model = XLSRAASIST(configuration(NARROW)).eval()
    with torch.no_grad():
        expected = model(waveforms(8_000))
        output = model.to(dtype)(waveforms(8_000))
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, expected, rtol=0.1, atol=0.1)


# Training


def untrained(model: XLSRAASIST) -> set[str]:
    model.train()(waveforms(8_000)).square().sum().backward()
    return {name for name, parameter in model.named_parameters() if parameter.grad is None}


def test_what_is_never_trained() -> None:
    model = detector()
    never = {f"encoder.{number}.0.bn1.{kind}" for number in range(1, 6) for kind in ("weight", "bias")}
    pretraining = ("mask_emb", "quantizer.", "project_q.", "final_proj.")
    never |= {name for name, _ in model.named_parameters() if name.removeprefix("ssl_model.model.").startswith(pretraining)}
    assert untrained(model) == never
    assert {name for name, parameter in model.named_parameters() if not parameter.requires_grad} == never


def test_a_frozen_backbone_gets_no_gradients() -> None:
    names = untrained(detector(freeze_backbone=True))
    assert {name for name in names if not name.startswith("encoder.")} == {
        name for name, _ in detector().named_parameters() if name.startswith("ssl_model.")
    }


def test_the_heads_learning_rate_is_its_own() -> None:
    model = detector(head_lr_scale=10.0)
    scaled = {name for name, parameter in model.named_parameters() if hasattr(parameter, "optim_overrides")}
    assert scaled == {name for name, _ in model.named_parameters() if not name.startswith("ssl_model.")}
    with pytest.raises(SettingError, match=r"--head-lr-scale 0\.0"):
        detector(head_lr_scale=0.0)


def test_sixteen_clips_are_told_apart_after_28_updates(tmp_path: Path) -> None:
    make_random(NARROW, tmp_path / "narrow.pt")
    loss, eer = train("xlsr_aasist_300m", "--w2v-path", str(tmp_path / "narrow.pt"), n_samples=4_000, n_updates=28, lr=1e-3)
    assert loss < 0.55
    assert eer < 0.2


def test_training_and_a_checkpoint_give_the_same_scores(tiny_checkpoint: Path) -> None:
    """A file of the backbone for training; for scoring, configuration and tensors of the detector alone."""
    trained = build("xlsr_aasist_300m", "--w2v-path", str(tiny_checkpoint)).eval()
    cfg = OmegaConf.create(OmegaConf.to_container(trained.cfg, resolve=True))
    cfg.w2v_path = None
    scoring = XLSRAASIST.build_model(cfg).eval()
    scoring.load_state_dict(trained.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(trained(waveforms(8_000)), scoring(waveforms(8_000)))


def test_scores_and_ratios() -> None:
    output = torch.tensor([[3.0, -1.0], [0.5, 2.0]])
    assert detector().scores(output).tolist() == [-1.0, 2.0]
    assert detector().log_likelihood_ratios(output).tolist() == [-4.0, 1.5]
