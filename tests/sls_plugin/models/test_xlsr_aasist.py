"""XLS-R + AASIST against the original's output and the naive reference, names and sizes. The rest: test_xlsr_heads.py."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from detectors import assert_published_names, float64_weights, golden_output, n_parameters
from omegaconf import DictConfig, OmegaConf
from reference import graph_reference
from reference.synthetic_weights import fill_outside_backbone

from fairseq_ckpt.wav2vec.random_backbone import TINY
from fairseq_ckpt.wav2vec.spec import XLSR_300M
from sls_plugin.models.xlsr_aasist import XLSRAASIST, XLSRAASISTConfig

NARROW = TINY | {"encoder_layers": 2, "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 16}
# As wide as XLS-R 300M where the head sees it, small where it does not.
WIDE = NARROW | {"encoder_embed_dim": 1024, "encoder_attention_heads": 16, "conv_pos_groups": 16, "final_dim": 768}


def configuration(config: dict[str, Any]) -> DictConfig:
    """The model's configuration for a backbone that needs no file."""
    cfg = OmegaConf.structured(XLSRAASISTConfig)
    cfg.w2v_args = config
    return cfg


def detector(config: dict[str, Any] = NARROW) -> XLSRAASIST:
    """A random detector, the same at every call, with a head whose every tensor is other than 0 or 1."""
    torch.manual_seed(3)
    model = XLSRAASIST(configuration(config)).eval()
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
    expected = [graph_reference.xlsr_aasist_head(float64_weights(model), clip) for clip in features]
    with torch.no_grad():
        assert model.head(torch.from_numpy(features.astype(np.float32))).dtype == torch.float32
        np.testing.assert_allclose(model.double().head(torch.from_numpy(features)), expected, rtol=1e-6, atol=1e-6)
