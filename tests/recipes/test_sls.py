"""XLS-R + SLS and every script of `recipes/sls`, from the organisers' folders to the row of the table."""

import json
import os
import signal
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from detectors import build
from miniatures import COUNTS, N_OTHER_PHASES
from recipe_runs import ROOT, SMALL, environment, recipe_command, rows, run_recipe

from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random
from protocols.keys import read_keys
from recipes.tools.training_log import read_log
from sls_plugin.__main__ import main as sls
from sls_plugin.metrics.det import equal_error_rate
from sls_plugin.scores.score_file import read_scores

N_EPOCHS = 4
TRACKS = ",".join(COUNTS)


@pytest.fixture(scope="session")
def started(corpora: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list]:
    """The folder and the arguments of an experiment that was killed after an epoch."""
    dest = tmp_path_factory.mktemp("sls results")
    arguments = ["--corpora", corpora, "--w2v-path", backbone, "--dest", dest]
    overrides = ["--", *SMALL, f"optimization.max_epoch={N_EPOCHS}"]
    command = recipe_command("sls/train.sh", *arguments, *overrides)
    with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, start_new_session=True) as process:
        while not any(record.get("split") == "train" for record in read_log(dest / "seed1234")):
            assert process.poll() is None
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGKILL)
    return dest, arguments, overrides


@pytest.fixture(scope="session")
def finished(started: tuple[Path, list, list]) -> tuple[Path, list, list, str]:
    """The same, resumed to its end, and what that printed."""
    dest, arguments, overrides = started
    return dest, arguments, overrides, run_recipe("train.sh", "sls", *arguments, "--tracks", TRACKS, *overrides)


def test_a_killed_training_resumes(finished) -> None:
    dest, _, _, printed = finished
    log = read_log(dest / "seed1234")
    assert [record["event"] for record in log if "event" in record] == ["started", "started", "finished"]
    epochs = [record["epoch"] for record in log if record.get("split") == "train"]
    assert epochs == sorted(set(epochs))  # none twice
    assert (epochs[0], epochs[-1]) == (1, N_EPOCHS)
    assert "already done" in printed  # the manifests


def test_the_log_has_every_update(finished) -> None:
    dest, *_ = finished
    log = read_log(dest / "seed1234")
    updates = {record["num_updates"]: record for record in log if record.get("split") == "train_inner"}
    assert sorted(updates) == list(range(1, 4 * N_EPOCHS + 1))  # 20 clips, batch 5
    assert all(record["lr"] == 0.001 and record["bsz"] == 5 and record["wps"] >= 0 for record in updates.values())
    losses = [updates[number]["loss"] for number in range(1, 5)]
    validated = next(record for record in log if record.get("split") == "dev")
    assert 0 <= validated["eer"] <= 1
    assert min(losses) < validated["train_loss"] < max(losses)
    assert validated["train_loss_batch_mean"] == pytest.approx(np.mean(losses), rel=1e-5)  # the batches are equal in size
    assert list((dest / "seed1234" / "tensorboard").rglob("events.*"))


def test_a_row_for_every_track(finished, corpora) -> None:
    """Counts and error rates of phase eval, worked out from the score files and keys again."""
    dest, *_ = finished
    table = rows(dest)
    assert {track for track, run in table if run == "seed1234"} == set(COUNTS)
    keys = {"2019la": "LA", "2021la": "keys", "2021df": "keys", "in-the-wild": "release_in_the_wild", "asvspoof5": "."}
    for track, counts in COUNTS.items():
        scores = read_scores(dest / "seed1234" / "scores" / f"{track}.txt")
        assert len(scores) == sum(counts) + (N_OTHER_PHASES if track.startswith("2021") else 0)
        by_class = {"bonafide": [], "spoof": []}
        for trial in read_keys(track, corpora / keys[track]).trials:
            by_class[trial.label].append(scores[trial.id])
        eer, _ = equal_error_rate(*map(np.array, by_class.values()))
        _, phase, _, n_bonafide, n_spoof, in_percent, interval, tdcf = table[track, "seed1234"]
        assert (int(n_bonafide), int(n_spoof)) == counts
        assert (phase, in_percent) == ("eval", f"{100 * eer:.2f}")
        low, high = json.loads(interval)
        assert 0 <= low <= 100 * eer + 0.005
        assert 100 * eer - 0.005 <= high <= 100
        assert bool(tdcf) == (track in ("2019la", "2021la"))


def test_results_say_what_they_were_made_with(finished) -> None:
    dest, *_ = finished
    text = (dest / "RESULTS.md").read_text()
    revision = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    assert revision in text
    assert f"torch {version('torch')}" in text  # without the build, such as +cu130, where pip knows none
    assert "| train.tsv | 20 | 8 | 12 |" in text
    assert "| dev.tsv | 10 | 4 | 6 |" in text
    assert "rawboost_algorithm: 3" in text
    (training_row,) = (line for line in text.splitlines() if line.endswith("| finished |"))
    assert training_row.startswith(f"| seed1234 | {N_EPOCHS} |")


def test_a_second_run_repeats_nothing_and_more_seeds_make_a_mean(finished) -> None:
    dest, arguments, overrides, _ = finished
    run = dest / "seed1234"
    unchanged = [
        run / "train.jsonl",
        run / "checkpoints" / "checkpoint_best.pt",
        *(run / "scores" / f"{track}.txt" for track in COUNTS),
        dest / "data/train.tsv",
    ]
    before = [(path.stat().st_mtime_ns, path.read_bytes()) for path in unchanged]
    printed = run_recipe("sls/paper_seeds.sh", *arguments, "--tracks", "in-the-wild", *overrides)
    assert [(path.stat().st_mtime_ns, path.read_bytes()) for path in unchanged] == before
    assert f"already done: {run}" in printed
    assert f"nothing left to do: {run / 'scores' / 'in-the-wild.txt'}" in printed
    table = rows(dest)
    eers = [float(table["in-the-wild", f"seed{seed}"][5]) for seed in (1234, 1235, 1236)]
    assert float(table["in-the-wild", "mean of 3"][5]) == pytest.approx(np.mean(eers), abs=0.01)
    assert float(table["in-the-wild", "standard deviation of 3"][5]) == pytest.approx(np.std(eers, ddof=1), abs=0.01)
    assert float(table["in-the-wild", "best of 3"][5]) == min(eers)
    assert table["in-the-wild", "published best"][5] == "7.46"
    assert table["in-the-wild", "published mean, unknown number of runs"][5] == "8.87"
    assert json.loads((dest / "RESULTS.json").read_text())["in-the-wild"]["over_seeds"]["n_runs"] == 3
    weights = [
        torch.load(dest / f"seed{seed}/checkpoints/checkpoint_best.pt", weights_only=True)["model"] for seed in (1234, 1235)
    ]
    assert not torch.equal(*(each["fc1.weight"] for each in weights))


def test_a_setting_that_fails_is_reported_in_one_line_and_may_be_corrected(corpora, backbone, tmp_path) -> None:
    """Nothing has been trained by then, so that another setting is no other run."""
    arguments = ["--corpora", corpora, "--w2v-path", backbone, "--dest", tmp_path]
    printed = run_recipe("sls/train.sh", *arguments, "--", *SMALL, "task.rawboost_algorithm=9", status=1)
    problem = "training failed: --rawboost-algorithm 9: RawBoost has algorithms 0 to 8 (the whole log: "
    assert printed.splitlines()[-1].startswith(f"training.py: error: {problem}{tmp_path / 'seed1234' / 'train.log'}")
    assert "Traceback" not in printed
    printed = run_recipe("sls/train.sh", *arguments, "--config", "v2", "--", *SMALL, "optimization.max_epoch=1")
    assert "epoch 1  dev loss" in printed


@pytest.mark.parametrize(
    ("options", "overrides", "what"),
    [
        (["--config", "v2"], [], "checkpoint.best_checkpoint_metric, task.augment_validation, dataset.batch_size_valid"),
        (["--precision", "bf16"], [], "common.bf16"),
        ([], ["task.rawboost_algorithm=5"], "task.rawboost_algorithm"),
    ],
)
def test_another_experiment_in_the_same_folder_is_refused(finished, options, overrides, what) -> None:
    _, arguments, usual, _ = finished
    printed = run_recipe("sls/train.sh", *arguments, "--stage", "2", *options, *usual, *overrides, status=1)
    assert f" {what}: give the same as before, or another --dest" in printed.splitlines()[-1]


def test_other_data_in_the_same_folder_are_refused(finished, tmp_path, corpora) -> None:
    dest, arguments, overrides, _ = finished
    (tmp_path / "LA").symlink_to(corpora / "LA")
    printed = run_recipe("sls/train.sh", *arguments, "--corpora", tmp_path, *overrides, status=1)
    assert f"{dest / 'data' / 'train.tsv'}: was not made by" in printed.splitlines()[-1]


def test_the_authors_checkpoint_is_scored_as_it_is(corpora, tmp_path) -> None:
    """With paths instead of --corpora; a second run scores nothing again."""
    width = {"encoder_layers": 2, "encoder_embed_dim": 768, "encoder_ffn_embed_dim": 16, "encoder_attention_heads": 12}
    make_random(TINY | width, tmp_path / "backbone.pt")
    model = build("sls_xlsr_300m", "--w2v-path", str(tmp_path / "backbone.pt"), "--max-samples", "8000")
    authors = tmp_path / "MMpaper_model.pth"
    torch.save({f"module.{name}": tensor for name, tensor in model.state_dict().items()}, authors)
    audio, dest = corpora / "ASVspoof2021_DF_eval", tmp_path / "of authors"
    paths = ["--audio", audio, "--protocol", audio / "ASVspoof2021.DF.cm.eval.trl.txt", "--keys", corpora / "keys"]
    arguments = ["--checkpoint", authors, *paths, "--dest", dest]
    run_recipe("sls/score_df.sh", *arguments, "--", "--batch-size", 3)
    assert [int(cell) for cell in rows(dest)["2021df", "of authors"][3:5]] == list(COUNTS["2021df"])
    scores = read_scores(dest / "scores" / "2021df.txt")
    assert len(scores) == sum(COUNTS["2021df"]) + N_OTHER_PHASES
    samples, _ = soundfile.read(audio / "flac" / "DF_E_1000003.flac", dtype="float32")
    with torch.no_grad():
        log_probabilities = model.eval()(torch.from_numpy(samples).unsqueeze(0))
    assert scores["DF_E_1000003"] == pytest.approx(log_probabilities[0, 1].item(), abs=1e-5)
    assert "nothing left to do" in run_recipe("sls/score_df.sh", *arguments, "--stage", 2, "--", "--batch-size", 3)


@pytest.mark.parametrize(
    ("script", "track"),
    [
        ("score_2019la.sh", "2019la"),
        ("score_la.sh", "2021la"),
        ("score_wild.sh", "in-the-wild"),
        ("score_asvspoof5.sh", "asvspoof5"),
    ],
)
def test_each_script_scores_its_own_track(script, track, corpora, tmp_path) -> None:
    """As far as the manifest: what follows is the same for all."""
    run_recipe(f"sls/{script}", "--corpora", corpora, "--dest", tmp_path, "--stop-stage", 1)
    assert [path.parent.name for path in tmp_path.rglob("eval.tsv")] == [track]


def test_the_shards_of_a_slurm_array_make_the_same_scores(finished, corpora, tmp_path) -> None:
    dest, *_ = finished
    scored = ["--corpora", corpora, "--dest", tmp_path]
    run_recipe("sls/score_df.sh", *scored, "--stop-stage", 1)
    scores = tmp_path / "scores" / "2021df"
    job = [dest / "seed1234/checkpoints/checkpoint_best.pt", tmp_path / "data/2021df/eval.tsv", scores]
    for task in ("0", "1"):
        run_recipe("slurm/score.sbatch", *job, SLURM_ARRAY_TASK_ID=task, SLURM_ARRAY_TASK_COUNT="2")
    merged = tmp_path / "scores" / "2021df.txt"
    assert sls(["merge", *(f"{scores}.{task}.txt" for task in (0, 1)), "--output", str(merged)]) == 0
    run_recipe("sls/score_df.sh", *scored, "--stage", 3)
    assert read_scores(merged) == pytest.approx(read_scores(dest / "seed1234/scores/2021df.txt"), abs=1e-6)
    assert rows(tmp_path)["2021df", tmp_path.name][3:] == rows(dest)["2021df", "seed1234"][3:]


def test_two_processes_train_as_one(corpora, backbone, tmp_path) -> None:
    """Five clips each instead of ten: the same losses."""
    batch = [*SMALL, "dataset.batch_size=10", "optimization.max_epoch=1"]
    train = ["--corpora", corpora, "--w2v-path", backbone, "--dest", tmp_path / "alone", "--update-freq", 2, "--", *batch]
    run_recipe("sls/train.sh", *train)
    together = ["--corpora", corpora, "--w2v-path", backbone, "--dest", tmp_path / "pair"]
    run_recipe("sls/train.sh", *together, "--stop-stage", 1)
    settings = {"no_spawn": "true", "backend": "gloo", "init_method": f"file://{tmp_path}/meeting_place"}
    distributed = [f"distributed_training.distributed_{name}={value}" for name, value in settings.items()]
    workers = [
        subprocess.Popen(
            recipe_command(
                "sls/train.sh", *together, "--stage", 2, "--nodes", 2, "--", *batch, *distributed,
                "distributed_training.ddp_backend=legacy_ddp", f"distributed_training.distributed_rank={rank}",
            ),
            env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    printed = [worker.communicate()[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], printed
    logs = [read_log(tmp_path / name / "seed1234") for name in ("alone", "pair")]
    losses = [[record["loss"] for record in log if record.get("split") == "train_inner"] for log in logs]
    assert len(losses[0]) == 2
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    assert [record["event"] for record in logs[1] if "event" in record] == ["started", "finished"]
