"""AASIST and AASIST-L against the published weights and scores, the originals' outputs and the naive reference."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from commands import PLUGIN, column, fairseq, logged
from detectors import (
    assert_published_names,
    build,
    configuration,
    float64_weights,
    golden_output,
    in_float64,
    in_half_precision,
    n_parameters,
    train,
    two_classes,
    waveforms,
)
from reference import graph_reference
from reference.synthetic_weights import fill_outside_backbone
from torch import nn

from protocols import DataError, SettingError, Trial, write_manifest
from sls_plugin.__main__ import main
from sls_plugin.data.trial_dataset import Segment
from sls_plugin.inference.engine import ScoringEngine
from sls_plugin.models import aasist
from sls_plugin.scores.score_file import read_scores

PUBLISHED = [("aasist", "AASIST", 297_866), ("aasist_l", "AASIST-L", 85_306)]
RATIOS = {"aasist": (0.5, 0.7, 0.5), "aasist_l": (0.4, 0.5, 0.7)}
N_SAMPLES = 11_100  # five frames


def with_published_weights(arch: str, name: str, shared: Path) -> nn.Module:
    model = build(arch)
    weights = torch.load(shared / "data" / "weights" / f"{name}.pth", map_location="cpu", weights_only=True)
    model.load_state_dict(weights, strict=True)
    return model.eval()


def filled(arch: str, *arguments: str) -> nn.Module:
    model = build(arch, *arguments).eval()
    fill_outside_backbone(model)
    return model


# The published systems


@pytest.mark.parametrize(("arch", "name", "n_published"), PUBLISHED)
def test_names_shapes_and_number_of_parameters(arch: str, name: str, n_published: int, shared: Path) -> None:
    assert_published_names(build(arch), shared, name)
    assert n_parameters(build(arch)) == n_published


def made_inputs() -> torch.Tensor:
    """Silence, a tone, a chirp up to 8 kHz and noise of a linear congruential generator; 4 x 64,600."""
    n = np.arange(64_600)
    t = n / 16_000
    noise, state = [], 12_345
    for _ in n:
        state = (1_103_515_245 * state + 12_345) % 2**31
        noise.append(state / 2**30 - 1)
    chirp = 0.3 * np.sin(2 * np.pi * (100 * t + 3900 / (2 * 64_600 / 16_000) * t**2))
    clips = np.stack([0.0 * t, 0.1 * np.sin(2 * np.pi * 440 * t), chirp, 0.05 * np.array(noise)])
    return torch.from_numpy(clips.astype(np.float32))


@pytest.mark.parametrize(
    ("arch", "name", "expected"),
    [
        (
            "aasist", "AASIST",
            [[-3.0082088, 1.4435540], [0.7177984, -1.6101285], [3.4179761, -4.2183595], [0.5031832, -0.8271955]],
        ),
        (
            "aasist_l", "AASIST-L",
            [[0.2353765, 0.2518128], [4.6033263, -4.1949716], [-2.4840107, 2.8735900], [3.0212560, -2.9615469]],
        ),
    ],
)  # fmt: skip
def test_published_weights_give_the_originals_logits(arch: str, name: str, expected: list, shared: Path) -> None:
    with torch.no_grad():
        output = with_published_weights(arch, name, shared)(made_inputs())
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5)


def test_synthetic_weights_give_the_originals_logits(shared: Path) -> None:
    clips = torch.from_numpy(0.05 * np.random.default_rng(5).standard_normal((2, 64_600), dtype=np.float32))
    with torch.no_grad():
        np.testing.assert_allclose(filled("aasist")(clips), golden_output(shared, "aasist", 5), rtol=0, atol=1e-5)


def test_published_weights_give_the_originals_scores_of_recordings(shared: Path) -> None:
    """Through our decoding, our clips of 64,600 samples and our engine; every 24th of the 122 recordings."""
    corpus = shared / "data" / "mini"
    lines = (corpus / "aasist_scores.train_dev.txt").read_text().splitlines()[::24]
    expected = {name: float(score) for name, score in (line.split() for line in lines)}
    trials = [Trial(name, str(corpus / "flac" / f"{name}.flac")) for name in expected]
    engine = ScoringEngine(
        with_published_weights("aasist", "AASIST", shared), Segment(64_600), device="cpu", dtype=torch.float32, batch_size=4,
        num_workers=0,
    )  # fmt: skip
    scores = {name: score for name, score, _ in engine.scores(trials)}
    assert list(scores) == list(expected)
    assert len({soundfile.info(trial.audio).frames < 64_600 for trial in trials}) == 2  # cut and repeated clips are among them
    assert scores == pytest.approx(expected, abs=2e-5)


# The naive reference


@pytest.mark.parametrize("n_samples", [2_315, N_SAMPLES])
@pytest.mark.parametrize("arch", ["aasist", "aasist_l"])
def test_logits_are_the_references(arch: str, n_samples: int) -> None:
    model = filled(arch, "--encoder-channels", "8")
    clips = waveforms(n_samples)
    expected = [graph_reference.aasist(float64_weights(model), clip, RATIOS[arch]) for clip in clips.double().numpy()]
    with torch.no_grad():
        assert model(clips).dtype == torch.float32
        np.testing.assert_allclose(in_float64(model)(clips.double()), expected, rtol=1e-6, atol=1e-6)


# Training


def test_all_but_the_norms_without_effect_is_trained() -> None:
    model = build("aasist").train()
    model(waveforms(5_000)).square().sum().backward()
    untrained = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert untrained == {f"encoder.{number}.0.bn1.{kind}" for number in range(1, 6) for kind in ("weight", "bias")}
    assert untrained == {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


def test_dropout_is_drawn_from_torchs_generator_and_in_training_only() -> None:
    model = build("aasist_l")

    def output(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        with torch.no_grad():
            return model(waveforms(5_000))

    model.train()
    assert torch.equal(output(1), output(1))
    assert not torch.equal(output(1), output(2))
    model.eval()
    assert torch.equal(output(1), output(2))


def test_frequency_masking_is_off_unless_asked_for() -> None:
    assert not build("aasist").filter_bank.frequency_masking
    assert build("aasist", "--frequency-masking").filter_bank.frequency_masking


def test_sixteen_clips_are_told_apart_after_16_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aasist, "N_FILTERS", 6)  # two bands instead of 23, to be quick
    loss, eer = train("aasist", n_samples=4_000, n_updates=16, lr=3e-3)
    assert loss < 0.6
    assert eer < 0.2


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sixteen clips as recordings with manifests, the same for training and validation."""
    folder = tmp_path_factory.mktemp("data")
    trials = []
    for number, (clip, label) in enumerate(zip(*two_classes(4_800), strict=True)):
        soundfile.write(folder / f"clip_{number}.wav", clip.numpy(), 16_000, subtype="FLOAT")
        trials.append(Trial(f"clip_{number}", f"clip_{number}.wav", ("spoof", "bonafide")[label], len(clip)))
    for split in ("train", "dev"):
        write_manifest(folder / f"{split}.tsv", trials)
    return folder


def test_training_and_scoring_by_command(data: Path, tmp_path: Path) -> None:
    printed = fairseq(
        "train", str(data), *PLUGIN, "--arch", "aasist_l", "--max-samples", "2400", "--frequency-masking",
        "--criterion", "weighted_cross_entropy", "--optimizer", "adam", "--lr", "1e-3", "--batch-size", "8", "--max-epoch", "1",
        "--valid-subset", "dev", "--best-checkpoint-metric", "eer", "--log-format", "json", "--log-interval", "1",
        "--num-workers", "0", "--cpu", "--save-dir", str(tmp_path),
    )  # fmt: skip
    assert len(column(logged(printed), "dev_eer")) == 1
    checkpoint = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)
    chosen = {name: checkpoint["cfg"]["model"][name] for name in ("_name", "encoder_channels", "frequency_masking")}
    assert chosen == {"_name": "aasist_l", "encoder_channels": 24, "frequency_masking": True}
    assert "w2v_args" not in checkpoint["cfg"]["model"]

    arguments = ["score", str(tmp_path / "checkpoint_last.pt"), str(data / "dev.tsv"), "--output", str(tmp_path / "scores.txt")]
    assert main([*arguments, "--num-workers", "0"]) == 0
    scores = list(read_scores(tmp_path / "scores.txt").values())
    model = build("aasist_l").eval()
    model.load_state_dict(checkpoint["model"], strict=True)
    with torch.no_grad():
        expected = model.scores(model(two_classes(4_800)[0][:, :2_400])).tolist()
    assert scores == pytest.approx(expected, abs=1e-6)
    assert np.std(scores) > 1e-4


# What else is asked of it


def test_architectures_are_settings_that_arguments_outdo() -> None:
    assert configuration("aasist_l").encoder_channels == 24
    assert configuration("aasist_l", "--encoder-channels", "16").encoder_channels == 16
    assert configuration("aasist").encoder_channels == 64


def test_half_precision_gives_single_precision_scores_close_by() -> None:
    model = filled("aasist_l")
    with torch.no_grad():
        expected = model(waveforms(5_000))
        output = in_half_precision(model, torch.bfloat16, waveforms(5_000))(waveforms(5_000))
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, expected, rtol=0.1, atol=0.1)


def test_a_clips_logits_do_not_depend_on_its_batch() -> None:
    model = filled("aasist_l")
    with torch.no_grad():
        together = model(waveforms(N_SAMPLES, 3))
        alone = torch.cat([model(clip) for clip in waveforms(N_SAMPLES, 3).split(1)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_a_clip_too_short_for_a_frame_is_refused() -> None:
    model = filled("aasist_l")
    with torch.no_grad():
        assert model(waveforms(2_315)).isfinite().all()
        with pytest.raises(DataError, match="clips of 2,314 samples: AASIST needs at least 2,315: raise --max-samples"):
            model(waveforms(2_314))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--encoder-channels", "0"), ("--spectral-pool-ratio", "2"), ("--temporal-pool-ratio", "0"),
        ("--joint-pool-ratio", "-1"), ("--joint-pool-ratio", "nan"),
    ],
)  # fmt: skip
def test_sizes_without_sense_are_refused(option: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"{option} {value}"):
        build("aasist", f"{option}={value}")


def test_scores_and_ratios() -> None:
    model = build("aasist_l")
    output = torch.tensor([[3.0, -1.0], [0.5, 2.0]])
    assert model.scores(output).tolist() == [-1.0, 2.0]
    assert model.log_likelihood_ratios(output).tolist() == [-4.0, 1.5]
