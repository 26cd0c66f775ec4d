"""XLS-R + AASIST, from the organisers' folders to the row of the table."""

import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from configurations import composed
from miniatures import COUNTS
from omegaconf import OmegaConf
from recipe_runs import SMALL, rows, run_recipe

from recipes.original.translate import main as translate
from recipes.tools.training_log import read_log


@pytest.fixture(scope="module")
def finished(corpora: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list]:
    dest = tmp_path_factory.mktemp("xlsr aasist")
    arguments = ["--corpora", corpora, "--w2v-path", backbone, "--dest", dest, "--config", "df", "--tracks", "2021df", "--"]
    arguments += [*SMALL, "optimization.max_epoch=1"]
    run_recipe("train.sh", "ssl_antispoofing", *arguments)
    return dest, arguments


def test_a_row_for_the_track(finished) -> None:
    dest, _ = finished
    assert [int(cell) for cell in rows(dest)["2021df", "seed1234"][3:5]] == list(COUNTS["2021df"])
    (validation,) = (record for record in read_log(dest / "seed1234") if record.get("split") == "dev")
    losses = f"{validation['train_loss']:.6g} | {validation['loss']:.6g}"
    assert f"| seed1234 | 1 | 1 | {losses} |" in (dest / "RESULTS.md").read_text()


def test_a_second_run_repeats_nothing(finished) -> None:
    dest, arguments = finished
    log = (dest / "seed1234" / "train.jsonl").read_bytes()
    printed = run_recipe("train.sh", "ssl_antispoofing", "--stage", 2, *arguments)
    assert f"already done: {dest / 'seed1234'}" in printed
    assert "nothing left to do" in printed
    assert (dest / "seed1234" / "train.jsonl").read_bytes() == log


@pytest.mark.parametrize(("name", "script"), [("la", "main_SSL_LA.py"), ("df", "main_SSL_DF.py")])
def test_the_configurations_are_the_authors_commands(name, script, capsys) -> None:
    """As recipes/from_original.py translates the defaults of their scripts."""
    assert translate([f"python {script}"]) == 0
    words = shlex.split(capsys.readouterr().out.replace("\\\n", " "), comments=True)
    option = {word: value for word, value in pairwise(words) if word.startswith("--")}
    config = composed(f"experiments/ssl_antispoofing/config/{name}.yaml")
    for given, key in (
        ("--batch-size", "dataset.batch_size"),
        ("--max-epoch", "optimization.max_epoch"),
        ("--class-weights", "criterion.class_weights"),
        ("--rawboost-algorithm", "task.rawboost_algorithm"),
        ("--best-checkpoint-metric", "checkpoint.best_checkpoint_metric"),
        ("--optimizer", "optimizer._name"),
    ):
        assert option[given] == str(OmegaConf.select(config, key)), given
    assert [float(option["--lr"])] == config.optimization.lr
    assert float(option["--weight-decay"]) == config.optimizer.weight_decay
    assert config.task.augment_validation == ("--augment-validation" in words) is True
    assert "patience" not in config.checkpoint
    assert "--patience" not in words
