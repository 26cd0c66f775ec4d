"""XLS-R + Conformer + TCM against the original's output and the naive reference. The rest: test_xlsr_heads.py."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from detectors import float64_weights, golden_output, n_parameters
from omegaconf import DictConfig, OmegaConf
from reference import conformer_reference
from reference.synthetic_weights import fill_outside_backbone

from fairseq_ckpt.wav2vec.random_backbone import TINY
from fairseq_ckpt.wav2vec.spec import XLSR_300M
from protocols import DataError
from sls_plugin.models.xlsr_conformer_tcm import XLSRConformerTCM, XLSRConformerTCMConfig

NARROW = TINY | {"encoder_layers": 2, "encoder_embed_dim": 64, "encoder_ffn_embed_dim": 16}
# As wide as XLS-R 300M where the head sees it, small where it does not.
WIDE = NARROW | {"encoder_embed_dim": 1024, "encoder_attention_heads": 16, "conv_pos_groups": 16, "final_dim": 768}


def configuration(config: dict[str, Any]) -> DictConfig:
    """The model's configuration for a backbone that needs no file."""
    cfg = OmegaConf.structured(XLSRConformerTCMConfig)
    cfg.w2v_args = config
    return cfg


def detector(config: dict[str, Any] = NARROW) -> XLSRConformerTCM:
    """A random detector, the same at every call, with a head whose every tensor is other than 0 or 1."""
    torch.manual_seed(3)
    model = XLSRConformerTCM(configuration(config)).eval()
    fill_outside_backbone(model)
    return model


@pytest.fixture
def true_size(monkeypatch: pytest.MonkeyPatch) -> XLSRConformerTCM:
    """The published system in names and shapes only: its 1.3 GB are never allocated."""
    # fairseq's initialisation copies through the CPU, which a tensor without values cannot do.
    monkeypatch.setattr("fairseq.models.wav2vec.wav2vec2.init_bert_params", lambda module: None)
    with torch.device("meta"):
        return XLSRConformerTCM(configuration(XLSR_300M))


def test_names_shapes_and_number_of_parameters(true_size: XLSRConformerTCM, shared: Path) -> None:
    head = {name: tensor for name, tensor in true_size.state_dict().items() if not name.startswith("ssl_model.")}
    listed = json.loads((shared / "reference" / "keys" / "xlsr_conformer_tcm_head.json").read_text())
    assert {name: list(tensor.shape) for name, tensor in head.items()} == {name: entry["shape"] for name, entry in listed.items()}
    assert n_parameters(true_size) == 321_213_220


@pytest.mark.parametrize(("seed", "n_frames"), [(6, 201), (7, 333)])
def test_the_head_gives_the_originals_logits(seed: int, n_frames: int, shared: Path) -> None:
    features = torch.from_numpy(np.random.default_rng(seed).standard_normal((2, n_frames, 1024), dtype=np.float32))
    with torch.no_grad():
        output = detector(WIDE).head(features)
    np.testing.assert_allclose(output, golden_output(shared, "xlsr_conformer_tcm", seed), rtol=0, atol=2e-5)


@pytest.mark.parametrize("n_frames", [1, 2, 31])
def test_the_head_is_the_references(n_frames: int) -> None:
    model = detector()
    features = np.random.default_rng(n_frames).standard_normal((2, n_frames, 64))
    expected = [conformer_reference.conformer_tcm_head(float64_weights(model), clip) for clip in features]
    with torch.no_grad():
        assert model.head(torch.from_numpy(features.astype(np.float32))).dtype == torch.float32
        np.testing.assert_allclose(model.double().head(torch.from_numpy(features)), expected, rtol=1e-6, atol=1e-6)


def test_the_positions_are_fixed_and_have_an_end() -> None:
    model = detector()
    assert not model.conformer.positional_emb.requires_grad
    table = model.conformer.positional_emb[0]
    assert table[3, 4].item() == pytest.approx(np.sin(3 / 10_000 ** (4 / 144)), abs=1e-6)
    assert table[9_999, 143].item() == pytest.approx(np.cos(9_999 / 10_000 ** (142 / 144)), abs=1e-6)
    with pytest.raises(DataError, match=r"^clips of 10,001 frames: the Conformer takes at most 10,000, 200 s: shorten them$"):
        model.conformer(torch.zeros(1, 10_001, 144))
