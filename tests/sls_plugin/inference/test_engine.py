"""The engine: batches in order, too little memory, scores that are not finite, and memory that does not grow."""

import logging
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from detectors import write_detector
from torch import Tensor, nn

from protocols import DataError, Trial
from sls_plugin.data.clip_dataset import Segment
from sls_plugin.data.conditions import ObservedClips
from sls_plugin.inference.engine import ScoringEngine
from sls_plugin.inference.load import load_detector

N_SAMPLES = 50
BROKEN = (3, 8, 9, 10, 11)  # of batches of four, one in the first and all of the third


class SmallMemory(nn.Module):
    """A model for whose memory more than `most` clips are too many; the score is the sum of a clip."""

    def __init__(self, most: int = 1_000) -> None:
        super().__init__()
        self.most = most
        self.n_clips: list[int] = []

    def forward(self, source: Tensor) -> Tensor:
        self.n_clips.append(len(source))
        if len(source) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return source.sum(dim=1, keepdim=True).repeat(1, 2)

    def scores(self, output: Tensor) -> Tensor:
        return output[:, 1]

    def log_likelihood_ratios(self, output: Tensor) -> Tensor:
        return output[:, 1] - output[:, 0]


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> list[Trial]:
    """Fifteen trials, ten of them with a recording."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for number in set(range(15)) - set(BROKEN):
        soundfile.write(folder / f"{number}.wav", rng.uniform(-0.5, 0.5, N_SAMPLES), 16_000)
    return [Trial(f"t{number}", str(folder / f"{number}.wav")) for number in range(15)]


def engine(model: nn.Module, **options: object) -> ScoringEngine:
    settings = {"device": "cpu", "dtype": torch.float32, "batch_size": 4, "num_workers": 0, "skip_broken": True} | options
    return ScoringEngine(model, Segment(N_SAMPLES), **settings)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 4, 20])
def test_outcomes_are_in_the_order_of_the_trials(trials: list[Trial], batch_size: int, num_workers: int) -> None:
    outcomes = list(engine(SmallMemory(), batch_size=batch_size, num_workers=num_workers).scores(trials))
    assert [name for name, _, _ in outcomes] == [trial.id for trial in trials]
    for number, (trial, (_, outcome, _)) in enumerate(zip(trials, outcomes, strict=True)):
        if number in BROKEN:
            assert outcome.startswith(f"{trial.audio}: no such audio file")
        else:
            assert outcome == pytest.approx(soundfile.read(trial.audio)[0].sum(), abs=1e-5)


def test_a_broken_recording_stops_after_the_batches_before_it(trials: list[Trial]) -> None:
    scores = engine(SmallMemory(), skip_broken=False).scores(trials[4:])
    assert [next(scores)[0] for _ in range(4)] == ["t4", "t5", "t6", "t7"]
    with pytest.raises(DataError, match=r"8\.wav: no such audio file"):
        next(scores)


def test_weights_are_packed_for_a_long_run_alone() -> None:
    class Packable(SmallMemory):
        packed = 0

        def pack_weights(self) -> None:
            self.packed += 1

    for pack_weights in (False, True):
        scorer = engine(Packable(), pack_weights=pack_weights)
        scorer.score(torch.ones(5, N_SAMPLES))
        scorer.score(torch.ones(5, N_SAMPLES))
        assert scorer.model.packed == pack_weights


def test_a_detector_is_loaded_without_drawing_weights(tmp_path: Path, tiny_checkpoint: Path) -> None:
    expected = write_detector(tmp_path / "sls.pt", "sls_xlsr_300m", 4_320, "--w2v-path", str(tiny_checkpoint))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    model = load_detector(tmp_path / "sls.pt").model
    assert torch.equal(torch.get_rng_state(), before)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_a_killed_decoder_is_reported_in_one_line(trials: list[Trial], monkeypatch: pytest.MonkeyPatch) -> None:
    decode = ObservedClips.__getitem__

    def decode_in_too_little_memory(clips: ObservedClips, index: int) -> object:
        if index == 9:
            os.kill(os.getpid(), signal.SIGKILL)
        return decode(clips, index)

    monkeypatch.setattr(ObservedClips, "__getitem__", decode_in_too_little_memory)
    scores = engine(SmallMemory(), num_workers=1).scores([trials[0]] * 40)
    with pytest.raises(DataError, match="a data loader worker was killed"):
        list(scores)


def test_when_memory_is_short_fewer_clips_are_scored_at_a_time(trials: list[Trial], caplog: pytest.LogCaptureFixture) -> None:
    expected = list(engine(SmallMemory()).scores(trials))
    model = SmallMemory(most=3)
    with caplog.at_level(logging.WARNING):
        outcomes = list(engine(model, batch_size=15).scores(trials))
    assert [name for name, _, _ in outcomes] == [name for name, _, _ in expected]
    assert dict(outcome[:2] for outcome in outcomes) == pytest.approx(dict(outcome[:2] for outcome in expected))
    assert model.n_clips == [10, 8, 4, 2, 2, 2, 2, 2]  # of ten sound clips, and what worked is kept to
    assert caplog.messages == ["cpu: out of memory with 15 clips at a time: continuing with fewer"]


def test_a_memory_too_small_for_one_clip_is_reported(trials: list[Trial]) -> None:
    with pytest.raises(DataError, match=r"^cpu: out of memory with a single clip: try --dtype bfloat16$"):
        list(engine(SmallMemory(most=0)).scores(trials))


def test_other_faults_of_a_model_are_not_taken_for_a_full_memory(trials: list[Trial]) -> None:
    class Faulty(SmallMemory):
        def forward(self, source: Tensor) -> Tensor:
            raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(engine(Faulty()).scores(trials))


@pytest.mark.parametrize(("value", "word"), [(math.nan, "NaN"), (math.inf, "infinite"), (-math.inf, "infinite")])
def test_a_score_that_is_not_finite_names_its_trial(trials: list[Trial], value: float, word: str) -> None:
    class Overflowing(SmallMemory):
        def scores(self, output: Tensor) -> Tensor:
            return torch.tensor([0.0, 0.0, value, 0.0])[: len(output)]

    scores = engine(Overflowing()).scores(trials[4:])
    assert [next(scores)[0] for _ in range(2)] == ["t4", "t5"]
    with pytest.raises(DataError, match=rf"6\.wav: trial t6: the model's score is {word}"):
        next(scores)


def test_data_workers_use_one_thread_each(trials: list[Trial], monkeypatch: pytest.MonkeyPatch) -> None:
    """As many threads in each of them as the machine has cores would slow each other down."""
    monkeypatch.setattr("sls_plugin.data.conditions.fit_length", lambda *_: np.full(1, torch.get_num_threads(), np.float32))
    sound = [trial for number, trial in enumerate(trials) if number not in BROKEN]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert {score for _, score, _ in engine(SmallMemory(), num_workers=2).scores(sound)} == {1.0}
    finally:
        torch.set_num_threads(before)


MEMORY = """
import resource, sys
import torch
from tests.sls_plugin.inference.test_engine import SmallMemory, engine
from protocols import Trial
from sls_plugin.scores.journal import Journal
from pathlib import Path
trials = [Trial(str(number), sys.argv[1]) for number in range(8_000)]
scorer = engine(SmallMemory(), batch_size=100)
with Journal(Path(sys.argv[2]), {}, trials, 100) as journal:
    for outcome in scorer.scores(trials):
        journal.add(*outcome)
        if journal.n_done == 1_000:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_what_is_scored(trials: list[Trial], tmp_path: Path) -> None:
    """Less than 50 bytes for each of 7,000 trials, where a score kept in memory with its id takes 100."""
    command = [sys.executable, "-c", MEMORY, trials[0].audio, str(tmp_path / "partial")]
    root = Path(__file__).parents[3]
    environment = {"PYTHONPATH": f"{root}:{root}/tests"}  # as in .pytest.ini
    outcome = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert int(outcome.stdout) * 1024 < 50 * 7_000
