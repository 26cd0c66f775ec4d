"""Half precision: every convolution of every detector is right on this processor, and one that is wrong is noticed."""

import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from detectors import build, build_published_size, waveforms, write_detector
from fairseq.models import ARCH_MODEL_REGISTRY
from torch import Tensor, nn
from torch.nn import functional as F

from fairseq_ckpt.wav2vec.random_backbone import TINY
from protocols import DataError, SettingError, Trial
from sls_plugin.data.clip_dataset import Segment
from sls_plugin.inference import half_precision
from sls_plugin.inference.engine import ScoringEngine
from sls_plugin.inference.half_precision import (
    check_half_precision,
    refuse_wrong_convolutions,
    repair_convolutions,
    wrong_convolutions,
)
from sls_plugin.inference.load import load_detector
from sls_plugin.tasks.generator import TrialDictionary, TrialGenerator

N_SAMPLES = 4_320
HALF = [torch.bfloat16, torch.float16]
DETECTORS = sorted(
    name for name, model in ARCH_MODEL_REGISTRY.items() if model.__module__.startswith("sls_plugin.") and name != "aasist_l"
)


def made_input(kind: type[nn.Module], n_channels: int) -> Tensor:
    """Small: a processor without float16 arithmetic takes 20 s for the largest 3 x 3 convolution on 24 x 60 points."""
    return torch.randn(2, n_channels, *((200,) if kind is nn.Conv1d else (8, 20)))


def convolutions(model: nn.Module) -> Iterator[nn.Module]:
    for module in model.modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d)):
            settings = (module.in_channels, module.out_channels, module.kernel_size, module.stride, module.padding)
            yield type(module), (*settings, module.dilation, module.groups)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> set:
    """The convolutions of all detectors at the published size, and of the small backbone of the demo."""
    found = set()
    with pytest.MonkeyPatch.context() as patch, torch.device("meta"):
        # fairseq's initialisation copies through the CPU, which a tensor without values cannot do
        patch.setattr("fairseq.models.wav2vec.wav2vec2.init_bert_params", lambda module: None)
        for name in DETECTORS:
            found |= {*convolutions(build_published_size(name))}
    found |= {*convolutions(build("sls_xlsr_300m", "--w2v-path", str(tiny_checkpoint)))}
    few, long = (48, 48, (16,), (1,), (8,), (1,), 4), (192, 192, (16,), (1,), (8,), (1,), 16)
    return found | {(nn.Conv1d, few), (nn.Conv1d, long)}  # and two shapes that a CPU with AMX gets wrong in bfloat16


@pytest.mark.parametrize("dtype", HALF)
def test_every_convolution_of_every_detector_is_right(shapes: set, dtype: torch.dtype) -> None:
    assert len(shapes) > 30
    for kind, settings in sorted(shapes, key=str):
        torch.manual_seed(len(str(settings)))
        model = nn.Sequential(kind(*settings))
        x = made_input(kind, settings[0])
        with torch.no_grad():
            expected = model(x)
            repair_convolutions(model.to(dtype), x.to(dtype))
            output = model(x.to(dtype))
        assert output.dtype == dtype
        assert (output.float() - expected).norm() < 0.02 * expected.norm(), (kind, settings)


# A fault, put into the arithmetic of half precision


def noisy(function: Callable[..., Tensor], applies: Callable[..., bool]) -> Callable[..., Tensor]:
    """The function with noise as large as its result where the input is in half precision and `applies` to the weight."""

    def faulty(x: Tensor, weight: Tensor, *args: object) -> Tensor:
        output = function(x, weight, *args)
        if x.dtype not in HALF or not applies(weight):
            return output
        noise = torch.randn(output.shape, generator=torch.Generator().manual_seed(7))
        return output + (noise * output.float().std()).to(output.dtype)

    return faulty


@pytest.fixture
def wrong_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    """The positional convolution of a backbone, the one with groups, is wrong in half precision."""
    monkeypatch.setattr(F, "conv1d", noisy(F.conv1d, lambda weight: weight.shape[2] == 16))


@pytest.fixture
def wrong_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(F, "linear", noisy(F.linear, lambda weight: True))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    """A detector whose scores depend on its positional convolution."""
    assert TINY["conv_pos"] == 16
    path = tmp_path_factory.mktemp("detector") / "sls.pt"
    write_detector(path, "sls_xlsr_300m", N_SAMPLES, "--w2v-path", str(tiny_checkpoint))
    content = torch.load(path)
    torch.manual_seed(5)
    for name in ("fc0", "fc1", "fc3"):  # decisive heads
        content["model"][f"{name}.weight"] = 0.1 * torch.randn_like(content["model"][f"{name}.weight"])
    position = "ssl_model.model.encoder.pos_conv.0.weight_g"
    content["model"][position] = 5 * content["model"][position]
    torch.save(content, path)
    return path


def engine(checkpoint: Path, dtype: torch.dtype, **options: object) -> ScoringEngine:
    detector = load_detector(checkpoint)
    model, segment = detector.model, detector.segment
    return ScoringEngine(model, segment, device="cpu", dtype=dtype, batch_size=8, num_workers=0, **options)


@pytest.mark.parametrize("pack_weights", [False, True])
def test_a_wrong_convolution_is_computed_in_float32(
    checkpoint: Path, wrong_convolution: None, caplog: pytest.LogCaptureFixture, pack_weights: bool
) -> None:
    clips = waveforms(N_SAMPLES, 8)
    expected = engine(checkpoint, torch.float32).score(clips)
    with caplog.at_level(logging.WARNING):
        scores = engine(checkpoint, torch.bfloat16, pack_weights=pack_weights).score(clips)
    assert caplog.messages == ["bfloat16: this processor computes one convolution of the model wrongly: using float32 there"]
    assert (scores - expected).abs().mean() < 0.1 * expected.abs().mean()


def test_wrong_scores_are_refused(checkpoint: Path, wrong_linear: None) -> None:
    message = r"bfloat16: outputs on the first 4 clips differ by .* from those in float32: use --dtype float32"
    with pytest.raises(SettingError, match=message):
        engine(checkpoint, torch.bfloat16).score(waveforms(N_SAMPLES, 8))


def test_a_wrong_convolution_alone_would_be_refused(
    checkpoint: Path, wrong_convolution: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the repair is what makes the scores right, and the check of the outputs sees such a fault as well."""
    monkeypatch.setattr("sls_plugin.inference.engine.repair_convolutions", lambda *_: None)
    with pytest.raises(SettingError, match="use --dtype float32"):
        engine(checkpoint, torch.bfloat16).score(waveforms(N_SAMPLES, 8))


def test_fairseqs_generation_is_checked_too(checkpoint: Path, wrong_linear: None) -> None:
    model = load_detector(checkpoint).model
    sample = {"net_input": {"source": waveforms(N_SAMPLES, 8).bfloat16()}}
    with pytest.raises(SettingError, match="use --dtype float32"):
        TrialGenerator(TrialDictionary()).generate([model.bfloat16()], sample)


def test_a_model_in_half_precision_keeps_its_weights(checkpoint: Path) -> None:
    """But for the type of those of a convolution that this processor gets wrong."""
    model = load_detector(checkpoint).model.bfloat16()
    wrong = {id(tensor) for convolution in wrong_convolutions(model, waveforms(N_SAMPLES)) for tensor in convolution.parameters()}
    types = {name: torch.float32 if id(tensor) in wrong else tensor.dtype for name, tensor in model.named_parameters()}
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    check_half_precision(model, waveforms(N_SAMPLES))
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name].to(tensor.dtype), tensor) for name, tensor in before.items())
    assert all(after[name].dtype == types.get(name, tensor.dtype) for name, tensor in before.items())


def test_training_is_refused_and_otherwise_unchanged(checkpoint: Path, wrong_convolution: None) -> None:
    model = load_detector(checkpoint).model
    model.bfloat16().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    draws = torch.get_rng_state()
    message = "bfloat16: this processor computes one convolution of the model wrongly: leave out --bf16 or --fp16"
    with pytest.raises(SettingError, match=message):
        refuse_wrong_convolutions(model, waveforms(N_SAMPLES))
    assert model.training
    assert torch.equal(torch.get_rng_state(), draws)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    refuse_wrong_convolutions(model.float(), waveforms(N_SAMPLES))


class Counting(nn.Module):
    """Counts the clips of each type; the score is a clip's first sample."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.n_clips: list[tuple[torch.dtype, int]] = []

    def forward(self, source: Tensor) -> Tensor:
        self.n_clips.append((self.weight.dtype, len(source)))
        return source[:, :2] * self.weight.float()

    def scores(self, output: Tensor) -> Tensor:
        return output[:, 1]


def counting_engine(**options: object) -> ScoringEngine:
    settings = {"device": "cpu", "dtype": torch.bfloat16, "batch_size": 8, "num_workers": 0} | options
    return ScoringEngine(Counting(), Segment(N_SAMPLES), **settings)


def test_the_check_costs_four_clips_in_float32_once_per_run() -> None:
    checked = counting_engine()
    for _ in range(3):
        checked.score(waveforms(N_SAMPLES, 8))
    assert [count for count in checked.model.n_clips if count[0] == torch.float32] == [(torch.float32, 4)]
    unchecked = counting_engine(dtype=torch.float32)
    unchecked.score(waveforms(N_SAMPLES, 8))
    assert unchecked.model.n_clips == [(torch.float32, 8)]


def test_a_score_that_is_not_finite_in_float32_too_names_its_trial() -> None:
    clips = waveforms(N_SAMPLES, 8)
    clips[2, 1] = math.nan
    scorer = counting_engine()
    scores = scorer.score(clips)
    with pytest.raises(DataError, match=r"a\.wav: trial t: the model's score is NaN"):
        scorer.require_finite(Trial("t", "a.wav"), scores[2].item())


def test_what_overflows_in_half_precision_is_refused() -> None:
    scorer = counting_engine(dtype=torch.float16)
    with torch.no_grad():
        scorer.model.weight.fill_(1e6)  # beyond float16
    with pytest.raises(SettingError, match=r"float16: outputs on the first 4 clips differ by .*: use --dtype float32"):
        scorer.score(waveforms(N_SAMPLES, 8))


def test_the_bound_of_a_convolution_is_far_from_rounding_and_from_faults(shapes: set) -> None:
    """Rounding is below a fifth of the bound for the published shapes, on a processor that computes them rightly."""
    errors = []
    for kind, settings in shapes:
        torch.manual_seed(1)
        convolution = kind(*settings)
        x = made_input(kind, settings[0])
        with torch.no_grad():
            expected = convolution(x.bfloat16().float())
            errors.append(((convolution.bfloat16()(x.bfloat16()).float() - expected).norm() / expected.norm()).item())
    bound = half_precision.LARGEST_CONVOLUTION_ERROR
    assert all(error < bound / 5 or error > 5 * bound for error in errors)
