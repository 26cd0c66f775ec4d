"""SLS against the naive reference and the original's output: scores, gradients, updates, names, sizes, lengths."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from detectors import in_half_precision
from fairseq.models.wav2vec import TransformerSentenceEncoderLayer, Wav2Vec2Model
from fairseq.modules import Fp32LayerNorm
from omegaconf import DictConfig, OmegaConf
from reference.sls_reference import ReferenceSLS, reference_loss
from reference.synthetic_weights import fill_outside_backbone

from fairseq_ckpt.wav2vec.random_backbone import TINY
from fairseq_ckpt.wav2vec.spec import XLSR_300M
from protocols import DataError, SettingError
from sls_plugin.models.sls import SLS, SLSConfig
from sls_plugin.optim.l2_adam import L2Adam, L2AdamConfig

# As wide as XLS-R 300M where the head sees it, small where it does not.
WIDE = XLSR_300M | {
    "conv_feature_layers": TINY["conv_feature_layers"],
    "encoder_layers": 2,
    "encoder_ffn_embed_dim": 64,
    "conv_pos": 16,
    "latent_vars": 8,
}
NEVER_TRAINED = ("mask_emb", "quantizer.", "project_q.", "final_proj.", "encoder.layer_norm.")
LABELS = torch.tensor([0, 1, 0])
N_SAMPLES = 4000


def configuration(config: dict[str, Any] = TINY, max_samples: int = N_SAMPLES, **settings: Any) -> DictConfig:
    """The model's configuration as fairseq hands it over, for a backbone that needs no file."""
    cfg = OmegaConf.structured(SLSConfig)
    cfg.w2v_args = config
    cfg.max_samples = max_samples
    for name, value in settings.items():
        cfg[name] = value
    return cfg


def detector(config: dict[str, Any] = TINY, max_samples: int = N_SAMPLES, **settings: Any) -> SLS:
    """A random detector, the same at every call, with a head whose every tensor is other than 0 or 1."""
    torch.manual_seed(3)
    model = SLS(configuration(config, max_samples, **settings))
    fill_outside_backbone(model)
    return model


def reference_of(model: SLS) -> ReferenceSLS:
    """The reference with equal tensors: names and shapes map one to one."""
    backbone = model.ssl_model
    reference = ReferenceSLS(Wav2Vec2Model(backbone.model.cfg), backbone.n_frames(model.cfg.max_samples))
    reference.load_state_dict(model.state_dict(), strict=True)
    dtype = next(model.parameters()).dtype
    if dtype == torch.float64:  # of which some parts of fairseq's make single precision
        for module in reference.modules():
            if isinstance(module, Fp32LayerNorm):
                module.__class__ = torch.nn.LayerNorm
            if isinstance(module, TransformerSentenceEncoderLayer):
                module.activation_fn = torch.nn.functional.gelu
    return reference.to(dtype).train(model.training)


def waveforms(n_samples: int = N_SAMPLES, n_clips: int = 3, seed: int = 7) -> torch.Tensor:
    return torch.from_numpy(0.1 * np.random.default_rng(seed).standard_normal((n_clips, n_samples), dtype=np.float32))


@pytest.fixture(scope="module")
def wide() -> SLS:
    return detector(WIDE, 64_600)


# Scores and gradients


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("n_clips", [1, 3])
def test_log_probabilities_are_the_references(n_clips: int, training: bool) -> None:
    model = detector().train(training)
    reference = reference_of(model)
    with torch.no_grad():
        output, expected = model(waveforms(n_clips=n_clips)), reference(waveforms(n_clips=n_clips))
    assert output.shape == (n_clips, 2)
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(output.exp().sum(dim=1), torch.ones(n_clips))
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        torch.testing.assert_close(getattr(model.first_bn, name), getattr(reference.first_bn, name))


@pytest.mark.parametrize("training", [False, True])
def test_log_probabilities_at_full_width_are_the_references(wide: SLS, training: bool) -> None:
    state = {name: tensor.clone() for name, tensor in wide.first_bn.state_dict().items()}
    reference = reference_of(wide.train(training))
    with torch.no_grad():
        output, expected = wide(waveforms(64_600, 2)), reference(waveforms(64_600, 2))
    wide.first_bn.load_state_dict(state)
    assert wide.fc1.weight.shape == (1024, 67 * 341)
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)


def test_the_head_gives_the_originals_output(wide: SLS, shared: Path) -> None:
    expected = json.loads((shared / "reference" / "golden" / "heads.json").read_text())["sls"]["1"]
    layer_outputs = torch.from_numpy(np.random.default_rng(1).standard_normal((24, 201, 2, 1024), dtype=np.float32))
    with torch.no_grad():
        output, _ = wide.eval().head(layer_outputs)
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=0)


def assert_equal_gradients(model: SLS, reference: ReferenceSLS, clips: torch.Tensor) -> None:
    """Of the weighted loss, each to 1e-5 of its tensor's largest; none where the reference has none."""
    for network in (model, reference):
        reference_loss(network(clips.double()), LABELS[: len(clips)]).backward()
    expected = dict(reference.named_parameters())
    for name, parameter in model.named_parameters():
        gradient = expected[name].grad
        assert (parameter.grad is None) == (gradient is None), name
        if gradient is not None:
            # a key projection's bias cancels in the softmax: its gradient is rounding noise, near 1e-17
            torch.testing.assert_close(
                parameter.grad, gradient, rtol=0, atol=max(1e-5 * gradient.abs().max().item(), 1e-14), msg=name
            )


@pytest.mark.parametrize("training", [False, True])
def test_loss_and_every_gradient_are_the_references(training: bool) -> None:
    model = detector().double().train(training)
    reference = reference_of(model)
    torch.testing.assert_close(
        reference_loss(model(waveforms().double()), LABELS).double(),
        reference_loss(reference(waveforms().double()), LABELS),
        rtol=1e-6,
        atol=0,
    )
    assert_equal_gradients(model, reference, waveforms())


def test_every_gradient_at_full_width_is_the_references(wide: SLS) -> None:
    try:
        assert_equal_gradients(wide.double().train(), reference_of(wide), waveforms(64_600, 2))
    finally:
        wide.float().zero_grad()


# Training


def optimiser(model: SLS, lr: float = 1e-3) -> L2Adam:
    cfg = OmegaConf.structured(L2AdamConfig)
    cfg.lr = [lr]
    return L2Adam(cfg, [parameter for parameter in model.parameters() if parameter.requires_grad])


def train(model: SLS, optimizer: L2Adam, updates: range, before_step: Callable[[], None] | None = None) -> None:
    """Updates on batches of their own, the model notified after each step, as fairseq does."""
    for update in updates:
        optimizer.zero_grad()
        reference_loss(model(waveforms(seed=update)), LABELS).backward()
        if before_step:
            before_step()
        optimizer.step()
        model.set_num_updates(update + 1)


def copy_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def moved(model: SLS, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}


def test_three_updates_are_those_of_torch_adam_on_the_reference() -> None:
    model = detector().double().train()
    reference = reference_of(model)
    before = copy_of(model)
    optimizer = optimiser(model)
    adam = torch.optim.Adam(reference.parameters(), lr=1e-3, weight_decay=1e-4)
    # the direction of Adam's first steps is a gradient's sign: one that is nothing but rounding decides nothing
    sure = {name: torch.ones_like(parameter, dtype=torch.bool) for name, parameter in reference.named_parameters()}
    for update in range(3):
        for network, stepper in ((model, optimizer), (reference, adam)):
            stepper.zero_grad()
            reference_loss(network(waveforms(seed=update).double()), LABELS).backward()
            stepper.step()
        for name, parameter in reference.named_parameters():
            sure[name] &= parameter.grad.abs() > 1e-7 if parameter.grad is not None else False
    n_sure = 0
    for name, parameter in model.named_parameters():
        expected = reference.get_parameter(name)[sure[name]]
        torch.testing.assert_close(parameter[sure[name]], expected, rtol=0, atol=1e-7, msg=name)
        assert not sure[name].any() or (expected - before[name][sure[name]]).abs().median() > 1e-4, name
        n_sure += int(sure[name].sum())
    n_trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert n_sure > 0.9 * n_trained
    torch.testing.assert_close(model.first_bn.running_var, reference.first_bn.running_var)


def test_what_is_never_trained_gets_no_gradient_and_stays_as_it_was() -> None:
    model = detector().train()
    before = copy_of(model)
    train(model, optimiser(model), range(2))
    never = {name for name in before if name.removeprefix("ssl_model.model.").startswith(NEVER_TRAINED)}
    assert len(never) == 10
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (name not in never)
        assert (parameter.grad is None) == (name in never)
    assert moved(model, before) == set(before) - never


def test_a_frozen_backbone_stays_and_the_head_learns() -> None:
    model = detector(freeze_backbone=True).train()
    before = copy_of(model)
    train(model, optimiser(model), range(2))
    assert moved(model, before) == {name for name in before if not name.startswith("ssl_model.")}


@pytest.mark.parametrize("layer", [1, 3, 4])
def test_only_what_lies_above_the_frozen_layers_moves(layer: int) -> None:
    model = detector(freeze_below_layer=layer).train()
    before = copy_of(model)
    train(model, optimiser(model), range(2))
    above = tuple(f"ssl_model.model.encoder.layers.{number}." for number in range(layer, 4))
    assert moved(model, before) == {name for name in before if not name.startswith("ssl_model.") or name.startswith(above)}


@pytest.mark.parametrize("zeros", [False, True])
def test_a_frozen_start_keeps_the_backbone_bit_for_bit(zeros: bool) -> None:
    """Also where zeros are put in the place of missing gradients, as legacy_ddp does."""
    model = detector(freeze_backbone_updates=3).train()
    before = copy_of(model)

    def fill_missing_gradients() -> None:
        for parameter in model.parameters():
            if zeros and parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)

    optimizer = optimiser(model)
    head = {name for name in before if not name.startswith("ssl_model.")}
    train(model, optimizer, range(3), fill_missing_gradients)
    assert moved(model, before) == head
    train(model, optimizer, range(3, 4), fill_missing_gradients)
    never = {name for name in before if name.removeprefix("ssl_model.model.").startswith(NEVER_TRAINED)}
    assert moved(model, before) == set(before) - never


def test_a_frozen_start_ends_as_an_ordinary_first_update() -> None:
    """The backbone's moments begin with its first update: that one moves every weight by the learning rate."""
    model = detector(freeze_backbone_updates=2).train()
    optimizer = optimiser(model)
    train(model, optimizer, range(2))
    before = copy_of(model)
    train(model, optimizer, range(2, 3))
    name = "ssl_model.model.encoder.layers.0.fc1.weight"
    parameter = model.get_parameter(name)
    step = (parameter - before[name])[parameter.grad.abs() > 1e-5].abs()
    assert len(step) > 100
    torch.testing.assert_close(step, torch.full_like(step, 1e-3), rtol=0.01, atol=0)


def test_the_heads_learning_rate_is_its_own() -> None:
    plain, scaled = detector().train(), detector(head_lr_scale=10.0).train()
    before = copy_of(plain)
    for model in (plain, scaled):
        train(model, optimiser(model, lr=1e-4), range(1))
    for name, start in before.items():
        step = plain.get_parameter(name) - start
        factor = 1 if name.startswith("ssl_model.") else 10
        torch.testing.assert_close(scaled.get_parameter(name) - start, factor * step, rtol=1e-3, atol=1e-6)


def test_layerdrop_trains_with_what_is_left() -> None:
    model = detector(encoder_layerdrop=0.3).train()
    np.random.seed(0)
    train(model, optimiser(model), range(8))
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    assert torch.equal(model.eval()(waveforms()), model(waveforms()))


def test_layerdrop_of_every_layer_is_refused() -> None:
    model = detector(encoder_layerdrop=1.0).train()
    with pytest.raises(SettingError, match="layerdrop"):
        model(waveforms())


def test_the_first_layer_norm_of_a_backbone_with_norms_behind_its_blocks_is_trained() -> None:
    model = detector(TINY | {"layer_norm_first": False}).train()
    reference = reference_of(model)
    reference_loss(reference(waveforms()), LABELS).backward()
    assert reference.ssl_model.model.encoder.layer_norm.weight.grad.abs().max() > 1e-6
    assert model.ssl_model.model.encoder.layer_norm.weight.requires_grad


def test_freezing_below_a_layer_holds_the_first_layer_norm_of_such_a_backbone_too() -> None:
    model = detector(TINY | {"layer_norm_first": False}, freeze_below_layer=2)
    assert not model.ssl_model.model.encoder.layer_norm.weight.requires_grad


# The published names and sizes


@pytest.fixture
def true_size(monkeypatch: pytest.MonkeyPatch) -> SLS:
    """The published system in names and shapes only: its 1.4 GB are never allocated."""
    # fairseq's initialisation copies through the CPU, which a tensor without values cannot do.
    monkeypatch.setattr("fairseq.models.wav2vec.wav2vec2.init_bert_params", lambda module: None)
    with torch.device("meta"):
        return SLS(configuration(XLSR_300M, 64_600))


def test_names_and_shapes_are_the_published_ones(true_size: SLS, shared: Path) -> None:
    expected = json.loads((shared / "reference" / "keys" / "sls_full.json").read_text())
    assert {name: list(tensor.shape) for name, tensor in true_size.state_dict().items()} == {
        name: entry["shape"] for name, entry in expected.items()
    }
    assert {name for name, _ in true_size.named_parameters()} == {name for name, entry in expected.items() if entry["param"]}


def test_the_published_number_of_parameters(true_size: SLS) -> None:
    assert sum(parameter.numel() for parameter in true_size.parameters()) == 340_790_021
    trained = (parameter for parameter in true_size.parameters() if parameter.requires_grad)
    assert sum(parameter.numel() for parameter in trained) == 338_835_077


# Lengths


def test_clips_of_as_many_frames_as_the_head_was_built_for() -> None:
    model = detector(max_samples=64_600).eval()
    with torch.no_grad():
        for n_samples in (64_400, 64_600, 65_359):
            assert model(waveforms(n_samples, 1)).isfinite().all()
        for n_samples in (1, 400, 64_399, 65_360, 80_000):
            with pytest.raises(DataError) as refusal:
                model(waveforms(n_samples, 1))
            assert "\n" not in str(refusal.value)
            for number in (f"{n_samples:,}", "64,400", "65,359"):
                assert number in str(refusal.value)


@pytest.mark.parametrize("max_samples", [1040, 16_000, 66_800, 80_000])
def test_the_head_fits_the_length_that_is_asked_for(max_samples: int) -> None:
    model = detector(max_samples=max_samples).eval()
    n_frames = (max_samples - 400) // 320 + 1
    assert model.fc1.in_features == (n_frames // 3) * (48 // 3)
    reference = reference_of(model)
    with torch.no_grad():
        clips = waveforms(max_samples, 2)
        torch.testing.assert_close(model(clips), reference(clips), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("max_samples", [-1, 0, 399, 1039])
def test_a_length_that_is_too_short_for_any_head(max_samples: int) -> None:
    with pytest.raises(SettingError, match=f"--max-samples {max_samples}: .* 1,040 samples"):
        detector(max_samples=max_samples)


# What else is asked of it


def test_scores_and_ratios() -> None:
    model = detector().eval()
    output = torch.log_softmax(torch.tensor([[3.0, -1.0], [0.5, 2.0]]), dim=1)
    torch.testing.assert_close(model.scores(output), output[:, 1])
    torch.testing.assert_close(model.log_likelihood_ratios(output), torch.tensor([-4.0, 1.5]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_single_precision_scores_close_by(dtype: torch.dtype) -> None:
    model = detector().eval()
    with torch.no_grad():
        expected = model(waveforms())
        output = in_half_precision(model, dtype, waveforms())(waveforms().to(dtype))
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, expected, rtol=0.1, atol=0.1)


def test_training_and_a_checkpoint_give_the_same_scores(tiny_checkpoint: Path) -> None:
    """A file of the backbone for training; for scoring, configuration and tensors of the detector alone."""
    cfg = configuration(None, w2v_path=str(tiny_checkpoint))
    trained = SLS.build_model(cfg).eval()
    cfg = OmegaConf.create(OmegaConf.to_container(trained.cfg, resolve=True))
    cfg.w2v_path = None
    scoring = SLS.build_model(cfg).eval()
    scoring.load_state_dict(trained.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(trained(waveforms()), scoring(waveforms()))


def test_shared_batch_norm_needs_a_gpu_to_train(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cfg = configuration(sync_batch_norm=True)
    cfg.w2v_args, cfg.w2v_path = None, str(tiny_checkpoint)
    with pytest.raises(SettingError, match="--sync-batch-norm"):
        SLS.build_model(cfg)


def test_a_detector_trained_with_shared_statistics_is_scored_without_cuda() -> None:
    detector = SLS.build_model(configuration(sync_batch_norm=True))  # with w2v_args, as from a detector's checkpoint
    assert type(detector.first_bn) is torch.nn.BatchNorm2d
