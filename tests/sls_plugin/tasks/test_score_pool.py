"""The pooled EER of a split: over all trials, once each, and never of a part."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing

from protocols import DataError, Trial
from sls_plugin.metrics.det import equal_error_rate
from sls_plugin.tasks.score_pool import ScorePool, require_both_classes, require_readable

N_TRIALS = 103
TRIALS = [Trial(f"LA_D_{number}", f"{number}.flac", ("bonafide", "spoof", "spoof")[number % 3]) for number in range(N_TRIALS)]


def random_scores() -> np.ndarray:
    """Overlapping scores of both classes, as single precision as a model's."""
    noise = np.random.default_rng(0).standard_normal(N_TRIALS)
    return (noise + [trial.label == "bonafide" for trial in TRIALS]).astype(np.float32)


def expected_eer(scores: Sequence[float]) -> float:
    bonafide = [score for trial, score in zip(TRIALS, scores, strict=True) if trial.label == "bonafide"]
    spoof = [score for trial, score in zip(TRIALS, scores, strict=True) if trial.label == "spoof"]
    return equal_error_rate(bonafide, spoof)[0]


def pool_of(batches: Sequence[np.ndarray], scores: Sequence[float]) -> ScorePool:
    pool = ScorePool(TRIALS, "dev.tsv")
    for batch in batches:
        pool.add(batch.tolist(), [scores[index] for index in batch])
        pool.count(len(batch))
    return pool


@pytest.mark.parametrize("batch_size", [1, 7, N_TRIALS])
def test_the_eer_is_that_of_all_scores_in_any_order(batch_size: int) -> None:
    scores = random_scores().tolist()
    order = np.random.default_rng(1).permutation(N_TRIALS)
    pool = pool_of(np.split(order, range(batch_size, N_TRIALS, batch_size)), scores)
    pool.require_complete()
    assert 0.1 < pool.eer < 0.5
    assert pool.eer == expected_eer(scores)


def test_the_eer_is_not_known_before_the_last_trial() -> None:
    scores = random_scores().tolist()
    order = np.arange(N_TRIALS)
    pool = pool_of([order[:-1]], scores)
    assert math.isnan(pool.eer)
    with pytest.raises(DataError, match=rf"dev\.tsv: {N_TRIALS - 1} of {N_TRIALS} trials were scored"):
        pool.require_complete()
    pool.add([N_TRIALS - 1], scores[-1:])
    pool.count(1)
    pool.require_complete()
    assert pool.eer == expected_eer(scores)


def test_nothing_scored() -> None:
    pool = ScorePool(TRIALS, "dev.tsv")
    assert math.isnan(pool.eer)
    with pytest.raises(DataError, match="0 of 103"):
        pool.require_complete()


def test_a_filler_batch_does_not_count_twice() -> None:
    """fairseq gives a worker without a batch of its own the first one again, and does not count it."""
    scores = random_scores().tolist()
    pool = pool_of([np.arange(50)], scores)
    pool.add(range(10), scores[:10])
    pool.add(range(50, N_TRIALS), scores[50:])
    pool.count(N_TRIALS - 50)
    pool.require_complete()
    assert pool.eer == expected_eer(scores)


def test_trials_counted_twice_do_not_pass_for_complete() -> None:
    pool = pool_of([np.arange(N_TRIALS - 1), np.arange(5)], random_scores().tolist())
    with pytest.raises(DataError):
        pool.require_complete()


def test_broken_trials_count_but_have_no_score() -> None:
    scores = random_scores().tolist()
    pool = ScorePool(TRIALS, "dev.tsv")
    pool.add(range(3, N_TRIALS), scores[3:])
    pool.count(N_TRIALS)
    bonafide = [score for trial, score in list(zip(TRIALS, scores, strict=True))[3:] if trial.label == "bonafide"]
    spoof = [score for trial, score in list(zip(TRIALS, scores, strict=True))[3:] if trial.label == "spoof"]
    assert pool.eer == equal_error_rate(bonafide, spoof)[0]


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_names_its_trial(score: float) -> None:
    scores = random_scores().tolist()
    scores[17] = score
    with pytest.raises(DataError, match=r"dev\.tsv: trial LA_D_17: .*diverged") as refusal:
        pool_of([np.arange(N_TRIALS)], scores)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("label", ["bonafide", "spoof"])
def test_a_class_whose_every_clip_is_broken(label: str) -> None:
    pool = ScorePool(TRIALS, "dev.tsv")
    found = [index for index, trial in enumerate(TRIALS) if trial.label != label]
    pool.add(found, np.zeros(len(found)))
    with pytest.raises(DataError, match=f"dev.tsv: no {label} trial"):
        pool.count(N_TRIALS)


def test_both_classes_are_required() -> None:
    require_both_classes({"bonafide": 1, "spoof": 1}, "dev.tsv")
    for counts in ({}, {"bonafide": 3}, {"spoof": 3}, {"bonafide": 3, "spoof": 0}, {"": 5, "bonafide": 1}):
        with pytest.raises(DataError, match=r"^dev\.tsv: no (bonafide|spoof) trial: "):
            require_both_classes(counts, "dev.tsv")


# Several workers


def score_a_share(rank: int, n_workers: int, folder: Path) -> None:
    """One worker: its share of the trials, its own scores, the count of all; the first batch once more as filler."""
    distributed.init_process_group("gloo", f"file://{folder}/meeting_place", rank=rank, world_size=n_workers)
    scores = random_scores().tolist()
    pool = ScorePool(TRIALS, "dev.tsv")
    batches = np.split(np.arange(N_TRIALS), range(10, N_TRIALS, 10))
    for start in range(0, len(batches), n_workers):
        together = batches[start : start + n_workers]
        own = together[rank] if rank < len(together) else batches[0]
        pool.add(own.tolist(), [scores[index] for index in own])
        pool.count(sum(map(len, together)))
    pool.require_complete()
    torch.save(pool.eer, folder / f"{rank}.pt")
    distributed.destroy_process_group()


def test_workers_pool_their_scores(tmp_path: Path) -> None:
    multiprocessing.spawn(score_a_share, (2, tmp_path), nprocs=2)
    assert [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)] == [expected_eer(random_scores().tolist())] * 2


def test_most_clips_of_a_split_must_be_readable() -> None:
    require_readable(5, 10, "train.tsv")
    with pytest.raises(DataError) as refusal:
        require_readable(1_200, 2_000, "train.tsv")
    expected = "train.tsv: 1,200 of 2,000 clips cannot be read: check the folder of recordings, --audio-root"
    assert str(refusal.value) == expected
    pool = ScorePool(TRIALS, "dev.tsv")
    pool.count(60, 50)
    with pytest.raises(DataError, match=r"^dev\.tsv: 52 of 103 clips cannot be read"):
        pool.count(2, 2)
