"""What all detectors with a head of one backbone output share: what reaches the head, lengths, precision, training, scores."""

from pathlib import Path
from typing import Any

import pytest
import torch
from detectors import build, in_half_precision, train, waveforms
from fairseq.models import ARCH_MODEL_NAME_REGISTRY, ARCH_MODEL_REGISTRY, MODEL_DATACLASS_REGISTRY
from omegaconf import DictConfig, OmegaConf
from reference.synthetic_weights import fill_outside_backbone

from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random
from protocols import DataError, SettingError
from sls_plugin.models.backbones import BackboneDetector

NARROW = TINY | {"encoder_layers": 2, "encoder_embed_dim": 64, "encoder_ffn_embed_dim": 16}
HEADS = ("xlsr_aasist_300m", "xlsr_nes2net_x_300m", "xlsr_conformer_tcm_300m")
SHORTEST = dict.fromkeys(HEADS, 400) | {"xlsr_aasist_300m": 1_040}  # samples: one frame, and three
FIXED = {  # parameters that the published files have and no training changes
    "xlsr_aasist_300m": {f"encoder.{number}.0.bn1.{kind}" for number in range(1, 6) for kind in ("weight", "bias")},
    "xlsr_nes2net_x_300m": set(),
    "xlsr_conformer_tcm_300m": {"conformer.positional_emb"},
}
pytestmark = pytest.mark.parametrize("arch", HEADS)


def configuration(arch: str, **settings: Any) -> DictConfig:
    """The model's configuration for a backbone that needs no file."""
    cfg = OmegaConf.structured(MODEL_DATACLASS_REGISTRY[ARCH_MODEL_NAME_REGISTRY[arch]])
    cfg.w2v_args = NARROW
    cfg.update(settings)
    return cfg


def untouched(arch: str, **settings: Any) -> BackboneDetector:
    """A random detector, the same at every call."""
    torch.manual_seed(3)
    return ARCH_MODEL_REGISTRY[arch](configuration(arch, **settings)).eval()


def detector(arch: str, **settings: Any) -> BackboneDetector:
    """The same with a head whose every tensor is other than 0 or 1."""
    model = untouched(arch, **settings)
    fill_outside_backbone(model)
    return model


def test_the_head_hears_the_last_layer_behind_the_final_norm(arch: str) -> None:
    model = detector(arch)
    with torch.no_grad():
        *_, last = model.ssl_model.layer_outputs(waveforms(8_000))
        last = last.transpose(0, 1)
        features = model.ssl_model.model.encoder.layer_norm(last)
        assert not torch.allclose(features, last, atol=0.1)
        torch.testing.assert_close(model.ssl_model.features(waveforms(8_000)), features)
        torch.testing.assert_close(model(waveforms(8_000)), model.head(features))


def test_clips_of_any_length_that_the_head_can_take(arch: str) -> None:
    model, shortest = detector(arch), SHORTEST[arch]
    with torch.no_grad():
        for n_samples in (shortest, 16_000, 64_600, 66_800):
            assert model(waveforms(n_samples, 1)).isfinite().all()
        problem = f"clips of {shortest - 1:,} samples: {type(model).__name__} needs at least {shortest:,}: raise --max-samples"
        with pytest.raises(DataError, match=problem):
            model(waveforms(shortest - 1, 1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_single_precision_scores_close_by(dtype: torch.dtype, arch: str) -> None:
    model = untouched(arch)
    with torch.no_grad():
        expected = model(waveforms(8_000))
        output = in_half_precision(model, dtype, waveforms(8_000))(waveforms(8_000))
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, expected, rtol=0.1, atol=0.1)


def untrained(model: BackboneDetector) -> set[str]:
    model.train()(waveforms(8_000)).square().sum().backward()
    return {name for name, parameter in model.named_parameters() if parameter.grad is None}


def test_what_is_never_trained(arch: str) -> None:
    """What is fixed in the head, and what pre-training alone needs."""
    model = detector(arch)
    pretraining = ("mask_emb", "quantizer.", "project_q.", "final_proj.")
    names = {name for name, _ in model.named_parameters()}
    never = FIXED[arch] | {name for name in names if name.removeprefix("ssl_model.model.").startswith(pretraining)}
    assert untrained(model) == never
    assert {name for name, parameter in model.named_parameters() if not parameter.requires_grad} == never


def test_a_frozen_backbone_gets_no_gradients(arch: str) -> None:
    names = {name for name, _ in detector(arch).named_parameters() if name.startswith("ssl_model.")}
    assert untrained(detector(arch, freeze_backbone=True)) == names | FIXED[arch]


def test_the_heads_learning_rate_is_its_own(arch: str) -> None:
    model = detector(arch, head_lr_scale=10.0)
    scaled = {name for name, parameter in model.named_parameters() if hasattr(parameter, "optim_overrides")}
    assert scaled == {name for name, _ in model.named_parameters() if not name.startswith("ssl_model.")}
    with pytest.raises(SettingError, match=r"--head-lr-scale 0\.0"):
        detector(arch, head_lr_scale=0.0)


def test_sixteen_clips_are_told_apart_after_32_updates(arch: str, tmp_path: Path) -> None:
    make_random(NARROW, tmp_path / "narrow.pt")
    loss, eer = train(arch, "--w2v-path", str(tmp_path / "narrow.pt"), n_samples=4_000, n_updates=32, lr=1e-3)
    assert loss < 0.6
    assert eer < 0.2


def test_training_and_a_checkpoint_give_the_same_scores(arch: str, tmp_path: Path) -> None:
    """A file of the backbone for training; for scoring, configuration and tensors of the detector alone."""
    make_random(NARROW, tmp_path / "narrow.pt")
    trained = build(arch, "--w2v-path", str(tmp_path / "narrow.pt")).eval()
    cfg = OmegaConf.create(OmegaConf.to_container(trained.cfg, resolve=True))
    cfg.w2v_path = None
    scoring = type(trained).build_model(cfg).eval()
    scoring.load_state_dict(trained.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(trained(waveforms(8_000)), scoring(waveforms(8_000)))


def test_scores_and_ratios(arch: str) -> None:
    output = torch.tensor([[3.0, -1.0], [0.5, 2.0]])
    assert detector(arch).scores(output).tolist() == [-1.0, 2.0]
    assert detector(arch).log_likelihood_ratios(output).tolist() == [-4.0, 1.5]
