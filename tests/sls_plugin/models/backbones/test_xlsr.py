"""The backbone: which outputs are tapped, what is loaded, overridden and frozen, and what is refused."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fairseq.models.wav2vec import Wav2Vec2Model
from omegaconf import DictConfig, OmegaConf

from fairseq_ckpt import CheckpointError
from protocols import SettingError
from sls_plugin.models.backbones import BackboneConfig, build_backbone
from sls_plugin.models.backbones.xlsr import XLSR

N_LAYERS = 4
PRETRAINING = {
    "mask_emb",
    "quantizer.vars",
    "quantizer.weight_proj.weight",
    "quantizer.weight_proj.bias",
    "project_q.weight",
    "project_q.bias",
    "final_proj.weight",
    "final_proj.bias",
}


def configuration(path: Path | None, **settings: Any) -> DictConfig:
    cfg = OmegaConf.structured(BackboneConfig)
    cfg.w2v_path = path and str(path)
    for name, value in settings.items():
        cfg[name] = value
    return cfg


def backbone(path: Path, **settings: Any) -> XLSR:
    return build_backbone(configuration(path, **settings))


def waveforms(n_samples: int = 16_000, n_clips: int = 2) -> torch.Tensor:
    return torch.from_numpy(0.1 * np.random.default_rng(7).standard_normal((n_clips, n_samples), dtype=np.float32))


def outputs(model: XLSR, source: torch.Tensor) -> list[torch.Tensor]:
    return list(model.layer_outputs(source))


def rewritten(checkpoint: Path, path: Path, change: Callable[[dict, dict], None]) -> Path:
    """The checkpoint after a change of its model settings and its tensors."""
    content = torch.load(checkpoint)
    change(content["cfg"]["model"], content["model"])
    torch.save(content, path)
    return path


def settings_changed(checkpoint: Path, path: Path, **settings: Any) -> Path:
    return rewritten(checkpoint, path, lambda config, _: config.update(settings))


def trained(model: torch.nn.Module) -> set[str]:
    return {name.removeprefix("model.") for name, parameter in model.named_parameters() if parameter.requires_grad}


# The tapped layers


def test_every_layer_is_tapped_before_the_last_layer_norm(tiny_checkpoint: Path) -> None:
    model = backbone(tiny_checkpoint).eval()
    with torch.no_grad():
        layer_outputs = outputs(model, waveforms())
        features = model.model(waveforms(), mask=False, features_only=True)["x"]
        normed = model.model.encoder.layer_norm(layer_outputs[-1].transpose(0, 1))  # B x T x C
    assert [tuple(layer.shape) for layer in layer_outputs] == [(49, 2, 48)] * N_LAYERS
    assert torch.equal(normed, features)
    assert not torch.allclose(layer_outputs[-1].transpose(0, 1), features, atol=0.1)
    assert not any(torch.equal(left, right) for left, right in pairwise(layer_outputs))


def test_each_tap_is_what_a_shorter_encoder_ends_with(tiny_checkpoint: Path) -> None:
    model = backbone(tiny_checkpoint).eval()
    with torch.no_grad():
        layer_outputs = outputs(model, waveforms())
        layers = model.model.encoder.layers
        for n_layers in range(1, N_LAYERS):
            model.model.encoder.layers = layers[:n_layers]
            torch.testing.assert_close(outputs(model, waveforms())[-1], layer_outputs[n_layers - 1], rtol=0, atol=0)


def test_nothing_is_masked_in_training(tiny_checkpoint: Path) -> None:
    model = backbone(tiny_checkpoint)
    for trained_output, output in zip(outputs(model.train(), waveforms()), outputs(model.eval(), waveforms()), strict=True):
        torch.testing.assert_close(trained_output, output, rtol=0, atol=1e-5)


def test_clips_of_a_batch_do_not_touch_each_other(tiny_checkpoint: Path) -> None:
    model = backbone(tiny_checkpoint).eval()
    with torch.no_grad():
        together = outputs(model, waveforms())
        alone = outputs(model, waveforms()[1:])
    for both, one in zip(together, alone, strict=True):
        torch.testing.assert_close(both[:, 1:], one, rtol=0, atol=1e-5)


def test_waveforms_are_heard_as_they_are(tiny_checkpoint: Path) -> None:
    """The checkpoint's task normalises waveforms; the detectors' authors do not."""
    assert torch.load(tiny_checkpoint)["cfg"]["task"]["normalize"]
    model = backbone(tiny_checkpoint).eval()
    with torch.no_grad():
        assert not torch.allclose(outputs(model, waveforms())[0], outputs(model, 0.1 + 5 * waveforms())[0], atol=1e-3)


@pytest.mark.parametrize("n_samples", [400, 719, 720, 1040, 16_000, 64_399, 64_400, 64_600, 64_720, 66_800, 80_000])
def test_frames_and_samples(tiny_checkpoint: Path, n_samples: int) -> None:
    model = backbone(tiny_checkpoint).eval()
    with torch.no_grad():
        n_frames = len(outputs(model, waveforms(n_samples, 1))[0])
    assert model.n_frames(n_samples) == n_frames == (n_samples - 400) // 320 + 1
    fewest = model.min_samples(n_frames)
    assert fewest <= n_samples < model.min_samples(n_frames + 1)
    assert model.n_frames(fewest) == n_frames
    assert model.n_frames(fewest - 1) == n_frames - 1


# Loading


def test_the_tensors_are_the_files(tiny_checkpoint: Path) -> None:
    written = torch.load(tiny_checkpoint)["model"]
    loaded = backbone(tiny_checkpoint).state_dict()
    assert {name.removeprefix("model.") for name in loaded} == set(written)
    assert all(torch.equal(tensor, written[name.removeprefix("model.")]) for name, tensor in loaded.items())


def test_training_does_not_write_into_the_file(tiny_checkpoint: Path) -> None:
    before = tiny_checkpoint.read_bytes()
    model = backbone(tiny_checkpoint)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert tiny_checkpoint.read_bytes() == before


def test_the_configuration_alone_builds_the_same_network(tiny_checkpoint: Path, tmp_path: Path) -> None:
    cfg = configuration(tiny_checkpoint, encoder_layerdrop=0.25)
    first = build_backbone(cfg)
    # as fairseq writes it into a checkpoint and reads it from there, on a machine without the pre-trained file
    torch.save(OmegaConf.to_container(cfg, resolve=True, enum_to_str=True), tmp_path / "cfg.pt")
    cfg = OmegaConf.create(torch.load(tmp_path / "cfg.pt", weights_only=True))
    cfg.w2v_path = str(tmp_path / "moved away.pt")
    second = build_backbone(cfg)
    assert second.model.encoder.layerdrop == 0.25
    second.load_state_dict(first.state_dict(), strict=True)
    for left, right in zip(outputs(first.eval(), waveforms()), outputs(second.eval(), waveforms()), strict=True):
        assert torch.equal(left, right)


def test_unknown_settings_are_passed_over(tiny_checkpoint: Path, tmp_path: Path) -> None:
    path = settings_changed(tiny_checkpoint, tmp_path / "a.pt", from_the_future=[1, {"depth": 2}], eval_wer=False)
    assert len(backbone(path).layers) == N_LAYERS


@pytest.mark.parametrize("latent_temp", [(2.0, 0.1, 0.5), [2.0, 0.1, 0.5], "(2.0, 0.1, 0.5)", "[2.0,0.1,0.5]"])
def test_temperatures_as_numbers_or_text(tiny_checkpoint: Path, tmp_path: Path, latent_temp: object) -> None:
    quantizer = backbone(settings_changed(tiny_checkpoint, tmp_path / "a.pt", latent_temp=latent_temp)).model.quantizer
    assert (quantizer.max_temp, quantizer.min_temp, quantizer.temp_decay) == (2.0, 0.1, 0.5)


def test_no_path() -> None:
    with pytest.raises(SettingError, match="--w2v-path is missing"):
        backbone(None)


def remove_a_tensor(config: dict, weights: dict) -> None:
    del weights["encoder.layers.1.fc1.weight"]


def add_a_tensor(config: dict, weights: dict) -> None:
    weights["encoder.layers.4.fc1.weight"] = torch.zeros(3)


def reshape_a_tensor(config: dict, weights: dict) -> None:
    weights["encoder.layers.1.fc1.weight"] = torch.zeros(3)


def put_a_number_for_a_tensor(config: dict, weights: dict) -> None:
    weights["encoder.layers.1.fc1.weight"] = 3.0


def promise_a_layer_more(config: dict, weights: dict) -> None:
    config["encoder_layers"] = N_LAYERS + 1


def promise_a_layer_less(config: dict, weights: dict) -> None:
    config["encoder_layers"] = N_LAYERS - 1


def run_a_command(config: dict, weights: dict) -> None:
    config["conv_feature_layers"] = "__import__('pathlib').Path('trace').touch()"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (remove_a_tensor, "encoder.layers.1.fc1.weight"),
        (add_a_tensor, "encoder.layers.4.fc1.weight"),
        (reshape_a_tensor, "encoder.layers.1.fc1.weight"),
        (put_a_number_for_a_tensor, "encoder.layers.1.fc1.weight"),
        (promise_a_layer_more, "encoder.layers.4"),
        (promise_a_layer_less, "encoder.layers.3"),
        (run_a_command, "conv_feature_layers"),
    ],
)
def test_files_that_do_not_fit_themselves(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[dict, dict], None], word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = rewritten(tiny_checkpoint, tmp_path / "a.pt", change)
    with pytest.raises(CheckpointError) as refusal:
        backbone(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)
    assert word in str(refusal.value)
    assert list(tmp_path.iterdir()) == [path]


def test_code_in_the_configuration_of_a_detector_is_refused_too(tiny_checkpoint: Path) -> None:
    config = torch.load(tiny_checkpoint)["cfg"]["model"] | {"conv_feature_layers": "print('hello')"}
    with pytest.raises(CheckpointError, match="conv_feature_layers"):
        build_backbone(configuration(None, w2v_args=config))


@pytest.mark.parametrize(
    "settings",
    [
        {"encoder_layers": "many"},
        {"activation_fn": "sigmoid"},
        {"latent_temp": "warm"},
        {"conv_feature_layers": None},
        {"conv_feature_layers": "[(32, 10, 5"},
        {"conv_feature_layers": "[(32, 10)]"},
        {"conv_feature_layers": "12"},
        {"encoder_embed_dim": 50},
        {"encoder_layers": "???"},
    ],
)
def test_settings_that_no_network_can_have(tiny_checkpoint: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    path = settings_changed(tiny_checkpoint, tmp_path / "a.pt", **settings)
    with pytest.raises(CheckpointError) as refusal:
        backbone(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)


def test_a_refusal_is_short_however_many_tensors_are_missing(tiny_checkpoint: Path, tmp_path: Path) -> None:
    path = settings_changed(tiny_checkpoint, tmp_path / "a.pt", encoder_layers=24)
    with pytest.raises(CheckpointError) as refusal:
        backbone(path)
    assert len(str(refusal.value)) < len(str(path)) + 300


# Overrides


def rates(model: XLSR) -> dict[str, float]:
    """The dropout rates that its modules really have."""
    network = model.model
    (rate,) = {(layer.self_attn.dropout_module.p, layer.dropout1.p, layer.dropout2.p, layer.dropout3.p) for layer in model.layers}
    attention, after_attention, inside, after_feed_forward = rate
    assert after_attention == after_feed_forward == network.encoder.dropout
    return {
        "dropout": after_attention,
        "attention_dropout": attention,
        "activation_dropout": inside,
        "dropout_input": network.dropout_input.p,
        "encoder_layerdrop": network.encoder.layerdrop,
    }


RATES = {
    "dropout": 0.11,
    "attention_dropout": 0.12,
    "activation_dropout": 0.13,
    "dropout_input": 0.14,
    "encoder_layerdrop": 0.15,
}


def test_dropout_is_the_files_unless_overridden(tiny_checkpoint: Path, tmp_path: Path) -> None:
    path = settings_changed(tiny_checkpoint, tmp_path / "a.pt", **RATES)
    assert rates(backbone(path)) == RATES
    for name in RATES:
        assert rates(backbone(path, **{name: 0.5})) == RATES | {name: 0.5}
        assert rates(backbone(path, **{name: 0.0})) == RATES | {name: 0.0}
    assert rates(backbone(tiny_checkpoint)) == dict.fromkeys(RATES, 0.0)


def test_overrides_leave_the_files_configuration_in_the_checkpoint(tiny_checkpoint: Path) -> None:
    cfg = configuration(tiny_checkpoint, **RATES)
    build_backbone(cfg)
    assert cfg.w2v_args.dropout == 0.0
    assert rates(build_backbone(cfg)) == RATES


def test_dropout_works_in_training_only(tiny_checkpoint: Path) -> None:
    model = backbone(tiny_checkpoint, dropout=0.5)
    with torch.no_grad():
        assert not torch.equal(outputs(model.train(), waveforms())[-1], outputs(model, waveforms())[-1])
        assert torch.equal(outputs(model.eval(), waveforms())[-1], outputs(model, waveforms())[-1])


def test_layerdrop_skips_layers_in_training_only(tiny_checkpoint: Path) -> None:
    model = backbone(tiny_checkpoint, encoder_layerdrop=0.5)
    np.random.seed(0)
    with torch.no_grad():
        assert len({len(outputs(model.train(), waveforms(1040))) for _ in range(20)}) > 2
        assert {len(outputs(model.eval(), waveforms(1040))) for _ in range(5)} == {N_LAYERS}


# Freezing


def names_before_layer(model: XLSR, layer: int) -> set[str]:
    """Every parameter of layers below, and of all that the waveform passes before them."""
    front = ("feature_extractor.", "layer_norm.", "post_extract_proj.", "encoder.pos_conv.")
    below = tuple(f"encoder.layers.{number}." for number in range(layer))
    names = {name.removeprefix("model.") for name, _ in model.named_parameters()}
    return {name for name in names if name.startswith(front + below)}


def test_pretraining_parts_are_never_trained(tiny_checkpoint: Path) -> None:
    model = backbone(tiny_checkpoint)
    names = {name.removeprefix("model.") for name, _ in model.named_parameters()}
    assert names >= PRETRAINING
    assert trained(model) == names - PRETRAINING


@pytest.mark.parametrize("layer", range(1, N_LAYERS + 1))
def test_freezing_below_a_layer(tiny_checkpoint: Path, layer: int) -> None:
    model = backbone(tiny_checkpoint, freeze_below_layer=layer)
    everything = trained(backbone(tiny_checkpoint))
    frozen = names_before_layer(model, layer)
    assert len(frozen) == 35 + 16 * layer  # 7 convolutions with norms, a norm, a projection, pos_conv
    assert trained(model) == everything - frozen
    assert [output.requires_grad for output in outputs(model, waveforms(1040))] == [number >= layer for number in range(N_LAYERS)]


def test_every_trained_parameter_gets_a_gradient(tiny_checkpoint: Path) -> None:
    model = backbone(tiny_checkpoint)
    sum(output.square().sum() for output in outputs(model, waveforms(1040))).backward()
    received = {name.removeprefix("model.") for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert received == trained(model) - {"encoder.layer_norm.weight", "encoder.layer_norm.bias"}


@pytest.mark.parametrize("layer", [-1, N_LAYERS + 1, 99])
def test_freezing_below_a_layer_that_is_not_there(tiny_checkpoint: Path, layer: int) -> None:
    with pytest.raises(SettingError, match=f"--freeze-below-layer {layer}: the backbone has {N_LAYERS} layers"):
        backbone(tiny_checkpoint, freeze_below_layer=layer)


def test_a_frozen_start_of_no_length(tiny_checkpoint: Path) -> None:
    with pytest.raises(SettingError, match="--freeze-backbone-updates -3: must be >= 0"):
        backbone(tiny_checkpoint, freeze_backbone_updates=-3)


@pytest.mark.parametrize("rate", ["dropout", "attention_dropout", "activation_dropout", "dropout_input"])
def test_layers_frozen_below_have_no_dropout(tiny_checkpoint: Path, rate: str) -> None:
    model = backbone(tiny_checkpoint, freeze_below_layer=2, **{rate: 0.5})
    for _ in range(2):  # fairseq goes back to training after each validation
        expected = outputs(model.eval(), waveforms())
        layer_outputs = outputs(model.train(), waveforms())
        assert all(map(torch.equal, layer_outputs[:2], expected))
    if rate != "dropout_input":  # the layers above are trained, with dropout
        assert not torch.allclose(layer_outputs[2], expected[2], atol=1e-3)


@pytest.mark.parametrize("layer", [0, 2])
def test_a_frozen_backbone_trains_nothing_and_has_no_dropout(tiny_checkpoint: Path, layer: int) -> None:
    model = backbone(tiny_checkpoint, freeze_backbone=True, freeze_below_layer=layer, dropout=0.5, encoder_layerdrop=0.5)
    assert trained(model) == set()
    expected = outputs(model.eval(), waveforms())
    for _ in range(3):
        layer_outputs = outputs(model.train(), waveforms())
        assert not any(output.requires_grad for output in layer_outputs)
        for output, other in zip(layer_outputs, expected, strict=True):
            assert torch.equal(output, other)
    assert not any(module.training for module in model.model.modules())


def test_a_frozen_start_lets_gradients_through_from_its_last_update_on(tiny_checkpoint: Path) -> None:
    model = backbone(tiny_checkpoint, freeze_backbone_updates=3).train()
    for num_updates in range(6):
        model.set_num_updates(num_updates)
        assert outputs(model, waveforms(1040))[-1].requires_grad == (num_updates >= 3)


def test_the_network_is_fairseqs_own(tiny_checkpoint: Path) -> None:
    assert type(backbone(tiny_checkpoint).model) is Wav2Vec2Model
