"""XLS-R + Nes2Net-X against the original's output and the naive reference, names and sizes. The rest: test_xlsr_heads.py."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from detectors import assert_published_names, float64_weights, golden_output, n_parameters
from omegaconf import DictConfig, OmegaConf
from reference import nes2net_reference
from reference.synthetic_weights import fill_outside_backbone

from fairseq_ckpt.wav2vec.random_backbone import TINY
from fairseq_ckpt.wav2vec.spec import XLSR_300M
from protocols import SettingError
from sls_plugin.models.xlsr_nes2net_x import XLSRNes2NetX, XLSRNes2NetXConfig

NARROW = TINY | {"encoder_layers": 2, "encoder_embed_dim": 64, "encoder_ffn_embed_dim": 16}
# As wide as XLS-R 300M where the head sees it, small where it does not.
WIDE = NARROW | {"encoder_embed_dim": 1024, "encoder_attention_heads": 16, "conv_pos_groups": 16, "final_dim": 768}


def configuration(config: dict[str, Any]) -> DictConfig:
    """The model's configuration for a backbone that needs no file."""
    cfg = OmegaConf.structured(XLSRNes2NetXConfig)
    cfg.w2v_args = config
    return cfg


def detector(config: dict[str, Any] = NARROW) -> XLSRNes2NetX:
    """A random detector, the same at every call, with a head whose every tensor is other than 0 or 1."""
    torch.manual_seed(3)
    model = XLSRNes2NetX(configuration(config)).eval()
    fill_outside_backbone(model)
    return model


@pytest.fixture
def true_size(monkeypatch: pytest.MonkeyPatch) -> XLSRNes2NetX:
    """The published system in names and shapes only: its 1.3 GB are never allocated."""
    # fairseq's initialisation copies through the CPU, which a tensor without values cannot do.
    monkeypatch.setattr("fairseq.models.wav2vec.wav2vec2.init_bert_params", lambda module: None)
    with torch.device("meta"):
        return XLSRNes2NetX(configuration(XLSR_300M))


def test_names_shapes_and_number_of_parameters(true_size: XLSRNes2NetX, shared: Path) -> None:
    assert_published_names(true_size.Nested_Res2Net_TDNN, shared, "nes2net_x_head", prefix="Nested_Res2Net_TDNN.")
    assert n_parameters(true_size) == 317_902_631
    assert n_parameters(true_size.Nested_Res2Net_TDNN) == 512_039


@pytest.mark.parametrize(("seed", "n_frames"), [(6, 201), (7, 333)])
def test_the_head_gives_the_originals_logits(seed: int, n_frames: int, shared: Path) -> None:
    features = torch.from_numpy(np.random.default_rng(seed).standard_normal((2, n_frames, 1024), dtype=np.float32))
    with torch.no_grad():
        output = detector(WIDE).head(features)
    np.testing.assert_allclose(output, golden_output(shared, "nes2net_x", seed), rtol=0, atol=2e-5)


@pytest.mark.parametrize("n_frames", [1, 2, 31])
def test_the_head_is_the_references(n_frames: int) -> None:
    model = detector()
    features = np.random.default_rng(n_frames).standard_normal((2, n_frames, 64))
    expected = [nes2net_reference.nes2net_x_head(float64_weights(model), clip) for clip in features]
    with torch.no_grad():
        assert model.head(torch.from_numpy(features.astype(np.float32))).dtype == torch.float32
        np.testing.assert_allclose(model.double().head(torch.from_numpy(features)), expected, rtol=1e-6, atol=1e-6)


def test_a_backbone_that_cannot_be_divided_is_refused() -> None:
    with pytest.raises(SettingError, match=r"^a backbone of 48 features: Nes2Net-X needs a multiple of 64: choose another --"):
        detector(TINY)
