"""`recipes/tools/results.py`: rows, the mean over seeds, and the table of training."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from recipes.tools.results import main
from recipes.tools.seeds import Published, mean_interval, over_seeds, read_published
from recipes.tools.training_log import add_record

EXPERIMENTS = Path(__file__).parents[2] / "recipes" / "experiments"


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
        "| 2021df |  | standard deviation of 3 |  |  | 1.00 |  |  |",
        "| 2021df |  | best of 3 |  |  | 1.00 |  |  |",
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


def test_the_same_as_json(tmp_path) -> None:
    for seed, eer in ((1234, 0.01), (1235, 0.02), (99, 0.06)):
        write_scores(tmp_path / f"seed{seed}", "2021df", eer)
    write_scores(tmp_path / "seed99", "2021la", 0.0287, 14_816, 0.2701)
    published = EXPERIMENTS / "sls" / "published.yaml"
    assert main([str(tmp_path), "--title", "Three", "--published", str(published), "--config", "v1"]) == 0
    written = json.loads((tmp_path / "RESULTS.json").read_text())
    assert list(written) == ["2021df", "2021la"]
    several = written["2021df"]
    assert several["runs"] == {"seed99": 0.06, "seed1234": 0.01, "seed1235": 0.02}
    assert several["over_seeds"]["n_runs"] == 3
    assert several["over_seeds"]["mean"] == pytest.approx(0.03)
    assert several["over_seeds"]["standard_deviation"] == pytest.approx((0.0014 / 2) ** 0.5)  # 3, 2 and 1 % from the mean
    assert several["over_seeds"]["best"] == 0.01
    assert several["over_seeds"]["mean_interval"] == pytest.approx([0.0, 0.03 + 4.303 * 0.0007**0.5 / 3**0.5], abs=1e-5)
    assert several["published"] == {"best": pytest.approx(0.0214), "mean": None, "n_runs": 1}
    assert written["2021la"]["over_seeds"] is None


def test_published_figures_stand_below(tmp_path) -> None:
    """Also below a single run; a mean says of how many runs, or that this is not known."""
    write_scores(tmp_path / "seed1", "2021df", 0.02)
    write_scores(tmp_path / "seed1", "2021la", 0.03)
    published = tmp_path / "published.yaml"
    paper = "  2021df: {best: 1.5, mean: 1.75, runs: 3}\n  2021la: {best: 2, mean: 3}\n"
    published.write_text(f"paper:\n{paper}other: {{2021la: {{best: 9}}}}\n")
    assert main([str(tmp_path), "--title", "One", "--published", str(published), "--config", "paper"]) == 0
    text = (tmp_path / "RESULTS.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("| 20") and "published" in line] == [
        "| 2021df |  | published best of 3 |  |  | 1.50 |  |  |",
        "| 2021df |  | published mean of 3 |  |  | 1.75 |  |  |",
        "| 2021la |  | published best |  |  | 2.00 |  |  |",
        "| 2021la |  | published mean, unknown number of runs |  |  | 3.00 |  |  |",
    ]
    assert "mean of 1" not in text
    assert read_published(published, "third") == read_published(tmp_path / "none.yaml", "paper") == read_published(None, "") == {}


def test_runs_that_agree() -> None:
    assert asdict(over_seeds([0.25, 0.25])) == {
        "n_runs": 2, "mean": 0.25, "standard_deviation": 0, "best": 0.25, "mean_interval": (0.25, 0.25),
    }  # fmt: skip


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*/published.yaml")), ids=lambda path: path.parent.name)
def test_an_experiments_published_figures_are_those_of_its_page(path) -> None:
    """For configurations and tracks that there are."""
    page = (path.parent / "README.md").read_text()
    configs = list(OmegaConf.load(path))
    assert configs
    for config in configs:
        assert (path.parent / "config" / f"{config}.yaml").exists()
        for track, figures in read_published(path, config).items():
            assert track in ("2019la", "2021la", "2021df", "in-the-wild")
            for _, eer in figures.rows():
                assert f"{100 * eer:.2f}" in page
            assert figures.mean is None or figures.mean >= figures.best


def test_a_single_published_run() -> None:
    assert Published(0.02, n_runs=1).rows() == [("published, one run", 0.02)]


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
