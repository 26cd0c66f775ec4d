"""`fairseq-train` in two stages and with learning-rate schedules; then scoring of what it wrote, as a user runs them."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import PLUGIN, column, fairseq, train

from protocols import read_manifest
from sls_plugin.__main__ import main
from sls_plugin.criterions.weighted_cross_entropy import balanced_weights
from sls_plugin.metrics.det import equal_error_rate
from sls_plugin.scores.score_file import read_scores

N_FIRST, N_UPDATES = 8, 18  # 22 trials in batches of 4: the second stage begins inside the second of three epochs
PEAKS = (5e-3, 1e-3)
TWO_STAGE = (
    "--arch", "xlsr_linear_300m", "--normalize", "--padding", "zero", "--class-weights", "balanced", "--dropout", "0.1",
    "--freeze-backbone-updates", str(N_FIRST), "--freeze-below-layer", "1", "--max-update", str(N_UPDATES),
    "--lr-scheduler", "two_stage", "--lr", ",".join(map(str, PEAKS)), "--warmup-fraction", "0.3",
    "--clip-norm", "1.0", "--crop", "random", "--save-interval-updates", "5", "--num-workers", "0",
)  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(data: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    folder = tmp_path_factory.mktemp("two_stage")
    return folder, train(data, backbone, folder, *TWO_STAGE)


def learning_rates(records: list[dict]) -> dict[int, float]:
    """The learning rate of the update that follows each number of updates; 0 before the first is not logged."""
    return {int(record["num_updates"]): float(record["lr"]) for record in records if "lr" in record}


def weights_of(checkpoint: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoint, weights_only=True)["model"]


def changed(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> set[str]:
    assert one.keys() == other.keys()
    return {name for name, tensor in one.items() if not torch.equal(tensor, other[name])}


def scores_of(checkpoint: Path, data: Path, split: str, output: Path, *options: str) -> dict[str, float]:
    command = ["score", str(checkpoint), str(data / f"{split}.tsv"), "--output", str(output), "--num-workers", "0"]
    assert main([*command, *options]) == 0
    return read_scores(output)


def eer_of(scores: dict[str, float], manifest: Path) -> float:
    labels = {trial.id: trial.label for trial in read_manifest(manifest)}
    classes = [np.array([score for name, score in scores.items() if labels[name] == c]) for c in ("bonafide", "spoof")]
    return equal_error_rate(*classes)[0]


# Two stages


def test_every_update_has_the_learning_rate_of_its_stage(undisturbed) -> None:
    _, records = undisturbed
    n_second = N_UPDATES - N_FIRST
    first = np.interp(np.arange(N_FIRST), [0, int(0.3 * N_FIRST), N_FIRST], [0, PEAKS[0], 0])
    second = np.interp(np.arange(n_second), [0, int(0.3 * n_second), n_second], [0, PEAKS[1], 0])
    expected = dict(enumerate([*first, *second, 0.0]))
    rates = learning_rates(records)
    assert set(rates) == set(range(1, N_UPDATES + 1))
    assert rates == pytest.approx({number: expected[number] for number in rates}, rel=1e-4)


def test_each_stage_trains_its_part(undisturbed, backbone) -> None:
    folder, _ = undisturbed
    pretrained = torch.load(backbone, weights_only=True)["model"]
    saved = {name: weights_of(folder / f"checkpoint_{name}.pt") for name in ("1_5", "2_10", "3_15")}
    head = {name for name in saved["1_5"] if not name.startswith("ssl_model.")}
    top = {name for name in saved["1_5"] if name.startswith("ssl_model.model.encoder.layers.1.")}
    for weights, moved in (("1_5", set()), ("2_10", top)):
        network = {name: tensor for name, tensor in saved[weights].items() if name.startswith("ssl_model.")}
        assert changed(network, {f"ssl_model.model.{name}": tensor for name, tensor in pretrained.items()}) == moved
    assert changed(saved["1_5"], saved["2_10"]) == head | top
    assert changed(saved["2_10"], saved["3_15"]) == head | top


@pytest.mark.parametrize("checkpoint", ["checkpoint_1_5.pt", "checkpoint_2_10.pt"])
def test_training_goes_on_in_either_stage_as_if_never_stopped(checkpoint, undisturbed, data, backbone, tmp_path) -> None:
    folder, _ = undisturbed
    shutil.copy(folder / checkpoint, tmp_path / "checkpoint_last.pt")
    resumed = train(data, backbone, tmp_path, *TWO_STAGE)
    n_done = int(checkpoint.removesuffix(".pt").split("_")[-1])
    assert [record["num_updates"] for record in resumed if "loss" in record] == [
        str(number) for number in range(n_done + 1, N_UPDATES + 1)
    ]
    for name in ("checkpoint_3_15.pt", "checkpoint3.pt"):
        assert not changed(weights_of(tmp_path / name), weights_of(folder / name))


def test_the_checkpoint_of_the_lowest_dev_eer_is_kept_and_scores_are_those_of_training(undisturbed, data, tmp_path) -> None:
    """A checkpoint says by itself that clips are normalised and filled with zeros."""
    folder, records = undisturbed
    validated = [float(record["dev_eer"]) for record in records if "dev_eer" in record]
    best = scores_of(folder / "checkpoint_best.pt", data, "dev", tmp_path / "best.txt")
    assert eer_of(best, data / "dev.tsv") == pytest.approx(min(validated), abs=1e-6)
    scores = scores_of(folder / "checkpoint3.pt", data, "dev", tmp_path / "last.txt")
    assert eer_of(scores, data / "dev.tsv") == pytest.approx(validated[-1], abs=1e-6)
    ratios = scores_of(folder / "checkpoint3.pt", data, "dev", tmp_path / "llr.txt", "--llr")
    assert [1 / (1 + math.exp(-ratio)) for ratio in ratios.values()] == pytest.approx(list(scores.values()), rel=1e-5)

    common = (str(data), *PLUGIN, "--path", str(folder / "checkpoint3.pt"), "--cpu", "--batch-size", "4")
    fairseq("generate", *common, "--gen-subset", "dev", "--results-path", str(tmp_path), "--scoring", "eer")
    generated = read_scores(tmp_path / "scores-dev.txt")
    assert list(generated.values()) == pytest.approx(list(scores.values()), abs=1e-6)

    cfg = torch.load(folder / "checkpoint3.pt", weights_only=True)["cfg"]
    assert cfg["model"]["normalize"]
    assert cfg["task"]["padding"] == "zero"


def test_the_published_class_weights() -> None:
    """Of the 8,988 spoofed and 1,017 bona fide utterances that the two-stage system was trained on."""
    weights = [float(weight) for weight in balanced_weights(8_988, 1_017).split(",")]
    assert weights == pytest.approx([0.5566, 4.9189], abs=5e-5)


# Other schedules, with gradients accumulated over batches


def test_cosine_over_accumulated_batches_and_softmax_over_layers(data, backbone, tmp_path) -> None:
    """Six batches an epoch, two an update; layer weights that start equal learn, and the checkpoint scores as in training."""
    records = train(
        data, backbone, tmp_path, "--layer-fusion", "softmax", "--pooling", "max", "--update-freq", "2", "--max-update", "9",
        "--lr-scheduler", "cosine", "--lr", "1e-2", "--min-lr", "1e-4", "--warmup-updates", "3", "--num-workers", "0",
    )  # fmt: skip
    expected = {number: 1e-4 + (1e-2 - 1e-4) * number / 3 for number in range(1, 3)}
    expected |= {n: 1e-4 + (1e-2 - 1e-4) * (1 + math.cos(math.pi * (n - 3) / 6)) / 2 for n in range(3, 9)}
    rates = learning_rates(records)
    assert {number: rates[number] for number in expected} == pytest.approx(expected, rel=1e-4)
    assert max(rates) == 9
    assert max(column(records, "bsz")) == 8

    learnt = torch.softmax(weights_of(tmp_path / "checkpoint3.pt")["hidden_state_weights"], dim=0)
    assert learnt.shape == (3,)  # the input of the first of two layers, its output, the last hidden state
    assert (learnt - 1 / 3).abs().max() > 1e-3
    scores = scores_of(tmp_path / "checkpoint3.pt", data, "dev", tmp_path / "scores.txt")
    assert eer_of(scores, data / "dev.tsv") == pytest.approx(column(records, "dev_eer")[-1], abs=1e-6)


def test_linear_warm_up_and_decay_over_accumulated_batches(data, backbone, tmp_path) -> None:
    records = train(
        data, backbone, tmp_path, "--pooling", "attention", "--update-freq", "3", "--max-update", "6", "--no-save",
        "--lr-scheduler", "polynomial_decay", "--total-num-update", "6", "--warmup-updates", "2", "--lr", "1e-3",
        "--num-workers", "0", "--disable-validation",
    )  # fmt: skip
    expected = dict(enumerate(np.interp(np.arange(7), [0, 2, 6], [0, 1e-3, 0])))
    rates = learning_rates(records)
    assert set(rates) == set(range(1, 7))
    assert rates == pytest.approx({number: expected[number] for number in rates}, rel=1e-4)
