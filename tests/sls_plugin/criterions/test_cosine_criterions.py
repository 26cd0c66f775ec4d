"""OC-softmax and AM-softmax: losses and gradients from their definitions, published margins, and clips that they tell apart."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

import numpy as np
import pytest
import torch
from detectors import SEEDS, build, two_classes
from fairseq.logging import metrics
from torch import Tensor, nn

from protocols import SettingError
from sls_plugin.criterions.am_softmax import AMSoftmax, AMSoftmaxConfig
from sls_plugin.criterions.cosine_criterion import CosineCriterion
from sls_plugin.criterions.oc_softmax import OCSoftmax, OCSoftmaxConfig
from sls_plugin.metrics.det import equal_error_rate
from sls_plugin.modules.countermeasure import Countermeasure
from sls_plugin.modules.output_layer import Cosines, build_output_layer

LABELS = [0, 1, 1, 0, 0, 1, 0]
N_FEATURES = 5


class Embeddings(Countermeasure):
    """The smallest detector: the source is the embedding."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.last = build_output_layer(kind, N_FEATURES).double()

    def forward(self, source: Tensor) -> Tensor:
        return self.last(source)


def sample(labels: Sequence[int] = LABELS, seed: int = 0) -> dict[str, Any]:
    source = torch.from_numpy(np.random.default_rng(seed).standard_normal((len(labels), N_FEATURES)))
    return {"net_input": {"source": source}, "label": torch.tensor(labels)}


def oc_softmax(**settings: float) -> OCSoftmax:
    return OCSoftmax(None, **numbers(OCSoftmaxConfig(**settings)))


def am_softmax(**settings: float) -> AMSoftmax:
    return AMSoftmax(None, **numbers(AMSoftmaxConfig(**settings)))


def numbers(config: Any) -> dict[str, float]:
    return {name: value for name, value in asdict(config).items() if name != "_name"}


# The naive references: one clip, lists of numbers


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))


def oc_loss(embedding: Sequence[float], directions: Sequence[Sequence[float]], label: int) -> float:
    found = cosine(embedding, directions[0])
    return math.log(1 + math.exp(20 * (0.9 - found if label == 1 else found - 0.2)))


def am_loss(embedding: Sequence[float], directions: Sequence[Sequence[float]], label: int) -> float:
    right, wrong = cosine(embedding, directions[label]), cosine(embedding, directions[1 - label])
    return -math.log(math.exp(20 * (right - 0.9)) / (math.exp(20 * (right - 0.9)) + math.exp(20 * wrong)))


def slopes(function: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
    """The gradient of a function by central differences."""
    gradient = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[place] = 1e-6
        gradient[place] = (function(at + step) - function(at - step)) / 2e-6
    return gradient


CRITERIONS = pytest.mark.parametrize(
    ("criterion", "naive", "kind"), [(oc_softmax, oc_loss, "one_class"), (am_softmax, am_loss, "cosine")]
)


@CRITERIONS
def test_losses_and_gradients_are_those_of_the_definition(criterion: Callable, naive: Callable, kind: str) -> None:
    model, batch = Embeddings(kind), sample()
    source = batch["net_input"]["source"].requires_grad_()
    loss, sample_size, _ = criterion()(model, batch)
    loss.backward()
    embeddings, directions = source.detach().numpy(), model.last.weight.detach().numpy()
    expected = [naive(list(x), directions.tolist(), label) for x, label in zip(embeddings, LABELS, strict=True)]
    assert sample_size == len(LABELS)
    assert loss.item() == pytest.approx(sum(expected), rel=1e-9)  # torch's softplus leaves e^-20 out
    for row, (x, label) in enumerate(zip(embeddings, LABELS, strict=True)):
        of_clip = slopes(lambda at, label=label: naive(at, directions, label), x)
        np.testing.assert_allclose(source.grad[row], of_clip, rtol=1e-5, atol=1e-6)

    def total(at: np.ndarray) -> float:
        return sum(naive(x, at, label) for x, label in zip(embeddings, LABELS, strict=True))

    np.testing.assert_allclose(model.last.weight.grad, slopes(total, directions), rtol=1e-5, atol=1e-6)


def test_the_published_margins_are_the_defaults() -> None:
    assert numbers(OCSoftmaxConfig()) == {"margin_bonafide": 0.9, "margin_spoof": 0.2, "cosine_scale": 20}
    assert numbers(AMSoftmaxConfig()) == {"margin": 0.9, "cosine_scale": 20}


def test_a_loss_at_the_margin() -> None:
    """ln 2 for each class at its own margin; 0.9 and 0.2 are not each other's."""
    at_margins = torch.tensor([[0.0, 0.2], [0.0, 0.9]], dtype=torch.float64)
    assert oc_softmax().losses(at_margins, torch.tensor([0, 1])).tolist() == pytest.approx([math.log(2)] * 2)
    exchanged = oc_softmax().losses(at_margins, torch.tensor([1, 0])).tolist()
    assert exchanged == pytest.approx([14 + math.log1p(math.exp(-14))] * 2)
    without = am_softmax(margin=0.0, cosine_scale=1.0).losses(at_margins, torch.tensor([0, 1])).tolist()
    assert without == pytest.approx([math.log(1 + math.exp(0.2)), math.log(1 + math.exp(-0.9))])


# The cosines


@pytest.mark.parametrize(("kind", "n_directions"), [("cosine", 2), ("one_class", 1)])
def test_outputs_are_the_cosines_with_the_directions(kind: str, n_directions: int) -> None:
    layer = build_output_layer(kind, N_FEATURES).double()
    assert layer.weight.shape == (n_directions, N_FEATURES)
    embeddings = sample()["net_input"]["source"]
    output = layer(embeddings).tolist()
    for embedding, (spoof, bonafide) in zip(embeddings.tolist(), output, strict=True):
        found = [cosine(embedding, direction) for direction in layer.weight.tolist()]
        assert [spoof, bonafide] == pytest.approx([0.0, *found][-2:])
    torch.testing.assert_close(layer(1000 * embeddings), layer(embeddings))
    assert layer(torch.zeros(1, N_FEATURES, dtype=torch.float64)).tolist() == [[0, 0]]


def test_rounding_never_leads_beyond_one() -> None:
    layer = Cosines(1024, n_directions=2)
    along = layer.weight.detach().repeat(500, 1) * torch.rand(1000, 1, generator=torch.Generator().manual_seed(1))
    assert layer(torch.cat([along, -along])).abs().max() == 1


def test_half_precision_gives_cosines_in_single_precision() -> None:
    layer, embeddings = Cosines(64, n_directions=2), torch.randn(8, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, output = layer(embeddings), layer.bfloat16()(embeddings.bfloat16())
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, expected, rtol=0, atol=0.01)


# What is logged


@CRITERIONS
def test_what_is_logged_over_several_batches(criterion: Callable, naive: Callable, kind: str) -> None:
    model, loss_function = Embeddings(kind).eval(), criterion()
    logs = [loss_function(model, sample(labels, seed))[2] for seed, labels in enumerate(([0, 1, 1], [0]))]
    with metrics.aggregate(new_root=True) as logged:
        loss_function.reduce_metrics(logs)
    values = logged.get_smoothed_values()
    assert values["loss"] == values["loss_batch_mean"] == pytest.approx(float(sum(log["loss"] for log in logs)) / 4, abs=1e-6)
    assert values["accuracy"] == sum(int(log["correct"]) for log in logs) / 4
    assert "scores" not in loss_function(model.train(), sample())[2]


def test_accuracy_is_that_between_the_margins() -> None:
    """A spoof with a cosine of 0.1 costs next to nothing, and is not counted as bona fide."""
    output = torch.tensor([[0.0, 0.1], [0.0, 0.54], [0.0, 0.56]])
    assert oc_softmax().decisions(output).tolist() == [0, 0, 1]
    assert am_softmax().decisions(torch.tensor([[0.3, 0.1], [-0.4, -0.3]])).tolist() == [0, 1]


# Learning


def overfit(criterion: CosineCriterion, arch: str, seed: int, *arguments: str) -> float:
    """The EER of sixteen clips after 40 updates on halves of them."""
    model = build(arch, *arguments, "--output-layer", criterion.output_layer, seed=seed)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.5
    clips, labels = two_classes(4_000)
    optimizer = torch.optim.Adam([parameter for parameter in model.parameters() if parameter.requires_grad], lr=1e-3)
    for update in range(40):
        half = slice(0, 8) if update % 2 else slice(8, 16)
        loss, sample_size, _ = criterion(model.train(), {"net_input": {"source": clips[half]}, "label": labels[half]})
        optimizer.zero_grad()
        (loss / sample_size).backward()
        optimizer.step()
    with torch.no_grad():
        scores = model.eval().scores(model(clips)).numpy()
    assert np.abs(scores).max() <= 1
    bonafide = labels.numpy() == 1
    return equal_error_rate(scores[bonafide], scores[~bonafide])[0]


@pytest.mark.parametrize("criterion", [oc_softmax(), am_softmax()], ids=["oc", "am"])
@pytest.mark.parametrize("arch", ["sls_xlsr_300m", "xlsr_aasist_300m"])
def test_sixteen_clips_are_told_apart(criterion: CosineCriterion, arch: str, tiny_checkpoint: Any) -> None:
    options = ("--max-samples", "4000") if arch.startswith("sls") else ()
    eers = [overfit(criterion, arch, seed, "--w2v-path", str(tiny_checkpoint), *options) for seed in SEEDS]
    assert median(eers) < 0.2


# What is refused


@pytest.mark.parametrize("scale", [0.0, -20.0, math.nan, math.inf])
def test_a_scale_that_is_none(scale: float) -> None:
    for criterion in (oc_softmax, am_softmax):
        with pytest.raises(SettingError, match=rf"^--cosine-scale {scale}: must be finite and > 0$"):
            criterion(cosine_scale=scale)


@pytest.mark.parametrize(("spoof", "bonafide"), [(0.9, 0.2), (0.5, 0.5), (-1.5, 0.9), (0.2, 1.1), (math.nan, 0.9)])
def test_margins_that_are_none(spoof: float, bonafide: float) -> None:
    message = rf"^--margin-spoof {spoof} and --margin-bonafide {bonafide}: must be cosines, from -1 to 1, the first below the"
    with pytest.raises(SettingError, match=message):
        oc_softmax(margin_spoof=spoof, margin_bonafide=bonafide)


@pytest.mark.parametrize("margin", [-0.1, math.nan, math.inf])
def test_a_margin_that_is_none(margin: float) -> None:
    with pytest.raises(SettingError, match=rf"^--margin {margin}: must be finite and >= 0$"):
        am_softmax(margin=margin)
