"""Training with OC-softmax and AM-softmax as a user runs it: the checkpoint alone gives the cosine, wherever it is scored."""

from pathlib import Path

import numpy as np
import pytest
import torch
from commands import PLUGIN, RECIPE, column, fairseq, logged
from torch import Tensor, nn
from ways_to_score import ways_to_score

from fairseq_ckpt.__main__ import main as checkpoints
from protocols import read_manifest
from sls_plugin.data.clip_dataset import ClipDataset
from sls_plugin.inference.load import load_detector

OUTPUT_LAYERS = {"oc_softmax": "one_class", "am_softmax": "cosine"}


@pytest.fixture(scope="module", params=OUTPUT_LAYERS)
def trained(
    request: pytest.FixtureRequest, data: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[dict]]:
    """A checkpoint of SLS after two epochs, and their log."""
    folder = tmp_path_factory.mktemp(request.param)
    arguments = (str(data), *RECIPE, "--criterion", request.param, "--output-layer", OUTPUT_LAYERS[request.param])
    printed = fairseq("train", *arguments, "--w2v-path", str(backbone), "--save-dir", str(folder), "--max-epoch", "2")
    return folder / "checkpoint_best.pt", logged(printed)


def cosines(path: Path, data: Path) -> list[float]:
    """Of the eval split: between what reaches the last layer and the last of its directions, in float64."""
    loaded = load_detector(path)
    found: list[float] = []

    def remember(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        embedding, direction = inputs[0][0].double(), layer.weight[-1].double()
        found.append((embedding @ direction / (embedding.norm() * direction.norm())).item())

    loaded.model.fc3.register_forward_hook(remember)
    with torch.no_grad():
        for clip in ClipDataset(read_manifest(data / "eval.tsv"), data, loaded.segment):
            loaded.model(clip["source"].unsqueeze(0))
    return found


def test_losses_accuracy_and_eer_are_logged(trained: tuple[Path, list[dict]]) -> None:
    _, records = trained
    for key in ("train_loss", "train_accuracy", "dev_loss", "dev_accuracy", "dev_eer"):
        assert len(column(records, key)) == 2, key
    assert column(records, "dev_loss") == column(records, "dev_loss_batch_mean")


def test_the_score_is_the_cosine_of_the_trained_direction(
    trained: tuple[Path, list[dict]], data: Path, tmp_path: Path
) -> None:
    """By `fairseq-generate`, `sls score`, from Python, and by an exported file."""
    path, _ = trained
    expected = cosines(path, data)
    assert min(expected) >= -1
    assert max(expected) <= 1
    assert np.std(expected) > 1e-3

    for scores, tolerance in zip(ways_to_score(path, data, tmp_path), (1e-6, 1e-6, 1e-6, 1e-4), strict=True):
        assert scores == pytest.approx(expected, abs=tolerance)


def test_its_checkpoint_is_validated_and_trained_further(trained: tuple[Path, list[dict]], data: Path, backbone: Path) -> None:
    path, records = trained
    validate = ("--path", str(path), "--valid-subset", "dev", "--batch-size", "4", "--cpu", "--log-format", "json")
    validated = fairseq("validate", str(data), *PLUGIN, *validate)
    assert column(logged(validated), "dev_eer")[-1] == pytest.approx(min(column(records, "dev_eer")), abs=1e-6)
    criterion = path.parent.name.rstrip("0123456789")
    arguments = (*RECIPE, "--criterion", criterion, "--output-layer", OUTPUT_LAYERS[criterion], "--w2v-path", str(backbone))
    resumed = fairseq("train", str(data), *arguments, "--save-dir", str(path.parent), "--max-epoch", "3")
    assert len(column(logged(resumed), "train_loss")) == 1


def test_what_its_file_says(trained: tuple[Path, list[dict]], capsys: pytest.CaptureFixture[str]) -> None:
    """It holds the directions and no bias, and is of no published layout."""
    path, _ = trained
    assert checkpoints(["inspect", str(path)]) == 0
    assert "no published layout" in capsys.readouterr().out
    shapes = {name: tuple(tensor.shape) for name, tensor in load_detector(path).model.state_dict().items()}
    assert shapes["fc3.weight"] == (1 if "oc_softmax" in str(path) else 2, 16)
    assert "fc3.bias" not in shapes


def test_a_detector_without_that_option(data: Path) -> None:
    printed = fairseq("train", str(data), *RECIPE, "--arch", "aasist", "--output-layer", "cosine", status=2)
    assert "unrecognized arguments: --output-layer cosine" in printed
