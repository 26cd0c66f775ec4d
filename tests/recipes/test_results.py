"""`recipes/tools/results.py`: rows, the mean over seeds, and the table of training."""

import json

import pytest

from recipes.tools.results import main, mean_interval
from recipes.tools.training_log import add_record


def write_scores(run, track, eer, n_bonafide=62, min_tdcf=None) -> None:
    (run / "scores").mkdir(parents=True, exist_ok=True)
    figures = {"phase": "eval", "n_bonafide": n_bonafide, "n_spoof": 519_059, "eer": eer, "eer_ci": [eer / 2, 2 * eer]}
    figures |= {"corpus": track, "min_tdcf": min_tdcf, "min_tdcf_2019": min_tdcf and 2 * min_tdcf}
    (run / "scores" / f"{track}.json").write_text(json.dumps(figures))
    (run / "scores" / f"{track}.txt.run.json").write_text(json.dumps({"checkpoint": "abc"}))


def test_rows_and_means(tmp_path, capsys) -> None:
    for seed, eer in ((1234, 0.01), (1235, 0.02), (99, 0.03)):
        write_scores(tmp_path / f"seed{seed}", "2021df", eer)
    write_scores(tmp_path / "seed1234", "2021la", 0.0287, 14_816, 0.2701)
    write_scores(tmp_path / "seed1234", "2019la", 0.0083, 7_355, 0.01375)
    assert main([str(tmp_path), "--title", "Three"]) == 0
    text = (tmp_path / "RESULTS.md").read_text()
    assert text.startswith("# Three\n")
    rows = [line for line in text.splitlines() if line.startswith("| 20")]
    assert rows == [
        "| 2019la | eval | seed1234 | 7,355 | 519,059 | 0.83 | [0.41, 1.66] | 0.0275 |",
        "| 2021df | eval | seed99 | 62 | 519,059 | 3.00 | [1.50, 6.00] |  |",
        "| 2021df | eval | seed1234 | 62 | 519,059 | 1.00 | [0.50, 2.00] |  |",
        "| 2021df | eval | seed1235 | 62 | 519,059 | 2.00 | [1.00, 4.00] |  |",
        # t(0.975, 2) = 4.303; 4.303 x 1 % / sqrt(3) = 2.48 %
        "| 2021df |  | mean of 3 |  |  | 2.00 | [0.00, 4.48] |  |",
        "| 2021la | eval | seed1234 | 14,816 | 519,059 | 2.87 | [1.44, 5.74] | 0.2701 |",
    ]
    printed = capsys.readouterr().out
    assert all(row in printed for row in rows)
    assert "checkpoint of seed99: SHA-256 abc" in text


def test_the_interval_of_a_mean() -> None:
    """Against the definition, with the tabulated quantile of Student's t for 4 degrees of freedom."""
    values = [0.10, 0.12, 0.11, 0.13, 0.14]
    half = 2.776 * (0.00025**0.5) / 5**0.5
    assert mean_interval(values) == pytest.approx((0.12 - half, 0.12 + half), abs=1e-5)


def test_missing_scores_are_reported_in_one_line(tmp_path, capsys) -> None:
    assert main([str(tmp_path), "--title", "None"]) == 1
    assert capsys.readouterr().err == f"results.py: error: {tmp_path}: no scores/*.json in it: score a track first\n"


def test_the_row_of_training_is_that_of_its_best_epoch(tmp_path) -> None:
    """An epoch that was trained again after a stop counts once, with its latest record."""
    run = tmp_path / "seed1234"
    write_scores(run, "2021df", 0.02)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.tsv").write_text("id\taudio\tn_frames\tlabel\na\ta.flac\t0\tspoof\nb\tb.flac\t0\tbonafide\n")
    config = f"task: {{data: {tmp_path / 'data'}}}\ncheckpoint: {{best_checkpoint_metric: train_loss}}\n"
    (run / "training.yaml").write_text(config)
    started = {"event": "started", "n_gpus": 2, "revision": "old", "device": "GPU X", "versions": "torch 1"}
    epochs = [(1, 0.5, 0.4, 0.25, 60), (2, 0.0, 0.1, 0.0, 120), (2, 0.3, 0.2, 0.125, 3_600), (3, 0.4, 0.1, 0.0, 7_325)]
    add_record(run, started)
    for epoch, train_loss, loss, eer, wall in epochs:
        if epoch == 2 and train_loss == 0.3:
            add_record(run, started)
        add_record(run, {"split": "dev", "epoch": epoch, "loss": loss, "eer": eer, "train_loss": train_loss})
        add_record(run, {"split": "train", "epoch": epoch, "loss": train_loss, "wall": wall})
    add_record(run, {"event": "finished"})
    assert main([str(tmp_path), "--title", "Training"]) == 0
    text = (tmp_path / "RESULTS.md").read_text()
    assert "| seed1234 | 3 | 2 | 0.3 | 0.2 | 12.5 | 2:02:05 | 2 | finished |" in text
    assert "| train.tsv | 2 | 1 | 1 |" in text
    assert "- revision of training: old" in text
    assert "- device of training: GPU X" in text
