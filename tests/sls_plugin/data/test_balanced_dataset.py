"""Batches of which half are bona fide: what an epoch draws, in which order, whatever the workers; resumed and sharded."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
from omegaconf import OmegaConf

from protocols import DataError, Trial, read_manifest, write_manifest
from sls_plugin.data.balanced_dataset import BalancedTrialDataset
from sls_plugin.data.clip_dataset import Segment
from sls_plugin.data.trial_dataset import TrialDataset
from sls_plugin.tasks.asvspoof import AsvspoofConfig, AsvspoofTask


def dataset(n_bonafide: int, n_spoof: int, seed: int = 1, epoch: int = 1) -> BalancedTrialDataset:
    labels = np.random.default_rng(0).permutation(["bonafide"] * n_bonafide + ["spoof"] * n_spoof)
    trials = [Trial(str(number), "none.wav", str(label)) for number, label in enumerate(labels)]
    balanced = BalancedTrialDataset(trials, Path(), Segment(100), name="train", shuffle=True, seed=seed)
    balanced.set_epoch(epoch)
    return balanced


def labels_of(balanced: BalancedTrialDataset, indices: np.ndarray) -> list[str]:
    return [balanced.trials[index].label for index in indices]


# What an epoch draws


@pytest.mark.parametrize("batch_size", [2, 4, 16, 100])
@pytest.mark.parametrize(("n_bonafide", "n_spoof"), [(3, 10), (10, 3), (7, 7), (1, 20), (12, 13)])
def test_half_of_every_batch_is_bona_fide(n_bonafide: int, n_spoof: int, batch_size: int) -> None:
    balanced = dataset(n_bonafide, n_spoof)
    batches = balanced.batch_by_size(balanced.ordered_indices(), max_sentences=batch_size)
    assert sum(map(len, batches)) == len(balanced) == 2 * max(n_bonafide, n_spoof)
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}
    for batch in batches:
        assert Counter(labels_of(balanced, batch)) == {"bonafide": len(batch) / 2, "spoof": len(batch) / 2}


@pytest.mark.parametrize(("n_bonafide", "n_spoof"), [(3, 11), (11, 3), (7, 7)])
def test_the_smaller_class_is_drawn_again_and_again_each_time_in_a_new_order(n_bonafide: int, n_spoof: int) -> None:
    balanced = dataset(n_bonafide, n_spoof)
    order = balanced.ordered_indices()
    for label, n_trials in (("bonafide", n_bonafide), ("spoof", n_spoof)):
        drawn = [index for index in order if balanced.trials[index].label == label]
        assert len(drawn) == max(n_bonafide, n_spoof)
        passes = [tuple(drawn[start : start + n_trials]) for start in range(0, len(drawn), n_trials)]
        assert all(len(set(one)) == len(one) for one in passes)  # no trial twice in a pass
        assert len(set(passes)) == len(passes)
        assert max(Counter(drawn).values()) - min(Counter(drawn).values()) <= 1
        assert len(set(drawn)) == n_trials


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    orders = set()
    for seed, epoch in [(1, 1), (1, 2), (2, 1)]:
        np.random.seed(len(orders))  # no global state
        order = dataset(5, 20, seed, epoch).ordered_indices()
        np.testing.assert_array_equal(order, dataset(5, 20, seed, epoch).ordered_indices())
        orders.add(tuple(order))
    assert len(orders) == 3


def test_odd_batches_are_refused() -> None:
    balanced = dataset(3, 10)
    with pytest.raises(DataError, match="--balanced-batches needs an even --batch-size, got 5"):
        balanced.batch_by_size(balanced.ordered_indices(), max_sentences=5)


# Through the task: a corpus per class, each with a manifest of its own

N_BONAFIDE, N_SPOOF, BATCH = 5, 13, 4


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    rng = np.random.default_rng(0)
    for corpus, label, n_trials in (("books", "bonafide", N_BONAFIDE), ("generators", "spoof", N_SPOOF)):
        trials = [Trial(f"{corpus}_{number}", f"{corpus}_{number}.wav", label) for number in range(n_trials)]
        for trial in trials:
            soundfile.write(folder / trial.audio, 0.1 * rng.standard_normal(400), 16_000)
        write_manifest(folder / f"{corpus}.tsv", trials)
    return folder


def task(data: Path, train_subset: str = "generators+books", balanced_batches: bool = True) -> AsvspoofTask:
    settings = {"data": str(data), "train_subset": train_subset, "balanced_batches": balanced_batches}
    cfg = OmegaConf.structured(AsvspoofConfig(**settings, max_samples=300, seed=1, results_path=None, crop="random"))
    task = AsvspoofTask.setup_task(cfg)
    task.load_dataset(train_subset)
    return task


def epoch_iterator(task: AsvspoofTask, epoch: int = 1, **arguments: int):
    dataset = task.dataset(task.cfg.train_subset)
    return task.get_batch_iterator(dataset, max_sentences=BATCH, seed=1, epoch=epoch, **arguments)


def contents(batches: Iterator[dict]) -> list[tuple[list[int], list[int], bytes]]:
    return [(batch["id"].tolist(), batch["label"].tolist(), batch["net_input"]["source"].numpy().tobytes()) for batch in batches]


def test_two_manifests_are_joined(data: Path) -> None:
    trials = task(data).dataset("generators+books").trials
    assert trials == read_manifest(data / "generators.tsv") + read_manifest(data / "books.tsv")


def test_every_batch_of_training_is_balanced_whatever_the_workers(data: Path) -> None:
    epochs = [contents(epoch_iterator(task(data), epoch).next_epoch_itr()) for epoch in (1, 2)]
    for number, batches in enumerate(epochs, start=1):
        assert sum(len(labels) for _, labels, _ in batches) == 2 * N_SPOOF
        assert all(2 * sum(labels) == len(labels) for _, labels, _ in batches)
        assert contents(epoch_iterator(task(data), number, num_workers=2).next_epoch_itr()) == batches
    assert sorted(epochs[0]) != sorted(epochs[1])


def test_an_interrupted_epoch_resumes_where_it_stopped(data: Path) -> None:
    whole = contents(epoch_iterator(task(data), 3).next_epoch_itr())
    stopped = epoch_iterator(task(data), 3)
    first = contents(islice(stopped.next_epoch_itr(), 2))
    resumed = epoch_iterator(task(data), 3)
    resumed.load_state_dict(stopped.state_dict())
    assert first + contents(resumed.next_epoch_itr()) == whole


def test_shards_are_balanced_too_and_make_up_the_whole(data: Path) -> None:
    whole = contents(epoch_iterator(task(data)).next_epoch_itr())
    shards = [contents(epoch_iterator(task(data), num_shards=2, shard_id=shard).next_epoch_itr()) for shard in (0, 1)]
    assert len(whole) == 7
    assert shards[1].pop() == ([], [], b"")  # fairseq gives every worker as many batches
    assert sorted(shards[0] + shards[1]) == sorted(whole)


def test_validation_and_training_without_the_option_draw_every_trial_once(data: Path) -> None:
    plain = task(data, balanced_batches=False).dataset("generators+books")
    validated = task(data)
    validated.load_dataset("books+generators")
    for trials in (plain, validated.dataset("books+generators")):
        assert type(trials) is TrialDataset
        assert sorted(trials.ordered_indices()) == list(range(N_BONAFIDE + N_SPOOF))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("generators+audiobooks", r"audiobooks\.tsv: no such manifest"),
        ("books+books", r"books\.tsv: trial books_0 is also in another manifest of books\+books: list each trial once"),
        ("generators", r"generators\.tsv: no bonafide trial"),
    ],
)  # fmt: skip
def test_wrong_splits_are_reported_in_one_line(split: str, message: str, data: Path) -> None:
    with pytest.raises(DataError, match=message):
        task(data, split)
