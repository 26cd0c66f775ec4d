"""`fairseq-train`, `fairseq-validate`, `fairseq-generate` and `sls score` as a user runs them, on a small made corpus."""

import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import PLUGIN, RECIPE, SPLITS, USER_DIR, column, fairseq, fairseq_command, logged, train
from omegaconf import OmegaConf

from protocols import DataError, read_manifest, write_manifest
from sls_plugin.__main__ import main
from sls_plugin.metrics.det import equal_error_rate
from sls_plugin.scores.score_file import read_scores
from sls_plugin.tasks.asvspoof import AsvspoofConfig, AsvspoofTask, out_of_memory_reported


@pytest.fixture(scope="session")
def trained(data: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    """Checkpoints of three epochs and their log; with fairseq's option that loses the tail of a split set to its worst."""
    folder = tmp_path_factory.mktemp("trained")
    options = ("--class-weights", "balanced", "--required-batch-size-multiple", "8", "--batch-size-valid", "5")
    return folder, train(data, backbone, folder, *options)


def eer_of(checkpoint: Path, data: Path, split: str, folder: Path) -> float:
    """The EER of a split from scores that `sls score` wrote."""
    output = folder / f"{checkpoint.stem}-{split}.txt"
    assert main(["score", str(checkpoint), str(data / f"{split}.tsv"), "--output", str(output), "--num-workers", "0"]) == 0
    scores, trials = read_scores(output), read_manifest(data / f"{split}.tsv")
    assert list(scores) == [trial.id for trial in trials]
    by_class = {label: np.array([scores[t.id] for t in trials if t.label == label]) for label in ("bonafide", "spoof")}
    return equal_error_rate(by_class["bonafide"], by_class["spoof"])[0]


def test_eer_of_every_validation_is_that_of_its_checkpoint(trained, data, tmp_path) -> None:
    folder, records = trained
    validated = column(records, "dev_eer")
    assert len(validated) == 3
    scored = [eer_of(folder / f"checkpoint{epoch}.pt", data, "dev", tmp_path) for epoch in (1, 2, 3)]
    assert validated == pytest.approx(scored, abs=1e-6)  # the log has six digits
    best = torch.load(folder / "checkpoint_best.pt", weights_only=True)["extra_state"]
    assert best["val_loss"] == min(scored)


def test_training_stops_on_its_own_loss_as_published(trained, data, backbone, tmp_path) -> None:
    """After the first epoch whose mean training loss does not fall; the epoch before it is the best."""
    _, records = trained
    assert column(records, "dev_train_loss") == pytest.approx(column(records, "train_loss"), rel=1e-5)
    options = ("--best-checkpoint-metric", "train_loss", "--patience", "1", "--lr", "0", "--max-epoch", "9")  # only luck falls
    losses = column(train(data, backbone, tmp_path, *options), "train_loss")
    assert 2 <= len(losses) < 9
    assert all(later < earlier for earlier, later in pairwise(losses[:-1]))
    assert losses[-1] >= losses[-2]
    best = torch.load(tmp_path / "checkpoint_best.pt", weights_only=True)["extra_state"]
    assert best["train_iterator"]["epoch"] == len(losses)  # the epoch that comes after it
    assert best["val_loss"] == pytest.approx(losses[-2], rel=1e-5)


def test_validation_logs_the_mean_weight_of_each_layer(trained, data, capsys) -> None:
    folder, records = trained
    assert main(["explain", str(folder / "checkpoint2.pt"), str(data / "dev.tsv"), "--num-workers", "0"]) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    rows = [[float(weight) for weight in row[1:3]] for row in table if row[0].isdigit()]
    n_bonafide = -(-SPLITS["dev"] // 3)
    expected = [(bonafide * n_bonafide + spoof * (SPLITS["dev"] - n_bonafide)) / SPLITS["dev"] for bonafide, spoof in rows]
    assert len(expected) == 2
    for number, weight in enumerate(expected):
        assert column(records, f"dev_layer_{number:02}")[1] == pytest.approx(weight, abs=2e-6)


def test_every_trial_is_seen_once_per_epoch(trained) -> None:
    _, records = trained
    updates = [record for record in records if "bsz" in record]
    per_epoch = [sum(float(record["bsz"]) for record in updates if record["epoch"] == epoch) for epoch in (1, 2, 3)]
    assert per_epoch == [SPLITS["train"]] * 3


def test_balanced_weights_are_kept_as_numbers(trained, data, tmp_path) -> None:
    """So that validation elsewhere needs no training manifest."""
    folder, _ = trained
    cfg = torch.load(folder / "checkpoint_best.pt", weights_only=True)["cfg"]
    n_bonafide = sum(trial.label == "bonafide" for trial in read_manifest(data / "train.tsv"))
    n_trials = SPLITS["train"]
    expected = [n_trials / (2 * (n_trials - n_bonafide)), n_trials / (2 * n_bonafide)]
    assert [float(weight) for weight in cfg["criterion"]["class_weights"].split(",")] == pytest.approx(expected)


def test_validate_generate_and_score_agree(trained, data, backbone, tmp_path) -> None:
    folder, _ = trained
    elsewhere = tmp_path / "elsewhere"  # scoring has neither the training manifest nor the pre-trained checkpoint
    elsewhere.mkdir()
    trials = read_manifest(data / "eval.tsv")
    write_manifest(elsewhere / "eval.tsv", trials)
    for trial in trials:
        shutil.copy(data / trial.audio, elsewhere)
    hidden = backbone.rename(backbone.with_suffix(".hidden"))
    try:
        checkpoint = folder / "checkpoint_best.pt"
        eer = eer_of(checkpoint, elsewhere, "eval", tmp_path)
        common = (str(elsewhere), *PLUGIN, "--path", str(checkpoint), "--cpu", "--batch-size", "4")
        generated = fairseq(
            "generate", *common, "--gen-subset", "eval", "--results-path", str(tmp_path / "out"), "--scoring", "eer"
        )
        validated = fairseq("validate", *common, "--valid-subset", "eval", "--log-format", "json")
    finally:
        hidden.rename(backbone)
    scores, again = read_scores(tmp_path / "checkpoint_best-eval.txt"), read_scores(tmp_path / "out" / "scores-eval.txt")
    assert list(again) == list(scores)
    assert list(again.values()) == pytest.approx(list(scores.values()), abs=1e-6)
    assert column(logged(validated), "eval_eer") == pytest.approx([eer], abs=1e-6)
    printed = f"EER {100 * eer:.4f} %"
    assert printed in generated  # on the terminal
    assert "Scored 9 trials in " in generated
    assert printed in (tmp_path / "out" / "generate-eval.txt").read_text()


def test_generate_without_labels_writes_scores(trained, data, tmp_path) -> None:
    folder, _ = trained
    trials = [type(trial)(trial.id, str(data / trial.audio)) for trial in read_manifest(data / "eval.tsv")]
    write_manifest(tmp_path / "eval.tsv", trials)
    printed = fairseq(
        "generate", str(tmp_path), *PLUGIN, "--path", str(folder / "checkpoint_best.pt"), "--cpu", "--gen-subset", "eval",
        "--results-path", str(tmp_path / "out"), "--scoring", "eer",
    )  # fmt: skip
    assert len(read_scores(tmp_path / "out" / "scores-eval.txt")) == SPLITS["eval"]
    assert "EER undefined" in printed


def test_epochs_differ_in_batches_and_draws_whatever_the_workers(data) -> None:
    cfg = OmegaConf.structured(AsvspoofConfig(data=str(data), max_samples=8000, seed=1, train_subset="train", results_path=None))
    task = AsvspoofTask.setup_task(cfg)
    task.load_dataset("train")

    def epoch(number: int, num_workers: int) -> list[tuple[list[int], torch.Tensor]]:
        arguments = {"max_sentences": 4, "seed": 1, "num_workers": num_workers, "epoch": number}
        batches = task.get_batch_iterator(task.dataset("train"), **arguments).next_epoch_itr()
        return [(batch["id"].tolist(), batch["net_input"]["source"]) for batch in batches]

    epochs = [epoch(number, num_workers=2) for number in (1, 2, 3)]
    orders = [[index for indices, _ in batches for index in indices] for batches in epochs]
    assert all(sorted(order) == list(range(SPLITS["train"])) for order in orders)
    members = [{frozenset(indices) for indices, _ in batches} for batches in epochs]
    waveforms = [
        {i: row for indices, source in batches for i, row in zip(indices, source, strict=True)} for batches in epochs
    ]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not members[one] & members[other]
        assert not any(torch.equal(waveforms[one][index], waveforms[other][index]) for index in range(SPLITS["train"]))
    for (indices, source), (same, again) in zip(epochs[1], epoch(2, num_workers=0), strict=True):
        assert indices == same
        assert torch.equal(source, again)


def weights_of(checkpoint: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoint, weights_only=True)["model"]


def assert_same_weights(one: Path, other: Path) -> None:
    ours, theirs = weights_of(one), weights_of(other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


RESUMABLE = ("--save-interval-updates", "2", "--crop", "random", "--rawboost-algorithm", "3")


@pytest.fixture(scope="session")
def undisturbed(data: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    train(data, backbone, folder, *RESUMABLE)
    return folder


# It kills itself, with its data workers: whoever waits for a line of its log may come too late on a busy machine.
KILLED_AFTER_UPDATE_9 = """
import os, signal, sys
from fairseq.trainer import Trainer
from fairseq_cli.train import cli_main

def train_step(trainer, *arguments, **options):
    if trainer.get_num_updates() == 9:
        os.killpg(0, signal.SIGKILL)
    return whole(trainer, *arguments, **options)

whole, Trainer.train_step = Trainer.train_step, train_step
sys.argv[0] = "fairseq-train"
cli_main()
"""


def test_training_killed_in_the_middle_of_an_epoch_goes_on_as_if_never_stopped(data, backbone, undisturbed, tmp_path) -> None:
    """6 updates an epoch: the ninth is the third of epoch 2, after the checkpoint of its second."""
    options = (str(data), "--w2v-path", str(backbone), "--save-dir", str(tmp_path), *RECIPE, *RESUMABLE)
    command = [sys.executable, "-c", KILLED_AFTER_UPDATE_9, *options]
    outcome = subprocess.run(command, capture_output=True, text=True, start_new_session=True)
    assert outcome.returncode == -signal.SIGKILL, outcome.stderr
    assert (tmp_path / "checkpoint_2_8.pt").exists()
    assert not (tmp_path / "checkpoint2.pt").exists()

    resumed = train(data, backbone, tmp_path, *RESUMABLE)
    assert column(resumed, "num_updates")[0] == 9
    assert_same_weights(tmp_path / "checkpoint3.pt", undisturbed / "checkpoint3.pt")


def test_a_training_is_resumed_only_with_the_same_trials_and_settings(trained, data, backbone, tmp_path) -> None:
    folder, _ = trained
    shutil.copytree(folder, tmp_path / "save")
    shutil.copytree(data, tmp_path / "data")
    moved, dev = tmp_path / "data", read_manifest(data / "dev.tsv")
    same = ("--class-weights", "balanced", "--save-dir", str(tmp_path / "save"), "--max-epoch", "4")
    usual = ("--num-workers", "0", "--log-interval", "3", "--batch-size", "2", "--update-freq", "2")
    renamed = shutil.copy(backbone, tmp_path / "renamed.pt")
    fairseq("train", str(moved), "--w2v-path", renamed, *RECIPE, *same, *usual)  # another place, the same content

    write_manifest(moved / "train.tsv", read_manifest(data / "train.tsv")[:-1])
    relabelled = [replace(dev[0], label="spoof"), *dev[1:]]
    write_manifest(moved / "dev.tsv", relabelled)
    changed = ("--lr", "2e-3", "--rawboost-algorithm", "5", "--best-checkpoint-metric", "loss", "--max-epoch", "5")
    arguments = (str(moved), "--w2v-path", renamed, *RECIPE, *same, *changed)
    last_line = fairseq("train", *arguments, status=1).splitlines()[-1]
    assert last_line.startswith(f"error: {tmp_path / 'save'}: a training that differs would be resumed: ")
    for change in (
        "task.rawboost_algorithm 3 -> 5", "optimization.lr [0.001] -> [0.002]", "checkpoint.best_checkpoint_metric eer -> loss",
        "training trials 22 trials, SHA-256 ", "-> 21 trials, SHA-256 ", "validation trials ['13 trials, SHA-256 ",
    ):  # fmt: skip
        assert change in last_line
    assert last_line.endswith(": repeat the earlier settings, give another --save-dir, or --resume-with-changes")

    records = logged(fairseq("train", *arguments, "--resume-with-changes"))
    best = torch.load(tmp_path / "save" / "checkpoint_best.pt", weights_only=True)["extra_state"]
    assert best["val_loss"] == pytest.approx(column(records, "dev_loss")[0], rel=1e-5)  # a loss is not compared with an EER


KILLED_WHILE_COPYING = """
import os, shutil, signal, sys
from fairseq_cli.train import cli_main

def copy_half(source, target):
    if os.path.exists({trigger!r}):
        data = open(source, "rb").read()
        open(target, "wb").write(data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(source, target)

whole, shutil.copyfile = shutil.copyfile, copy_half
sys.argv[0] = "fairseq-train"
cli_main()
"""


def test_training_killed_while_it_copies_a_checkpoint_goes_on(data, backbone, undisturbed, tmp_path) -> None:
    options = (str(data), "--w2v-path", str(backbone), "--save-dir", str(tmp_path), *RECIPE, *RESUMABLE)
    program = KILLED_WHILE_COPYING.format(trigger=str(tmp_path / "checkpoint_2_8.pt"))  # in the middle of epoch 2
    outcome = subprocess.run([sys.executable, "-c", program, *options], capture_output=True, text=True)
    assert outcome.returncode == -signal.SIGKILL, outcome.stderr
    train(data, backbone, tmp_path, *RESUMABLE)
    assert_same_weights(tmp_path / "checkpoint3.pt", undisturbed / "checkpoint3.pt")


# What is kept


def test_the_best_checkpoints_and_the_average_are_those_of_a_plain_loop(data, backbone, tmp_path) -> None:
    """A checkpoint after every update; at this learning rate many accuracies are equal, and of these the first is the best."""
    options = (
        "--save-interval-updates", "1", "--max-epoch", "1", "--lr", "1e-9", "--keep-best-checkpoints", "2",
        "--best-checkpoint-metric", "accuracy", "--maximize-best-checkpoint-metric", "--store-ema", "--ema-decay", "0.75",
    )  # fmt: skip
    accuracies = column(train(data, backbone, tmp_path, *options), "dev_accuracy")
    assert len(set(accuracies)) < len(accuracies) == 6
    ranked = sorted(range(1, 7), key=lambda n_updates: (-accuracies[n_updates - 1], n_updates))
    kept = {path.name for path in tmp_path.glob("checkpoint.best_*")}
    assert {int(name.removesuffix(".pt").split("_")[-1]) for name in kept} == set(ranked[:2])

    saved = [tmp_path / (f"checkpoint_1_{n_updates}.pt" if n_updates < 6 else "checkpoint1.pt") for n_updates in range(1, 7)]
    assert_same_weights(tmp_path / "checkpoint_best.pt", saved[ranked[0] - 1])
    weights = [weights_of(path) for path in saved]
    average = weights_of(tmp_path / "checkpoint_ema.pt")
    assert average.keys() == weights[0].keys()
    for name, tensor in average.items():
        if tensor.is_floating_point():
            expected = weights[0][name].double()  # fairseq begins it with the weights after the first update
            for later in weights[1:]:
                expected = 0.75 * expected + 0.25 * later[name].double()
            torch.testing.assert_close(tensor.double(), expected, rtol=1e-5, atol=1e-7)
        else:
            assert torch.equal(tensor, weights[-1][name])
    assert 0 <= eer_of(tmp_path / "checkpoint_ema.pt", data, "dev", tmp_path) <= 1
    fine_tuned = ("--finetune-from-model", str(tmp_path / "checkpoint_ema.pt"), "--lr", "0", "--store-ema", "--max-epoch", "1")
    train(data, backbone, tmp_path / "again", *fine_tuned)
    again = weights_of(tmp_path / "again" / "checkpoint_last.pt")
    assert all(torch.equal(again[name], average[name]) for name in average if "running_" not in name and "num_" not in name)


# Several processes, and the loss that the original authors stop on


def pair(data: Path, backbone: Path, save_dir: Path, *options: str, status: int = 0, program: str = "") -> list[str]:
    """Train on the CPU with two processes, by default of `fairseq-train`; returns what each printed."""
    command = [sys.executable, "-c", program] if program else fairseq_command("train")
    meeting_place = save_dir.with_name(f"{save_dir.name}-{len(list(save_dir.parent.iterdir()))}")  # a new file for each run
    options = (
        str(data), "--w2v-path", str(backbone), "--save-dir", str(save_dir), *RECIPE, "--max-epoch", "2",
        "--distributed-world-size", "2", "--distributed-no-spawn", "--distributed-backend", "gloo", "--ddp-backend", "legacy_ddp",
        "--distributed-init-method", f"file://{meeting_place}", *options,
    )  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    workers = [
        subprocess.Popen([*command, *options, "--distributed-rank", rank], start_new_session=True, **pipes) for rank in "01"
    ]
    printed = [worker.communicate()[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [status, status], printed
    return printed


@pytest.fixture(scope="session")
def undisturbed_pair(data: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    folder = tmp_path_factory.mktemp("pair") / "save"
    return folder, logged(pair(data, backbone, folder, "--save-interval-updates", "2")[0])


def test_two_processes_train_as_one(data, backbone, undisturbed_pair, tmp_path) -> None:
    """The same loss curve as one process with twice the batches an update; the pooled EER is that of the saved checkpoint."""
    folder, together = undisturbed_pair
    alone = train(data, backbone, tmp_path / "alone", "--update-freq", "2", "--max-epoch", "2", "--save-interval-updates", "2")
    assert len(column(together, "loss")) == 2 * 3  # 22 trials in batches of 4, two at a time
    assert column(together, "loss") == pytest.approx(column(alone, "loss"), abs=1e-5)
    assert column(together, "gnorm") == pytest.approx(column(alone, "gnorm"), abs=2e-3)
    scored = {epoch: eer_of(folder / f"checkpoint{epoch}.pt", data, "dev", tmp_path) for epoch in (1, 2)}
    ends = {record["epoch"]: float(record["dev_eer"]) for record in together if "dev_eer" in record}  # the last of each epoch
    assert ends == pytest.approx(scored, abs=1e-6)


@pytest.mark.parametrize(("run", "batch_size_valid"), [("trained", 5), ("undisturbed_pair", 4)])
def test_the_mean_over_batches_is_that_of_a_plain_loop(run, batch_size_valid, data, tmp_path, request) -> None:
    """With two data workers and with two processes: an update is one batch, dev comes in its own order."""
    folder, records = request.getfixturevalue(run)
    weights = torch.load(folder / "checkpoint1.pt", weights_only=True)["cfg"]["criterion"]["class_weights"].split(",")
    for epoch in (1, 2):
        of_epoch = [record for record in records if record.get("epoch") == epoch]
        updates = [(float(record["loss"]), float(record["bsz"])) for record in of_epoch if "bsz" in record]
        expected = sum(loss * n_clips for loss, n_clips in updates) / SPLITS["train"]
        assert column(of_epoch, "train_loss_batch_mean") == pytest.approx([expected], rel=1e-5)  # the log has six digits
        assert column(of_epoch, "dev_train_loss_batch_mean")[-1] == pytest.approx(expected, rel=1e-5)

        eer_of(folder / f"checkpoint{epoch}.pt", data, "dev", tmp_path)
        scores, trials = read_scores(tmp_path / f"checkpoint{epoch}-dev.txt"), read_manifest(data / "dev.tsv")
        running_loss = 0.0
        for start in range(0, len(trials), batch_size_valid):
            batch = trials[start : start + batch_size_valid]
            log_bonafide = np.array([scores[trial.id] for trial in batch])
            is_bonafide = np.array([trial.label == "bonafide" for trial in batch])
            losses = -np.where(is_bonafide, log_bonafide, np.log1p(-np.exp(log_bonafide)))
            running_loss += np.average(losses, weights=np.where(is_bonafide, *map(float, reversed(weights)))) * len(batch)
        assert column(of_epoch, "dev_loss_batch_mean")[-1] == pytest.approx(running_loss / len(trials), rel=1e-5)


def test_two_processes_killed_in_the_middle_of_an_epoch_resume_as_if_never_stopped(
    data, backbone, undisturbed_pair, tmp_path
) -> None:
    options = ("--save-interval-updates", "2")
    killed_after_5 = KILLED_AFTER_UPDATE_9.replace("== 9", "== 5")
    pair(data, backbone, tmp_path / "save", *options, program=killed_after_5, status=-signal.SIGKILL)
    assert (tmp_path / "save" / "checkpoint_2_4.pt").exists()
    assert not (tmp_path / "save" / "checkpoint2.pt").exists()
    resumed = logged(pair(data, backbone, tmp_path / "save", *options)[0])
    assert column(resumed, "num_updates")[0] == 5
    assert_same_weights(tmp_path / "save" / "checkpoint2.pt", undisturbed_pair[0] / "checkpoint2.pt")


def test_two_processes_go_on_when_one_has_a_batch_of_broken_clips(data, backbone, tmp_path) -> None:
    with_broken_clip(data, tmp_path / "data")
    options = ("--skip-broken-audio", "--batch-size", "1", "--max-epoch", "1")
    records = logged(pair(tmp_path / "data", backbone, tmp_path / "save", *options)[0])
    assert column(records, "train_broken") == [1]
    assert sum(column(records, "bsz")) == SPLITS["train"] - 1


def test_two_processes_fine_tune_a_checkpoint(data, backbone, undisturbed_pair, tmp_path) -> None:
    start = undisturbed_pair[0] / "checkpoint1.pt"
    pair(data, backbone, tmp_path / "save", "--finetune-from-model", str(start), "--lr", "0", "--max-epoch", "1")
    before, after = weights_of(start), weights_of(tmp_path / "save" / "checkpoint_last.pt")
    parameters = [name for name in before if "running_" not in name and "num_batches" not in name]
    assert all(torch.equal(before[name], after[name]) for name in parameters)  # at a learning rate of 0


def test_broken_audio_stops_training_with_one_line(data, backbone, tmp_path) -> None:
    with_broken_clip(data, tmp_path)
    printed = fairseq(
        "train", str(tmp_path), "--w2v-path", str(backbone), "--save-dir", str(tmp_path / "save"), *RECIPE, status=1
    )
    assert printed.splitlines()[-1].startswith(f"error: {tmp_path / 'train_3.flac'}: ")
    assert "Traceback" not in printed
    assert not list(tmp_path.rglob("crash.pt"))


def test_broken_audio_is_counted_when_it_may_be_skipped(data, backbone, tmp_path) -> None:
    with_broken_clip(data, tmp_path)
    records = train(tmp_path, backbone, tmp_path / "save", "--skip-broken-audio", "--max-epoch", "1", "--batch-size", "1",
                    "--class-weights", "1,1")  # fmt: skip
    assert column(records, "train_broken") == [1]
    assert sum(column(records, "bsz")) == SPLITS["train"] - 1
    losses = [float(record["loss"]) for record in records if record.get("bsz") == "1"]
    assert len(losses) == SPLITS["train"] - 1
    assert column(records, "train_loss") == pytest.approx([np.mean(losses)], rel=1e-5)  # the batch without a clip has no weight


@pytest.mark.parametrize(("split", "n_trials"), [("train", SPLITS["train"]), ("dev", SPLITS["dev"])])
def test_training_ends_when_most_clips_are_broken(split, n_trials, data, backbone, tmp_path) -> None:
    shutil.copytree(data, tmp_path, dirs_exist_ok=True)
    for clip in tmp_path.glob(f"{split}_*.flac"):
        clip.unlink()
    options = ("--skip-broken-audio", "--max-epoch", "1", "--save-dir", str(tmp_path / "save"))
    printed = fairseq("train", str(tmp_path), "--w2v-path", str(backbone), *RECIPE, *options, status=1)
    last_line = printed.splitlines()[-1]
    assert last_line.startswith(f"error: {tmp_path / split}.tsv: ")
    assert last_line.endswith(f" of {n_trials} clips cannot be read: check the folder of recordings, --audio-root")
    assert not (tmp_path / "save" / "checkpoint_best.pt").exists()


def with_broken_clip(data: Path, folder: Path) -> None:
    """A copy of the data in which one training clip is cut off."""
    shutil.copytree(data, folder, dirs_exist_ok=True)
    clip = folder / "train_3.flac"
    clip.write_bytes(clip.read_bytes()[:2_000])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: spoil_header(folder / "train.tsv"), "train.tsv:1: no column label"),
        (lambda folder: (folder / "dev_2.flac").unlink(), "dev_2.flac: no such audio file"),
        (lambda folder: keep_one_class(folder / "dev.tsv"), "dev.tsv: no spoof trial"),
        (lambda folder: (folder / "random.pt").write_bytes(b"not a checkpoint"), "random.pt: not a checkpoint"),
    ],
)  # fmt: skip
def test_bad_input_ends_training_with_one_line(spoil, message, data, backbone, tmp_path) -> None:
    shutil.copytree(data, tmp_path, dirs_exist_ok=True)
    shutil.copy(backbone, tmp_path / "random.pt")
    spoil(tmp_path)
    arguments = (str(tmp_path), "--w2v-path", str(tmp_path / "random.pt"), "--save-dir", str(tmp_path / "save"), *RECIPE)
    printed = fairseq("train", *arguments, status=1)
    assert message in printed.splitlines()[-1]
    assert "Traceback" not in printed


def spoil_header(manifest: Path) -> None:
    manifest.write_text(manifest.read_text().replace("label", "class", 1))


def keep_one_class(manifest: Path) -> None:
    write_manifest(manifest, [trial for trial in read_manifest(manifest) if trial.label == "bonafide"])


@pytest.mark.parametrize(
    ("option", "remedy"), [(("--skip-remainder-batch",), "leave it out"), (("--max-valid-steps", "0"), "remove the option")]
)
def test_options_that_would_lose_trials_are_refused(option, remedy, data, backbone, tmp_path) -> None:
    arguments = (str(data), "--w2v-path", str(backbone), "--save-dir", str(tmp_path), *RECIPE, "--max-epoch", "1", *option)
    assert remedy in fairseq("train", *arguments, status=1).splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--max-samples", "300"), "--max-samples 300: SLS needs at least 3 frames"),
        (("--optimizer", "adam", "--head-lr-scale", "10"), "need --optimizer l2_adam"),
        (("--lr-scheduler", "two_stage"), "no backbone is frozen at first"),
        (("--lr", "1e30"), "error: the loss is NaN after 1 updates: training diverged: lower --lr"),
        (("--bf16",), "error: --fp16, --bf16 and --amp need a GPU: leave them out"),
    ],
)
def test_wrong_settings_end_training_with_one_line_and_no_other_file(options, message, data, backbone, tmp_path) -> None:
    arguments = (str(data), "--w2v-path", str(backbone), "--save-dir", str(tmp_path), *RECIPE, *options)
    printed = fairseq("train", *arguments, status=1)
    assert message in printed.splitlines()[-1]
    assert "Traceback" not in printed
    assert not list(tmp_path.iterdir())  # such as a crash.pt


def test_training_goes_on_with_its_own_detector_only(trained, data, tmp_path) -> None:
    """Where --save-dir holds another detector's checkpoints."""
    folder, _ = trained
    shutil.copy(folder / "checkpoint_last.pt", tmp_path)
    options = ("--arch", "aasist_l", "--save-dir", str(tmp_path))
    printed = fairseq("train", str(data), *RECIPE, *options, status=1)
    assert f"{tmp_path / 'checkpoint_last.pt'}: its tensors are not those of the model" in printed.splitlines()[-1]
    assert "--save-dir" in printed.splitlines()[-1]
    assert "Traceback" not in printed


def test_the_log_of_a_normal_run_begins_with_what_counts(data, backbone, tmp_path) -> None:
    options = ("--log-format", "simple", "--max-epoch", "1", "--save-dir", str(tmp_path))
    printed = fairseq("train", str(data), "--w2v-path", str(backbone), *RECIPE, *options)
    (line,) = [line for line in printed.splitlines() if "valid on 'dev' subset |" in line]
    assert [field.split()[0] for field in line.split(" | ")[5:8]] == ["eer", "loss", "loss_batch_mean"]
    assert "layer_" not in line
    assert "Warning" not in printed
    assert max(map(len, printed.splitlines())) < 300


def test_full_memory_is_reported_in_one_line() -> None:
    message = r"^out of memory: lower --batch-size, and raise --update-freq by the same factor$"
    with pytest.raises(DataError, match=message), out_of_memory_reported():
        torch.empty(1 << 60, dtype=torch.uint8)
    with pytest.raises(RuntimeError, match="must match"), out_of_memory_reported():
        torch.zeros(2) + torch.zeros(3)


def test_a_missing_manifest_is_told_in_one_line(data, backbone, tmp_path) -> None:
    arguments = (str(data), "--w2v-path", str(backbone), "--save-dir", str(tmp_path), *RECIPE, "--valid-subset", "valid")
    printed = fairseq("train", *arguments, status=1)
    assert "valid.tsv: no such manifest" in printed.splitlines()[-1]
    assert "Traceback" not in printed


@pytest.mark.parametrize("command", ["validate", "generate"])
def test_a_checkpoint_of_another_layout_is_told_in_one_line(command, data, backbone) -> None:
    printed = fairseq(command, str(data), *PLUGIN, "--path", str(backbone), "--cpu", status=1)
    assert f"{backbone}: not a detector" in printed.splitlines()[-1]
    assert "Traceback" not in printed


def test_validation_needs_no_batch_size(trained, data) -> None:
    folder, _ = trained
    path = str(folder / "checkpoint_best.pt")
    printed = fairseq("validate", str(data), *PLUGIN, "--path", path, "--valid-subset", "eval", "--log-format", "json", "--cpu")
    assert len(column(logged(printed), "eval_eer")) == 1


def test_a_yaml_file_trains_as_well(data, backbone, tmp_path) -> None:
    (tmp_path / "sls.yaml").write_text(
        f"""# @package _group_
common: {{user_dir: {USER_DIR}, cpu: true}}
task: {{_name: asvspoof, data: {data}, max_samples: 8000, rawboost_algorithm: 5}}
dataset: {{valid_subset: dev, batch_size: 8}}
model: {{_name: sls, w2v_path: {backbone}}}
criterion: {{_name: weighted_cross_entropy, class_weights: balanced}}
optimizer: {{_name: l2_adam}}
lr_scheduler: {{_name: fixed}}
optimization: {{max_epoch: 1, lr: [0.001]}}
checkpoint: {{save_dir: {tmp_path / "save"}, best_checkpoint_metric: eer}}
hydra: {{run: {{dir: {tmp_path}}}}}
"""
    )
    fairseq("hydra-train", "--config-dir", str(tmp_path), "--config-name", "sls")
    cfg = torch.load(tmp_path / "save" / "checkpoint_best.pt", weights_only=True)["cfg"]
    assert (cfg["task"]["rawboost_algorithm"], cfg["model"]["max_samples"]) == (5, 8000)


def test_the_published_yaml_trains_from_any_folder(data, backbone, tmp_path, monkeypatch) -> None:
    """With relative paths too, unless Hydra changes the working folder, which one line says."""
    monkeypatch.chdir(data.parent)
    command = [
        "--config-dir", str(USER_DIR.parent / "recipes" / "experiments" / "sls" / "config"), "--config-name", "paper",
        f"common.user_dir={USER_DIR}", f"task.data={data.name}", f"model.w2v_path={backbone}", "common.cpu=true",
        f"checkpoint.save_dir={tmp_path / 'save'}", f"hydra.run.dir={tmp_path / 'hydra'}", "optimization.max_epoch=1",
    ]  # fmt: skip
    printed = fairseq("hydra-train", *command, status=1)
    line = f"error: {data.name}: no such folder of manifests: fairseq-hydra-train has changed the working folder: "
    assert printed.splitlines()[-1] == f"{line}add hydra.job.chdir=false"
    assert "Traceback" not in printed
    fairseq("hydra-train", *command, "hydra.job.chdir=false")
    assert (tmp_path / "save" / "checkpoint_best.pt").is_file()
