"""The references that other tests trust: they give what the original implementations gave."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq.models.wav2vec import Wav2Vec2Config, Wav2Vec2Model

from reference.rawboost_reference import PUBLISHED_DEFAULTS, golden_case, process
from reference.sls_reference import ReferenceSLS, reference_loss
from reference.synthetic_weights import fill_outside_backbone, synthetic_tensor


@pytest.fixture
def xlsr_300m(monkeypatch: pytest.MonkeyPatch) -> Wav2Vec2Model:
    """XLS-R 300M in names and shapes only: its 1.3 GB are never allocated."""
    # fairseq's initialisation copies through the CPU, which a tensor without values cannot do.
    monkeypatch.setattr("fairseq.models.wav2vec.wav2vec2.init_bert_params", lambda module: None)
    config = Wav2Vec2Config(
        extractor_mode="layer_norm",
        layer_norm_first=True,
        conv_bias=True,
        encoder_layers=24,
        encoder_embed_dim=1024,
        encoder_ffn_embed_dim=4096,
        encoder_attention_heads=16,
        final_dim=768,
        quantize_targets=True,
    )
    with torch.device("meta"):
        return Wav2Vec2Model(config)


def tiny_backbone(dropout: float) -> Wav2Vec2Model:
    """A random wav2vec 2.0 with the published strides, three layers and 24 features."""
    torch.manual_seed(0)
    return Wav2Vec2Model(
        Wav2Vec2Config(
            extractor_mode="layer_norm",
            layer_norm_first=True,
            conv_feature_layers="[(8, 10, 5)] + [(8, 3, 2)] * 4 + [(8, 2, 2)] * 2",
            encoder_layers=3,
            encoder_embed_dim=24,
            encoder_ffn_embed_dim=48,
            encoder_attention_heads=4,
            conv_pos=16,
            conv_pos_groups=4,
            dropout=dropout,
            attention_dropout=dropout,
            encoder_layerdrop=0.0,
        )
    )


def waveforms(n_samples: int) -> torch.Tensor:
    return torch.from_numpy(0.1 * np.random.default_rng(7).standard_normal((2, n_samples), dtype=np.float32))


def test_rawboost_gives_the_originals_outputs(shared: Path) -> None:
    golden = np.load(shared / "reference" / "golden" / "rawboost.npz")
    waveform = golden["input"]
    keys = [key for key in golden.files if key != "input"]
    assert {golden_case(key)[0] for key in keys} == set(range(1, 9))
    for key in keys:
        algorithm, seed, parameters = golden_case(key)
        augmented = process(waveform, algorithm, np.random.RandomState(seed), **parameters)
        np.testing.assert_allclose(augmented, golden[key], rtol=0, atol=1e-7, err_msg=key)


def test_golden_keys_are_read_whole() -> None:
    assert golden_case("algo4_seed104") == (4, 104, {})
    changed = {"nBands": 3, "maxCoeff": 60, "N_f": 3, "P": 20, "SNRmax": 20}
    assert golden_case("algo4_seed109_nBands3_maxCoeff60_N_f3_P20_SNRmax20") == (4, 109, changed)
    assert changed.keys() <= PUBLISHED_DEFAULTS.keys()


def test_sls_head_gives_the_originals_output(shared: Path, xlsr_300m: Wav2Vec2Model) -> None:
    expected = json.loads((shared / "reference" / "golden" / "heads.json").read_text())["sls"]["1"]
    model = ReferenceSLS(xlsr_300m, n_frames=201).eval()
    fill_outside_backbone(model)
    layers = np.random.default_rng(1).standard_normal((24, 201, 2, 1024), dtype=np.float32)
    with torch.no_grad():
        log_probabilities = model.head(list(torch.from_numpy(layers)))
    # float32 itself is no finer: the same head in float64 is 3.3e-6 away from the golden values.
    np.testing.assert_allclose(log_probabilities, expected, rtol=5e-6)


def test_sls_names_and_shapes_are_the_originals(shared: Path, xlsr_300m: Wav2Vec2Model) -> None:
    expected = json.loads((shared / "reference" / "keys" / "sls_full.json").read_text())
    with torch.device("meta"):
        model = ReferenceSLS(xlsr_300m, n_frames=201)
    assert {name: list(tensor.shape) for name, tensor in model.state_dict().items()} == {
        name: entry["shape"] for name, entry in expected.items()
    }
    assert {name for name, _ in model.named_parameters()} == {
        name for name, entry in expected.items() if entry["param"]
    }


def test_the_second_pass_changes_nothing_in_eval_mode() -> None:
    model = ReferenceSLS(tiny_backbone(dropout=0.1), n_frames=62).eval()
    waveform = waveforms(20000)
    single_pass = model.ssl_model.model(waveform, mask=False, features_only=True)["layer_results"]
    assert torch.equal(model(waveform), model.head([layer[0] for layer in single_pass]))


def test_the_second_pass_changes_nothing_in_training_without_dropout() -> None:
    model = ReferenceSLS(tiny_backbone(dropout=0.0), n_frames=62)
    waveform = waveforms(20000)
    labels = torch.tensor([0, 1])

    def gradients(log_probabilities: torch.Tensor) -> dict[str, torch.Tensor]:
        model.zero_grad()
        reference_loss(log_probabilities, labels).backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    double = gradients(model(waveform))
    single_pass = model.ssl_model.model(waveform, mask=False, features_only=True)["layer_results"]
    single = gradients(model.head([layer[0] for layer in single_pass]))
    assert double.keys() == single.keys()
    assert all(torch.equal(double[name], single[name]) for name in double)
    without_gradient = {name for name, _ in model.named_parameters()} - double.keys()
    assert {"ssl_model.model.mask_emb", "ssl_model.model.encoder.layer_norm.weight"} <= without_gradient


@pytest.mark.parametrize(
    ("n_samples", "n_frames"), [(400, 1), (719, 1), (720, 2), (64399, 200), (64400, 201), (64600, 201), (64720, 202)]
)
def test_a_frame_is_400_samples_every_320(n_samples: int, n_frames: int) -> None:
    assert n_frames == (n_samples - 400) // 320 + 1
    model = ReferenceSLS(tiny_backbone(dropout=0.0), n_frames=201).eval()
    with torch.no_grad():
        layers = model.layer_outputs(waveforms(n_samples))
    assert [tuple(layer.shape) for layer in layers] == [(n_frames, 2, 24)] * 3


def test_the_head_takes_201_to_203_frames_only() -> None:
    model = ReferenceSLS(tiny_backbone(dropout=0.0), n_frames=201).eval()
    for n_frames in (201, 202, 203):
        assert model.head([torch.ones(n_frames, 2, 24)]).shape == (2, 2)
    for n_frames in (200, 204):
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            model.head([torch.ones(n_frames, 2, 24)])


def test_loss_divides_by_the_weights_in_the_batch() -> None:
    log_probabilities = torch.log(torch.tensor([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]]))
    expected = -(0.1 * np.log(0.8) + 0.9 * np.log(0.7) + 0.9 * np.log(0.4)) / (0.1 + 0.9 + 0.9)
    assert reference_loss(log_probabilities, torch.tensor([0, 1, 1])).item() == pytest.approx(expected, rel=1e-6)


def test_synthetic_weights_follow_their_rule() -> None:
    assert synthetic_tensor("first_bn.num_batches_tracked", ()).dtype == torch.long
    assert synthetic_tensor("first_bn.running_var", (500,)).min() >= 0.5
    assert synthetic_tensor("first_bn.weight", (500,)).mean() == pytest.approx(1, abs=0.05)
    assert synthetic_tensor("fc3.bias", (500,)).mean() == pytest.approx(0, abs=0.05)
    assert synthetic_tensor("fc1.weight", (20, 400)).std() == pytest.approx(1 / 20, rel=0.05)
    assert synthetic_tensor("dt_proj.bias", (500,)).mean() == pytest.approx(-4, abs=0.1)
    torch.testing.assert_close(synthetic_tensor("A_log", (3, 16)).exp(), torch.arange(1.0, 17).expand(3, 16))
    assert synthetic_tensor("mixer.D", (4,)).tolist() == [1.0] * 4
