"""The criterion: torch's weighted mean, whatever the batches are; what it refuses; what it logs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from fairseq.logging import metrics
from omegaconf import OmegaConf
from torch import Tensor, nn

from protocols import SettingError
from sls_plugin.criterions.weighted_cross_entropy import WeightedCrossEntropy, WeightedCrossEntropyConfig, balanced_weights
from sls_plugin.modules.countermeasure import Countermeasure


class Linear(Countermeasure):
    """The smallest detector: features to log-probabilities, with a BatchNorm as SLS has."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norm = nn.BatchNorm1d(6)
        self.norm.running_mean.normal_()
        self.linear = nn.Linear(6, 2)
        self.double()

    def forward(self, source: Tensor) -> Tensor:
        return torch.log_softmax(self.linear(self.norm(source)), dim=1)


def sample(labels: Sequence[int], seed: int = 0) -> dict[str, Any]:
    source = torch.from_numpy(np.random.default_rng(seed).standard_normal((len(labels), 6)))
    return {"net_input": {"source": source}, "label": torch.tensor(labels)}


def criterion(class_weights: str = "0.1,0.9") -> WeightedCrossEntropy:
    return WeightedCrossEntropy(None, class_weights)


def parts(batch: dict[str, Any], sizes: Sequence[int]) -> list[dict[str, Any]]:
    """The batch cut into smaller ones."""
    sources, labels = batch["net_input"]["source"].split(list(sizes)), batch["label"].split(list(sizes))
    return [{"net_input": {"source": source}, "label": label} for source, label in zip(sources, labels, strict=True)]


LABELS = [0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize("labels", [LABELS, [0], [1], [0, 0, 0], [1, 1]])
@pytest.mark.parametrize("class_weights", ["0.1,0.9", "1,1", " 2 , 0.5 ", "5e-1,3"])
def test_loss_over_sample_size_is_torchs_weighted_mean(labels: list[int], class_weights: str) -> None:
    model, batch = Linear().eval(), sample(labels)
    loss, sample_size, _ = criterion(class_weights)(model, batch)
    weights = torch.tensor([float(weight) for weight in class_weights.split(",")], dtype=torch.float64)
    logits = model.linear(model.norm(batch["net_input"]["source"]))
    expected = nn.CrossEntropyLoss(weights)(logits, batch["label"])
    torch.testing.assert_close(loss / sample_size, expected)


@pytest.mark.parametrize("sizes", [[11], [5, 6], [1, 2, 8], [1] * 11])
def test_gradients_of_small_batches_add_up_to_those_of_a_large_one(sizes: list[int]) -> None:
    model, whole = Linear().eval(), sample(LABELS)
    logits = model.linear(model.norm(whole["net_input"]["source"]))
    nn.CrossEntropyLoss(torch.tensor([0.1, 0.9], dtype=torch.float64))(logits, whole["label"]).backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    total = 0.0
    for batch in parts(whole, sizes):
        loss, sample_size, _ = criterion()(model, batch)
        loss.backward()
        total += sample_size
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad / total, gradient)


def test_spoof_comes_first_and_bona_fide_second() -> None:
    assert criterion("0.25,0.75")(Linear().eval(), sample([0]))[1] == 0.25
    assert criterion("0.25,0.75")(Linear().eval(), sample([1]))[1] == 0.75


def test_a_weight_of_zero_takes_a_class_out() -> None:
    model = Linear().eval()
    both, bonafide = sample([1, 0, 1]), sample([1, 0, 1])
    bonafide["net_input"]["source"] = bonafide["net_input"]["source"][::2]
    bonafide["label"] = bonafide["label"][::2]
    loss, sample_size, _ = criterion("0,1")(model, both)
    expected, expected_size, _ = criterion("1,1")(model, bonafide)
    torch.testing.assert_close((loss, sample_size), (expected, expected_size))


def test_scores_are_handed_on_outside_training_only() -> None:
    model, batch = Linear(), sample(LABELS)
    assert "scores" not in criterion()(model.train(), batch)[2]
    log = criterion()(model.eval(), batch)[2]
    torch.testing.assert_close(log["scores"], model(batch["net_input"]["source"])[:, 1])


def test_an_unknown_label_is_no_class() -> None:
    with pytest.raises(IndexError):
        criterion()(Linear().eval(), sample([0, -1]))


# Class weights


@pytest.mark.parametrize(
    "class_weights", ["", ",", "1", "1,", "0.1,0.9,1", "0.1;0.9", "0.1 0.9", "a,b", "-0.1,0.9", "0,0", "Balanced", "0.1,,0.9"]
)
def test_class_weights_that_cannot_be(class_weights: str) -> None:
    with pytest.raises(SettingError) as refusal:
        criterion(class_weights)
    assert str(refusal.value).startswith(f"--class-weights {class_weights}: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("class_weights", ["nan,0.9", "0.1,nan", "inf,1", "1,inf"])
def test_class_weights_that_are_not_finite(class_weights: str) -> None:
    with pytest.raises(SettingError):
        criterion(class_weights)


@pytest.mark.parametrize(("n_spoof", "n_bonafide"), [(22_800, 2580), (1, 1), (7, 3), (1, 100_000)])
def test_balanced_weights_give_both_classes_the_same_total(n_spoof: int, n_bonafide: int) -> None:
    spoof, bonafide = criterion(balanced_weights(n_spoof, n_bonafide)).class_weights
    n_trials = n_spoof + n_bonafide
    assert (spoof, bonafide) == (n_trials / (2 * n_spoof), n_trials / (2 * n_bonafide))
    assert n_spoof * spoof == pytest.approx(n_bonafide * bonafide)
    assert n_spoof * spoof + n_bonafide * bonafide == pytest.approx(n_trials)


class TaskWithCounts:
    def count_training_classes(self) -> tuple[int, int]:
        return 30, 10


@pytest.mark.parametrize(("given", "stored"), [("balanced", f"{40 / 60!r},2.0"), (" 2 , 0.5 ", " 2 , 0.5 ")])
def test_a_checkpoint_has_the_numbers_of_the_classes_weights(given: str, stored: str) -> None:
    cfg = OmegaConf.structured(WeightedCrossEntropyConfig(class_weights=given))
    built = WeightedCrossEntropy.build_criterion(cfg, TaskWithCounts())
    assert built.class_weights == [float(weight) for weight in stored.split(",")]
    assert built.cfg_for_checkpoint() == {"class_weights": stored}


# What is logged


class Weighing(Linear):
    """A detector with the weights of two layers: the first two numbers of a clip."""

    def forward_with_layer_weights(self, source: Tensor) -> tuple[Tensor, Tensor]:
        return self(source), source[:, :2].T


def test_layer_weights_are_logged_in_validation_only() -> None:
    model, batch = Weighing(), sample(LABELS)
    assert not any(name.startswith("layer_") for name in criterion()(model.train(), batch)[2])
    log = criterion()(model.eval(), batch)[2]
    with metrics.aggregate(new_root=True) as totals:
        WeightedCrossEntropy.reduce_metrics([log])
    values, means = totals.get_smoothed_values(), batch["net_input"]["source"].mean(dim=0)
    assert [values["layer_00"], values["layer_01"]] == pytest.approx(means[:2].tolist(), abs=1e-6)
    assert "layer_02" not in values


def logged(batches: Sequence[dict[str, Any]], model: nn.Module) -> list[dict[str, Any]]:
    return [criterion()(model, batch)[2] for batch in batches]


@pytest.mark.parametrize("sizes", [[11], [3, 8], [1, 1, 9], [1] * 11])
@pytest.mark.parametrize("at_once", [True, False])
def test_logged_loss_and_accuracy_are_those_of_all_trials(sizes: list[int], at_once: bool) -> None:
    """Over the batches of one update (workers, --update-freq), and over updates of unequal size."""
    model, whole = Linear().eval(), sample(LABELS, seed=5)
    logs = logged(parts(whole, sizes), model)
    with metrics.aggregate(new_root=True) as totals:
        for update in [logs] if at_once else [[log] for log in logs]:
            WeightedCrossEntropy.reduce_metrics(update)
    output = model(whole["net_input"]["source"])
    expected = nn.CrossEntropyLoss(torch.tensor([0.1, 0.9], dtype=torch.float64))(output, whole["label"])
    values = totals.get_smoothed_values()
    assert totals["loss"].avg == pytest.approx(expected.item(), rel=1e-12)
    assert totals["accuracy"].avg == pytest.approx((output.argmax(dim=1) == whole["label"]).double().mean().item())
    assert 0 < values["accuracy"] < 1


def test_logs_can_be_summed_before_they_are_reduced() -> None:
    assert WeightedCrossEntropy.logging_outputs_can_be_summed()
    model, whole = Linear().train(), sample(LABELS)
    logs = logged(parts(whole, [4, 7]), model)
    summed = {name: sum(log[name] for log in logs) for name in logs[0]}
    results = []
    for outputs in (logs, [summed]):
        with metrics.aggregate(new_root=True) as totals:
            WeightedCrossEntropy.reduce_metrics(outputs)
        results.append(dict(totals.get_smoothed_values()))
    assert results[0] == pytest.approx(results[1])


@pytest.mark.parametrize("sizes", [[11], [3, 8], [1, 1, 9], [1] * 11])
@pytest.mark.parametrize("training", [True, False])
def test_the_mean_over_batches_is_that_of_a_plain_loop(sizes: list[int], training: bool) -> None:
    """One batch an update in training; two in each call in validation, as of two workers."""
    model, whole = Linear().train(training), sample(LABELS, seed=5)
    model.norm.eval()
    batches = parts(whole, sizes)
    loss_function, running_loss, n_clips = nn.CrossEntropyLoss(torch.tensor([0.1, 0.9], dtype=torch.float64)), 0.0, 0
    for batch in batches:
        batch_loss = loss_function(model(batch["net_input"]["source"]), batch["label"])
        running_loss += batch_loss.item() * len(batch["label"])
        n_clips += len(batch["label"])
    logs = logged(batches, model)
    with metrics.aggregate(new_root=True) as totals:
        for start in range(0, len(logs), 1 if training else 2):
            WeightedCrossEntropy.reduce_metrics(logs[start : start + (1 if training else 2)])
    assert totals["loss_batch_mean"].avg == pytest.approx(running_loss / n_clips, rel=1e-12)


def test_an_update_of_nothing_but_broken_clips_has_no_weight() -> None:
    nothing = {"loss": torch.tensor(0.0), "sample_size": torch.tensor(0.0), "ntokens": 0, "nsentences": 0, "correct": 0}
    log = criterion()(Linear().train(), sample(LABELS))[2]
    results = []
    for updates in ([[log]], [[nothing, nothing], [log], [nothing]]):
        with metrics.aggregate(new_root=True) as totals:
            for update in updates:
                WeightedCrossEntropy.reduce_metrics(update)
                assert "loss" in totals  # otherwise fairseq logs a loss of -1
        results.append(dict(totals.get_smoothed_values()))
    assert results[0] == results[1]


def test_a_weight_of_zero_is_no_division_by_zero() -> None:
    log = criterion("0,1")(Linear().eval(), sample([0, 0]))[2]
    with metrics.aggregate(new_root=True) as totals:
        WeightedCrossEntropy.reduce_metrics([log])
    assert np.isfinite(totals.get_smoothed_values()["accuracy"])
    assert totals.get_smoothed_values()["loss"] == 0.0


def test_nothing_of_the_graph_is_kept_in_the_log() -> None:
    log = criterion()(Linear().train(), sample(LABELS))[2]
    assert not any(isinstance(value, Tensor) and value.requires_grad for value in log.values())
