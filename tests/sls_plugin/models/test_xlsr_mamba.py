"""XLSR-Mamba against the naive reference and the original's output: logits, gradients, names, sizes, lengths, training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from commands import PLUGIN, column, fairseq, logged
from detectors import in_half_precision
from omegaconf import DictConfig, OmegaConf
from reference.mamba_reference import reference_head
from reference.sls_reference import reference_loss
from reference.synthetic_weights import fill_outside_backbone

from fairseq_ckpt.wav2vec.random_backbone import TINY
from fairseq_ckpt.wav2vec.spec import XLSR_300M
from protocols import DataError, SettingError, Trial, write_manifest
from sls_plugin.__main__ import main
from sls_plugin.metrics.det import equal_error_rate
from sls_plugin.models.xlsr_mamba import XLSRMamba, XLSRMambaConfig
from sls_plugin.optim.l2_adam import L2Adam, L2AdamConfig
from sls_plugin.scores.score_file import read_scores

SMALL = {"mamba_features": 20, "mamba_layers": 6}
# As wide as XLS-R 300M where the head sees it, small where it does not.
WIDE = XLSR_300M | {
    "conv_feature_layers": TINY["conv_feature_layers"],
    "encoder_layers": 1,
    "encoder_ffn_embed_dim": 64,
    "conv_pos": 16,
    "latent_vars": 8,
}
LABELS = torch.tensor([0, 1, 0])


def configuration(config: dict[str, Any] | None = TINY, **settings: Any) -> DictConfig:
    """The model's configuration as fairseq hands it over, for a backbone that needs no file."""
    cfg = OmegaConf.structured(XLSRMambaConfig)
    cfg.w2v_args = config
    for name, value in settings.items():
        cfg[name] = value
    return cfg


def detector(config: dict[str, Any] = TINY, **settings: Any) -> XLSRMamba:
    """A random detector, the same at every call, with a head whose every tensor is other than 0 or 1."""
    torch.manual_seed(3)
    model = XLSRMamba(configuration(config, **settings))
    fill_outside_backbone(model)
    with torch.no_grad():
        for name, parameter in model.conformer.named_parameters():
            if name.endswith(".D"):
                parameter.uniform_(0.5, 1.5)
    return model


def waveforms(n_samples: int = 4000, n_clips: int = 3, seed: int = 7) -> torch.Tensor:
    return torch.from_numpy(0.1 * np.random.default_rng(seed).standard_normal((n_clips, n_samples), dtype=np.float32))


def features(n_frames: int, n_features: int = 48, seed: int = 1, n_clips: int = 3) -> torch.Tensor:
    shape = (n_clips, n_frames, n_features)
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))


def dead(name: str, n_layers: int = 3) -> bool:
    """Whether a tensor belongs to the last layer of a direction."""
    return name.startswith(tuple(f"conformer.{way}_layers.{n_layers - 1}." for way in ("forward", "backward")))


# Logits and gradients


@pytest.mark.parametrize("n_layers", [4, 6])
@pytest.mark.parametrize("n_frames", [1, 12, 40])
def test_the_head_is_the_reference(n_frames: int, n_layers: int) -> None:
    model = detector(mamba_features=20, mamba_layers=n_layers).double().eval()
    x = features(n_frames).double()
    with torch.no_grad():
        output, expected = model.head(x), reference_head(model.state_dict(), x)
    assert output.shape == (3, 2)
    assert output.dtype == torch.float32
    assert expected.std() > 1e-2
    torch.testing.assert_close(output, expected.float(), rtol=0, atol=1e-6)


def test_logits_of_waveforms_are_the_references_on_the_backbones_final_output() -> None:
    model = detector(**SMALL).eval()
    with torch.no_grad():
        final = model.ssl_model.model(waveforms(), mask=False, features_only=True)["x"]
        torch.testing.assert_close(model(waveforms()), reference_head(model.state_dict(), final), rtol=1e-5, atol=1e-5)


def test_the_heads_gradients_are_the_references() -> None:
    model = detector(**SMALL).double().eval()
    x = features(20).double()
    weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items() if not name.startswith("ssl_model.")}
    trained = {name: tensor.requires_grad_() for name, tensor in weights.items() if name in dict(model.named_parameters())}
    reference_loss(reference_head(weights, x), LABELS).backward()
    reference_loss(model.head(x).double(), LABELS).backward()
    for name, tensor in trained.items():
        gradient = model.get_parameter(name).grad
        assert (gradient is None) == (tensor.grad is None) == dead(name), name
        if gradient is not None:
            # a pool's bias cancels in the softmax: its gradient is rounding noise
            torch.testing.assert_close(gradient, tensor.grad, rtol=0, atol=1e-5 * tensor.grad.abs().max().item() + 1e-8, msg=name)


def test_the_head_gives_the_originals_output(shared: Path) -> None:
    expected = json.loads((shared / "reference" / "golden" / "heads.json").read_text())["xlsr_mamba"]
    torch.manual_seed(3)
    model = XLSRMamba(configuration(WIDE)).eval()
    fill_outside_backbone(model)
    with torch.no_grad():
        for seed, n_frames in ((3, 208), (4, 201)):
            output = model.head(features(n_frames, 1024, seed, n_clips=2))
            np.testing.assert_allclose(output, expected[str(seed)], rtol=0, atol=1e-5)


def test_the_last_layers_have_no_part_in_the_logits() -> None:
    model = detector(**SMALL).eval()
    with torch.no_grad():
        before = model(waveforms())
        for name, parameter in model.named_parameters():
            if dead(name):
                parameter.normal_()
        assert torch.equal(model(waveforms()), before)
        model.conformer.backward_layers[-2].norm.weight.normal_()
        assert not torch.equal(model(waveforms()), before)


def test_in_training_a_tenth_is_dropped_and_batch_statistics_are_kept() -> None:
    model = detector(**SMALL).train()
    with torch.no_grad():
        torch.manual_seed(1)
        once = model(waveforms())
        assert not torch.allclose(model(waveforms()), once, atol=1e-4)
        torch.manual_seed(1)
        assert torch.equal(model(waveforms()), once)
        inputs = []
        for module in (model.conformer.forward_layers[0], model.conformer.classifier):
            module.register_forward_hook(lambda module, args, output: inputs.append(args[0]))
        model(waveforms(4000, n_clips=64))
        for values in inputs:  # 64 x 12 x 20 and 64 x 20
            assert (values == 0).float().mean().item() == pytest.approx(0.1, abs=0.03)
        assert model.first_bn.num_batches_tracked == 4
        model.eval()
        assert torch.equal(model(waveforms()), model(waveforms()))
        assert model.first_bn.num_batches_tracked == 4


# The published names and sizes


@pytest.fixture
def true_size(monkeypatch: pytest.MonkeyPatch) -> XLSRMamba:
    """The published system in names and shapes only: its 1.3 GB are never allocated."""
    # fairseq's initialisation copies through the CPU, which a tensor without values cannot do.
    monkeypatch.setattr("fairseq.models.wav2vec.wav2vec2.init_bert_params", lambda module: None)
    with torch.device("meta"):
        return XLSRMamba(configuration(XLSR_300M))


def test_names_and_shapes_are_the_published_ones(true_size: XLSRMamba, shared: Path) -> None:
    expected = json.loads((shared / "reference" / "keys" / "xlsr_mamba_full.json").read_text())
    assert {name: list(tensor.shape) for name, tensor in true_size.state_dict().items()} == {
        name: entry["shape"] for name, entry in expected.items()
    }
    assert {name for name, _ in true_size.named_parameters()} == {name for name, entry in expected.items() if entry["param"]}


def test_the_published_number_of_parameters(true_size: XLSRMamba) -> None:
    assert len(true_size.state_dict()) == 565
    assert sum(parameter.numel() for parameter in true_size.parameters()) == 319_327_542
    untrained = {name: parameter.numel() for name, parameter in true_size.named_parameters() if not parameter.requires_grad}
    assert sum(size for name, size in untrained.items() if dead(name, n_layers=6)) == 291_168
    assert sum(size for name, size in untrained.items() if name.startswith("ssl_model.")) == 1_952_896
    assert sum(untrained.values()) == 291_168 + 1_952_896


# Lengths


@pytest.mark.parametrize(("n_samples", "n_frames"), [(400, 1), (64_600, 201), (66_800, 208)])
def test_clips_of_any_length(n_samples: int, n_frames: int) -> None:
    model = detector(**SMALL).eval()
    inputs = []
    model.conformer.register_forward_hook(lambda module, args, output: inputs.append(tuple(args[0].shape)))
    with torch.no_grad():
        assert model(waveforms(n_samples, 1)).isfinite().all()
    assert inputs == [(1, n_frames, 20)]


@pytest.mark.parametrize("n_samples", [1, 399])
def test_a_clip_without_a_frame_is_refused(n_samples: int) -> None:
    with pytest.raises(DataError, match=f"clips of {n_samples} samples: XLSRMamba needs at least 400"):
        detector(**SMALL)(waveforms(n_samples))


@pytest.mark.parametrize("n_layers", [-2, 0, 2, 5])
def test_layers_that_give_no_two_columns_are_refused(n_layers: int) -> None:
    with pytest.raises(SettingError, match=f"--mamba-layers {n_layers}: must be even and >= 4"):
        detector(mamba_layers=n_layers)


# What else is asked of it


def test_a_head_without_features_is_refused() -> None:
    with pytest.raises(SettingError, match="--mamba-features 0: must be >= 1"):
        XLSRMamba(OmegaConf.structured(XLSRMambaConfig(mamba_features=0)))


def test_scores_and_ratios() -> None:
    output = torch.tensor([[3.0, -1.0], [0.5, 2.0]])
    model = detector(**SMALL)
    torch.testing.assert_close(model.scores(output), torch.tensor([-1.0, 2.0]))
    torch.testing.assert_close(model.log_likelihood_ratios(output), torch.tensor([-4.0, 1.5]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_single_precision_logits_close_by(dtype: torch.dtype) -> None:
    model = detector().eval()
    with torch.no_grad():
        expected = model(waveforms())
        streams = []
        model.conformer.backward_layers[1].register_forward_hook(lambda module, args, output: streams.append(args[0]))
        output = in_half_precision(model, dtype, waveforms())(waveforms().to(dtype))
    assert {stream.dtype for stream in streams} == {torch.float32}
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, expected, rtol=0, atol=0.02)


def test_training_and_a_checkpoint_give_the_same_scores(tiny_checkpoint: Path) -> None:
    """A file of the backbone for training; for scoring, configuration and tensors of the detector alone."""
    trained = XLSRMamba.build_model(configuration(None, w2v_path=str(tiny_checkpoint), **SMALL)).eval()
    cfg = OmegaConf.create(OmegaConf.to_container(trained.cfg, resolve=True))
    cfg.w2v_path = None
    scoring = XLSRMamba.build_model(cfg).eval()
    scoring.load_state_dict(trained.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(trained(waveforms()), scoring(waveforms()))


def made_clips() -> tuple[torch.Tensor, torch.Tensor]:
    """Half a second each, loud and quiet: noise is bona fide (1), noise with a tone of its own is spoof (0)."""
    rng = np.random.default_rng(11)
    labels = np.arange(16) % 2
    tones = np.sin(np.outer(rng.uniform(0.1, 0.4, 16), np.arange(8000)))
    clips = rng.normal(size=(16, 8000)) + 2 * tones * (labels == 0)[:, None]
    clips *= 0.1 * rng.uniform(0.5, 1.5, (16, 1)) / clips.std(axis=1, keepdims=True)
    return torch.from_numpy(clips.astype(np.float32)), torch.from_numpy(labels)


def test_sixteen_clips_are_learnt_within_20_updates(tiny_checkpoint: Path) -> None:
    torch.manual_seed(2)
    model = XLSRMamba.build_model(configuration(None, w2v_path=str(tiny_checkpoint), **SMALL)).train()
    cfg = OmegaConf.structured(L2AdamConfig)
    cfg.lr = [1e-3]
    optimizer = L2Adam(cfg, [parameter for parameter in model.parameters() if parameter.requires_grad])
    clips, labels = made_clips()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for _ in range(20):
        optimizer.zero_grad()
        reference_loss(model(clips), labels, (0.5, 0.5)).backward()
        optimizer.step()
    with torch.no_grad():
        scores = model.eval().scores(model(clips)).numpy()
    assert equal_error_rate(scores[labels == 1], scores[labels == 0])[0] == 0
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == (not parameter.requires_grad), name


def test_only_the_head_learns_at_its_own_rate() -> None:
    model = detector(head_lr_scale=10.0, **SMALL)
    scaled = {name for name, parameter in model.named_parameters() if hasattr(parameter, "optim_overrides")}
    assert scaled == {name for name, _ in model.named_parameters() if not name.startswith("ssl_model.")}


def test_fairseq_trains_it_and_sls_scores_with_it(tiny_checkpoint: Path, tmp_path: Path) -> None:
    trials = []
    for number, (clip, label) in enumerate(zip(*made_clips(), strict=True)):
        trials.append(Trial(f"clip{number}", f"clip{number}.flac", ("spoof", "bonafide")[label], len(clip)))
        soundfile.write(tmp_path / trials[-1].audio, clip.numpy(), 16_000)
    write_manifest(tmp_path / "train.tsv", trials)
    printed = fairseq(
        "train", str(tmp_path), *PLUGIN, "--arch", "xlsr_mamba_300m", "--w2v-path", str(tiny_checkpoint), "--mamba-layers", "4",
        "--mamba-features", "20", "--max-samples", "8000", "--criterion", "weighted_cross_entropy", "--optimizer", "l2_adam",
        "--lr", "1e-3", "--batch-size", "8", "--max-update", "2", "--disable-validation", "--save-dir", str(tmp_path),
        "--log-format", "json", "--log-interval", "1", "--num-workers", "0", "--cpu",
    )  # fmt: skip
    assert len(column(logged(printed), "loss")) == 2
    checkpoint, output = tmp_path / "checkpoint_last.pt", tmp_path / "scores.txt"
    assert main(["score", str(checkpoint), str(tmp_path / "train.tsv"), "--output", str(output), "--num-workers", "0"]) == 0

    saved = torch.load(checkpoint, weights_only=True)
    model = XLSRMamba(OmegaConf.create(saved["cfg"]["model"])).eval()
    model.load_state_dict(saved["model"], strict=True)
    with torch.no_grad():
        expected = model(torch.stack([torch.from_numpy(soundfile.read(tmp_path / t.audio, dtype="float32")[0]) for t in trials]))
    scores = read_scores(output)
    assert list(scores) == [trial.id for trial in trials]
    assert list(scores.values()) == pytest.approx(expected[:, 1].tolist(), abs=1e-5)
