"""Prosody-content disentanglement as a user runs it: a manifest per class, a teacher in training only, a small student."""

from pathlib import Path

import pytest
import torch
from commands import PLUGIN, RECIPE, SPLITS, column, fairseq, logged

from fairseq_ckpt.__main__ import main as convert_checkpoints
from protocols import read_manifest, write_manifest
from sls_plugin.__main__ import main
from sls_plugin.scores.score_file import read_scores

N_SPOOF = len([number for number in range(SPLITS["train"]) if number % 3])
UPDATES_PER_EPOCH = -(-2 * N_SPOOF // 8)
DISCRIMINATOR = {f"discriminator.{layer}.{kind}" for layer in "02" for kind in ("weight", "bias")}


@pytest.fixture(scope="module")
def corpora(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training data as two manifests, a corpus per class."""
    folder = tmp_path_factory.mktemp("corpora")
    for split in ("dev", "eval"):
        write_manifest(folder / f"{split}.tsv", read_manifest(data / f"{split}.tsv"))
    for label in ("bonafide", "spoof"):
        trials = [trial for trial in read_manifest(data / "train.tsv") if trial.label == label]
        write_manifest(folder / f"{label}.tsv", trials)
    return folder


def train(corpora: Path, data: Path, teacher: Path, save_dir: Path, *options: str) -> list[dict]:
    arguments = (
        str(corpora), *RECIPE, "--audio-root", str(data), "--arch", "prosody_encoder", "--max-samples", "2000",
        "--padding", "zero", "--train-subset", "spoof+bonafide", "--balanced-batches", "--batch-size", "8",
        "--criterion", "prosody_adversarial", "--teacher-path", str(teacher), "--adversarial-warmup-updates", "4",
        "--discriminator-lr-scale", "10", "--lr", "1e-4", "--weight-decay", "0", "--clip-norm", "3",
        "--save-dir", str(save_dir), "--max-epoch", "2",
    )  # fmt: skip
    return logged(fairseq("train", *arguments, *options))


@pytest.fixture(scope="module")
def trained(corpora: Path, data: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    """Checkpoints of two epochs and their log; the teacher is gone afterwards."""
    folder = tmp_path_factory.mktemp("prosody")
    teacher = folder / "teacher.pt"
    teacher.write_bytes(backbone.read_bytes())
    records = train(corpora, data, teacher, folder)
    teacher.unlink()
    return folder, records


def test_both_losses_and_the_eer_are_logged_each_epoch(trained: tuple[Path, list[dict]]) -> None:
    _, records = trained
    for key in ("train_loss", "train_content_loss", "train_accuracy", "dev_loss", "dev_content_loss", "dev_accuracy", "dev_eer"):
        assert len(column(records, key)) == 2, key
    assert column(records, "lambda") == pytest.approx([0, 0.025, 0.05, 0.075] + [0.1] * (2 * UPDATES_PER_EPOCH - 4))
    assert sum(column(records, "bsz")) == 2 * 2 * N_SPOOF  # in two epochs every spoof twice, and as many bona fide trials


def test_the_best_eer_is_kept_with_a_discriminator_and_without_a_teacher(trained: tuple[Path, list[dict]]) -> None:
    folder, records = trained
    best = torch.load(folder / "checkpoint_best.pt", weights_only=True)
    assert best["extra_state"]["best"] == pytest.approx(min(column(records, "dev_eer")), abs=1e-6)
    assert len(best["model"]) == 95
    assert set(best["criterion"]) == DISCRIMINATOR
    assert best["cfg"]["criterion"]["teacher_path"] is None
    assert best["cfg"]["criterion"]["without_teacher"]


def test_the_student_alone_scores_without_its_teacher(
    trained: tuple[Path, list[dict]], corpora: Path, data: Path, tmp_path: Path
) -> None:
    folder, _ = trained
    checkpoint, student = folder / "checkpoint_best.pt", tmp_path / "student.pt"
    assert convert_checkpoints(["convert", str(checkpoint), str(student), "--to", "fairseq"]) == 0
    assert student.stat().st_size < 25e6
    scores = []
    for path in (checkpoint, student):
        output = tmp_path / f"{path.stem}.txt"
        assert main(["score", str(path), str(data / "eval.tsv"), "--output", str(output), "--num-workers", "0"]) == 0
        scores.append(read_scores(output))
    assert scores[0] == scores[1]
    assert all(0 < score < 1 for score in scores[0].values())  # p(bona fide)

    common = (str(corpora), *PLUGIN, "--audio-root", str(data), "--path", str(student), "--cpu", "--batch-size", "4")
    generated = fairseq("generate", *common, "--gen-subset", "eval", "--results-path", str(tmp_path), "--scoring", "eer")
    assert "EER " in generated
    again = read_scores(tmp_path / "scores-eval.txt")
    assert list(again) == list(scores[0])
    assert list(again.values()) == pytest.approx(list(scores[0].values()), abs=1e-6)


def test_validation_needs_no_teacher(trained: tuple[Path, list[dict]], corpora: Path) -> None:
    folder, records = trained
    common = (str(corpora), *PLUGIN, "--path", str(folder / "checkpoint_best.pt"), "--cpu", "--log-format", "json")
    validated = logged(fairseq("validate", *common, "--valid-subset", "dev"))
    assert column(validated, "dev_eer") == pytest.approx([min(column(records, "dev_eer"))], abs=1e-6)
    assert column(validated, "dev_loss")[0] in column(records, "dev_loss")
    assert not column(validated, "dev_content_loss")


def test_training_goes_on_in_the_middle_of_an_epoch_as_if_never_stopped(
    trained: tuple[Path, list[dict]], corpora: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    folder, _ = trained
    train(corpora, data, backbone, tmp_path, "--max-update", str(UPDATES_PER_EPOCH + 1), "--disable-validation")
    train(corpora, data, backbone, tmp_path, "--num-workers", "0")
    resumed, undisturbed = (torch.load(path / "checkpoint2.pt", weights_only=True) for path in (tmp_path, folder))
    for part in ("model", "criterion"):
        for name, tensor in undisturbed[part].items():
            assert torch.equal(resumed[part][name], tensor), name


def test_training_starts_from_the_authors_file(
    trained: tuple[Path, list[dict]], corpora: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    """Which holds the student alone: the discriminator is a fresh one."""
    folder, _ = trained
    original = tmp_path / "original.pth"
    assert convert_checkpoints(["convert", str(folder / "checkpoint_best.pt"), str(original), "--to", "original"]) == 0
    train(
        corpora, data, backbone, tmp_path, "--finetune-from-model", str(original), "--max-epoch", "1", "--lr", "1e-12",
        "--disable-validation",
    )  # fmt: skip
    tuned = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)
    start = torch.load(folder / "checkpoint_best.pt", weights_only=True)
    for name in ("conv1.weight", "layer4.conv2.weight", "fc2.bias"):
        assert torch.allclose(tuned["model"][name], start["model"][name], rtol=0, atol=1e-9), name
    assert set(tuned["criterion"]) == DISCRIMINATOR
    assert not torch.equal(tuned["criterion"]["discriminator.0.weight"], start["criterion"]["discriminator.0.weight"])
