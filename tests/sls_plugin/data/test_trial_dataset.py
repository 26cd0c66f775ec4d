"""Trials to batches: which draws a trial gets, where it is cut, what a batch holds, what is done with broken clips."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy.stats import chisquare
from torch.utils.data import DataLoader

from protocols import DataError, Trial
from sls_plugin.data.audio import read_audio
from sls_plugin.data.augmentation.rawboost import RawBoost, RawBoostConfig
from sls_plugin.data.clip_dataset import Segment
from sls_plugin.data.trial_dataset import TrialDataset

LENGTHS = [1500, 4000, 4001, 9000, 12_000, 700]
SEGMENT = Segment(4000)
RANDOM_SEGMENT = Segment(4000, crop="random")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings 0.flac, 1.flac, ... of LENGTHS samples at 16 kHz."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    for number, n_samples in enumerate(LENGTHS):
        soundfile.write(folder / f"{number}.flac", 0.1 * rng.standard_normal(n_samples), 16_000)
    return folder


TRIALS = [
    Trial(f"LA_T_{number}", f"{number}.flac", "bonafide" if number % 2 else "spoof") for number in range(len(LENGTHS))
]


def rawboost(algorithm: int = 4) -> RawBoost:
    return RawBoost(RawBoostConfig(rawboost_algorithm=algorithm))


def training_set(corpus: Path, trials: Sequence[Trial] = TRIALS, seed: int = 1, epoch: int = 1) -> TrialDataset:
    dataset = TrialDataset(trials, corpus, RANDOM_SEGMENT, augment=rawboost(), shuffle=True, seed=seed)
    dataset.set_epoch(epoch)
    return dataset


def waveforms(dataset: TrialDataset, n_workers: int = 0, order: Sequence[int] | None = None) -> dict[str, np.ndarray]:
    """The waveform of each trial by its id, as a data loader with batches of two clips brings them."""
    order = range(len(dataset)) if order is None else order
    loader = DataLoader(dataset, 2, sampler=order, collate_fn=dataset.collater, num_workers=n_workers)
    return {
        dataset.trials[index].id: source
        for batch in loader
        for index, source in zip(batch["id"].tolist(), batch["net_input"]["source"].numpy(), strict=True)
    }


def assert_equal_waveforms(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> None:
    assert left.keys() == right.keys()
    for name, waveform in left.items():
        np.testing.assert_array_equal(waveform, right[name], err_msg=name)


# Draws


def test_workers_order_and_the_global_generator_change_nothing(corpus: Path) -> None:
    expected = waveforms(training_set(corpus))
    assert len(expected) == len(TRIALS)
    assert_equal_waveforms(waveforms(training_set(corpus), n_workers=2), expected)
    assert_equal_waveforms(waveforms(training_set(corpus), order=[3, 0, 5, 1, 4, 2]), expected)
    np.random.seed(7)
    torch.manual_seed(7)
    state = np.random.get_state()[1].copy()
    assert_equal_waveforms(waveforms(training_set(corpus)), expected)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_a_trial_met_twice_is_the_same(corpus: Path) -> None:
    dataset = training_set(corpus)
    assert torch.equal(dataset[3]["source"], dataset[3]["source"])


def test_other_trials_of_the_manifest_change_nothing(corpus: Path) -> None:
    expected = waveforms(training_set(corpus))
    assert_equal_waveforms(
        waveforms(training_set(corpus, TRIALS[:2:-1])), {trial.id: expected[trial.id] for trial in TRIALS[3:]}
    )


def test_epochs_seeds_and_trials_differ(corpus: Path) -> None:
    first = waveforms(training_set(corpus))
    for other in (training_set(corpus, epoch=2), training_set(corpus, seed=2), training_set(corpus, seed=2, epoch=2)):
        for name, waveform in waveforms(other).items():
            assert not np.array_equal(waveform, first[name])
    # the same recording under another id is another trial
    twin = training_set(corpus, [TRIALS[4], replace(TRIALS[4], id="LA_T_4_"), replace(TRIALS[4], id="4_LA_T")])
    assert len({waveform.tobytes() for waveform in waveforms(twin).values()}) == 3


def test_a_seed_and_its_neighbour_epoch_do_not_meet(corpus: Path) -> None:
    """(seed 1, epoch 2) and (seed 2, epoch 1) are different draws, as are all others."""
    draws = [
        waveforms(training_set(corpus, TRIALS[4:5], seed, epoch))["LA_T_4"].tobytes()
        for seed in range(4)
        for epoch in range(1, 5)
    ]
    assert len(set(draws)) == len(draws)


# Cutting


def test_random_crops_are_uniform_over_every_start(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "ramp.wav", np.arange(10) / 16, 16_000, subtype="FLOAT")
    dataset = TrialDataset([Trial("ramp", "ramp.wav")], tmp_path, Segment(6, crop="random"))
    starts: Counter[int] = Counter()
    for epoch in range(1, 1001):
        dataset.set_epoch(epoch)
        clip = 16 * dataset[0]["source"].numpy()
        np.testing.assert_array_equal(np.diff(clip), np.ones(5))
        starts[int(clip[0])] += 1
    assert set(starts) == {0, 1, 2, 3, 4}
    assert chisquare(list(starts.values())).pvalue > 0.001


@pytest.mark.parametrize("crop", ["start", "random"])
def test_a_clip_of_just_the_length_is_whole(corpus: Path, crop: str) -> None:
    dataset = TrialDataset(TRIALS, corpus, Segment(4000, crop=crop))
    np.testing.assert_array_equal(dataset[1]["source"].numpy(), read_audio(corpus / "1.flac"))


def test_short_clips_are_tiled_or_followed_by_zeros(corpus: Path) -> None:
    clip = read_audio(corpus / "0.flac")
    tiled = TrialDataset(TRIALS, corpus, Segment(4000, crop="random", padding="tile"))[0]["source"].numpy()
    np.testing.assert_array_equal(tiled, np.concatenate([clip, clip, clip[:1000]]))
    padded = TrialDataset(TRIALS, corpus, Segment(4000, crop="random", padding="zero"))[0]["source"].numpy()
    np.testing.assert_array_equal(padded, np.concatenate([clip, np.zeros(2500)]))


@pytest.mark.parametrize("algorithm", range(1, 9))
def test_rawboost_gets_the_whole_utterance_before_it_is_cropped(corpus: Path, algorithm: int) -> None:
    inputs = []

    def augment(waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        inputs.append(waveform)
        return rawboost(algorithm)(waveform, rng)

    for index, n_samples in enumerate(LENGTHS):
        whole = TrialDataset(TRIALS, corpus, Segment(n_samples, crop="random"), augment=augment)[index]["source"].numpy()
        assert not np.array_equal(whole, read_audio(corpus / f"{index}.flac"))
        cut = TrialDataset(TRIALS, corpus, SEGMENT, augment=augment)[index]["source"].numpy()
        np.testing.assert_array_equal(cut, np.tile(whole, 4000 // n_samples + 1)[:4000])
        assert all(np.array_equal(waveform, read_audio(corpus / f"{index}.flac")) for waveform in inputs[-2:])
        moved = TrialDataset(TRIALS, corpus, RANDOM_SEGMENT, augment=augment)[index]["source"].numpy()
        if n_samples > 4000:
            assert any(np.array_equal(moved, whole[start : start + 4000]) for start in range(n_samples - 4000 + 1))
        else:
            np.testing.assert_array_equal(moved, cut)


def test_without_rawboost_nothing_is_drawn_at_a_fixed_start(corpus: Path) -> None:
    dataset = TrialDataset(TRIALS, corpus, SEGMENT)
    first = waveforms(dataset)
    dataset.set_epoch(2)
    assert_equal_waveforms(waveforms(dataset), first)


# Order


def test_training_shows_every_trial_in_an_order_of_its_epoch(corpus: Path) -> None:
    trials = [replace(TRIALS[0], id=f"LA_T_{number}") for number in range(50)]
    orders = []
    for seed, epoch in [(1, 1), (1, 2), (2, 1)]:
        order = training_set(corpus, trials, seed, epoch).ordered_indices()
        np.testing.assert_array_equal(order, training_set(corpus, trials, seed, epoch).ordered_indices())
        np.testing.assert_array_equal(np.sort(order), np.arange(50))
        orders.append(tuple(order))
    assert len({*orders, tuple(range(50))}) == 4


def test_other_splits_keep_the_order_of_the_manifest(corpus: Path) -> None:
    dataset = TrialDataset(TRIALS, corpus, SEGMENT)
    for epoch in (1, 2):
        dataset.set_epoch(epoch)
        np.testing.assert_array_equal(dataset.ordered_indices(), np.arange(len(TRIALS)))


@pytest.mark.parametrize("n_trials", [1, 4, 5, 6, 40, 41])
@pytest.mark.parametrize("limit", [{"max_sentences": 5}, {"max_tokens": 61}, {"max_sentences": 5, "max_tokens": 25}])
def test_no_trial_is_lost_between_batches(corpus: Path, n_trials: int, limit: dict[str, int]) -> None:
    trials = [replace(TRIALS[0], id=str(number)) for number in range(n_trials)]
    dataset = training_set(corpus, trials)
    order = dataset.ordered_indices()
    batches = dataset.batch_by_size(order, required_batch_size_multiple=1, **limit)
    np.testing.assert_array_equal(np.concatenate(batches), order)
    largest = min(limit.get("max_sentences", 40), limit.get("max_tokens", 600) // dataset.num_tokens(0))
    assert max(map(len, batches)) == min(n_trials, largest)


# Batches


def test_what_a_batch_holds(corpus: Path) -> None:
    trials = [TRIALS[3], replace(TRIALS[4], label=""), TRIALS[2]]
    dataset = TrialDataset(trials, corpus, SEGMENT)
    batch = dataset.collater([dataset[2], dataset[0], dataset[1]])
    assert batch["id"].tolist() == [2, 0, 1]
    assert batch["label"].tolist() == [0, 1, -1]
    assert batch["id"].dtype == batch["label"].dtype == torch.int64
    source = batch["net_input"]["source"]
    assert source.dtype == torch.float32
    assert source.shape == (3, 4000)
    for row, name in zip(source.numpy(), ("2.flac", "3.flac", "4.flac"), strict=True):
        np.testing.assert_array_equal(row, read_audio(corpus / name)[:4000])
    assert batch["nsentences"] == 3
    assert batch["broken"] == []
    assert set(batch["net_input"]) == {"source"}


@pytest.mark.parametrize("algorithm", range(9))
def test_batches_are_never_double(tmp_path: Path, algorithm: int) -> None:
    for name, sample_rate in (("double.wav", 16_000), ("fast.wav", 44_100)):
        soundfile.write(tmp_path / name, np.random.default_rng(0).standard_normal(5000) / 8, sample_rate, subtype="DOUBLE")
    dataset = TrialDataset(
        [Trial("double", "double.wav"), Trial("fast", "fast.wav")], tmp_path, RANDOM_SEGMENT, augment=rawboost(algorithm)
    )
    batch = dataset.collater([dataset[0], dataset[1]])
    assert batch["net_input"]["source"].dtype == torch.float32


def test_absolute_paths_do_not_start_from_the_root(corpus: Path, tmp_path: Path) -> None:
    trial = replace(TRIALS[4], audio=str(corpus / "4.flac"))
    np.testing.assert_array_equal(
        TrialDataset([trial], tmp_path, SEGMENT)[0]["source"], TrialDataset([TRIALS[4]], corpus, SEGMENT)[0]["source"]
    )


def test_ids_may_hold_any_sign(corpus: Path) -> None:
    trials = [replace(TRIALS[4], id=name) for name in ("é", "è", "a b", "x" * 500, "0")]
    assert len({waveform.tobytes() for waveform in waveforms(training_set(corpus, trials)).values()}) == 5


# Broken clips

BROKEN = Trial("LA_T_broken", "broken.flac", "spoof")
MISSING = Trial("LA_T_missing", "missing.flac", "bonafide")


@pytest.fixture
def corpus_with_broken_clips(corpus: Path) -> Path:
    content = (corpus / "4.flac").read_bytes()
    (corpus / "broken.flac").write_bytes(content[: len(content) // 2])
    return corpus


@pytest.mark.parametrize("n_workers", [0, 2])
@pytest.mark.parametrize("trial", [BROKEN, MISSING])
def test_a_broken_clip_stops_by_default(corpus_with_broken_clips: Path, trial: Trial, n_workers: int) -> None:
    dataset = TrialDataset([*TRIALS, trial], corpus_with_broken_clips, SEGMENT)
    with pytest.raises(DataError, match=trial.audio):
        waveforms(dataset, n_workers)


def test_broken_clips_are_left_out_when_asked(corpus_with_broken_clips: Path) -> None:
    trials = [TRIALS[0], BROKEN, TRIALS[1], MISSING]
    dataset = TrialDataset(trials, corpus_with_broken_clips, SEGMENT, skip_broken=True)
    batch = dataset.collater([dataset[index] for index in (3, 2, 1, 0)])
    assert batch["id"].tolist() == [2, 0]
    assert batch["label"].tolist() == [1, 0]
    assert batch["nsentences"] == 2
    np.testing.assert_array_equal(batch["net_input"]["source"][0], dataset[2]["source"])
    assert [name for name, _ in batch["broken"]] == [MISSING.id, BROKEN.id]
    for (_, reason), audio in zip(batch["broken"], (MISSING.audio, BROKEN.audio), strict=True):
        assert reason.startswith(f"{corpus_with_broken_clips / audio}: ")


def test_broken_clips_do_not_move_the_draws_of_others(corpus_with_broken_clips: Path) -> None:
    settings = {"augment": rawboost(), "skip_broken": True}
    together = TrialDataset([BROKEN, *TRIALS], corpus_with_broken_clips, RANDOM_SEGMENT, **settings)
    alone = TrialDataset(TRIALS, corpus_with_broken_clips, RANDOM_SEGMENT, **settings)
    assert_equal_waveforms(waveforms(together), waveforms(alone))


def test_a_batch_of_broken_clips_only_is_empty_but_well_formed(corpus_with_broken_clips: Path) -> None:
    dataset = TrialDataset([BROKEN, MISSING], corpus_with_broken_clips, SEGMENT, skip_broken=True)
    batch = dataset.collater([dataset[0], dataset[1]])
    assert batch["net_input"]["source"].shape == (0, 4000)
    assert batch["net_input"]["source"].dtype == torch.float32
    assert batch["id"].shape == batch["label"].shape == (0,)
    assert batch["id"].dtype == batch["label"].dtype == torch.int64
    assert batch["nsentences"] == 0
    assert len(batch["broken"]) == 2
