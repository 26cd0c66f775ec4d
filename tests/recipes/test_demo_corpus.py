"""The demo's corpus: its format, its reproducibility, and that no simple cue separates its classes."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from recipes.demo import corpus as demo_corpus

SCRIPT = Path(demo_corpus.__file__)
COUNTS = {"train": 60, "dev": 12, "eval": 40}
PROTOCOLS = {"train": "demo.cm.train.trn.txt", "dev": "demo.cm.dev.trl.txt", "eval": "demo.cm.eval.trl.txt"}


def run_script(folder: Path, seed: int, counts: dict[str, int]) -> subprocess.CompletedProcess:
    sizes = [word for name, count in counts.items() for word in (f"--{name}", str(count))]
    command = [sys.executable, str(SCRIPT), str(folder), "--seed", str(seed), *sizes]
    return subprocess.run(command, capture_output=True, text=True)


def read_protocol(folder: Path, split: str) -> list[list[str]]:
    return [line.split() for line in (folder / "protocols" / PROTOCOLS[split]).read_text().splitlines()]


def read_clip(folder: Path, trial_id: str) -> np.ndarray:
    return soundfile.read(folder / "flac" / f"{trial_id}.flac")[0]


def level(waveform: np.ndarray) -> float:
    """dB RMS."""
    return 10 * np.log10(np.mean(waveform**2))


def cheap_cues(waveform: np.ndarray) -> list[float]:
    """Level in dB, duration in s, edge silence in s (below -40 dB of the peak), 95 % and 99 % spectral rolloff in Hz."""
    loud = np.flatnonzero(np.abs(waveform) > 0.01 * np.abs(waveform).max())
    edges = (loud[0] + len(waveform) - 1 - loud[-1]) / 16_000
    power = np.cumsum(np.abs(np.fft.rfft(waveform)) ** 2)
    rolloff = np.searchsorted(power / power[-1], [0.95, 0.99]) * 16_000 / len(waveform)
    # finer than 0.01 dB, the level is nothing but the rounding to 16 bits
    return [round(level(waveform), 2), len(waveform) / 16_000, edges, *rolloff]


def equal_error_rate(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    """In percent, from scikit-learn's ROC; a detector that is the wrong way round counts as the right one."""
    labels = np.r_[np.ones(len(bonafide)), np.zeros(len(spoof))]
    false_alarms, hits, _ = roc_curve(labels, np.r_[bonafide, spoof], drop_intermediate=False)
    nearest = np.argmin(np.abs(false_alarms - (1 - hits)))
    eer = 50 * (false_alarms[nearest] + 1 - hits[nearest])
    return min(eer, 100 - eer)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reduced corpus, as the command writes it."""
    folder = tmp_path_factory.mktemp("corpus")
    outcome = run_script(folder, 1, COUNTS)
    assert outcome.returncode == 0, outcome.stderr
    return folder


@pytest.fixture(scope="module")
def waveforms(corpus: Path) -> dict[str, np.ndarray]:
    return {path.stem: read_clip(corpus, path.stem) for path in sorted((corpus / "flac").glob("*.flac"))}


@pytest.fixture(scope="module")
def twin_cues(corpus: Path) -> dict[str, np.ndarray]:
    """The cues of every eval utterance in every kind of voice, so that differences come from the kind alone."""
    trials = demo_corpus.plan(replace(demo_corpus.SPLITS[2], clips=COUNTS["eval"]), 1)

    def cues(kind: str) -> np.ndarray:
        waveforms = (demo_corpus.say(replace(trial, kind=kind), 1) for trial in trials)
        return np.array([cheap_cues(np.round(waveform * 2**15) / 2**15) for waveform in waveforms])  # as in a file

    return {kind: cues(kind) for kind in demo_corpus.KINDS}


def test_protocols_name_the_clips_that_are_there(corpus: Path, waveforms: dict[str, np.ndarray]) -> None:
    lines = {split: read_protocol(corpus, split) for split in COUNTS}
    assert {split: len(trials) for split, trials in lines.items()} == COUNTS
    ids = [trial[1] for trials in lines.values() for trial in trials]
    assert len(set(ids)) == len(ids)
    assert set(ids) == set(waveforms)
    for _, _, codec, kind, label in (trial for trials in lines.values() for trial in trials):
        assert codec == "-"
        assert label == ("bonafide" if kind == "-" else "spoof")


def test_classes_and_kinds_are_balanced(corpus: Path) -> None:
    kinds = {split: Counter(trial[3] for trial in read_protocol(corpus, split)) for split in COUNTS}
    assert kinds["train"] == {"-": 30, "D01": 10, "D02": 10, "D03": 10}
    assert kinds["dev"] == {"-": 6, "D01": 2, "D02": 2, "D03": 2}  # D04 is unseen
    assert kinds["eval"] == {"-": 20, "D01": 5, "D02": 5, "D03": 5, "D04": 5}


def test_the_order_of_trials_does_not_give_the_class(corpus: Path) -> None:
    labels = [trial[4] for trial in read_protocol(corpus, "train")]
    changes = sum(first != second for first, second in pairwise(labels))
    assert changes > len(labels) / 4


def test_no_speaker_is_in_two_splits(corpus: Path) -> None:
    speakers = {split: {trial[0] for trial in read_protocol(corpus, split)} for split in COUNTS}
    assert not speakers["train"] & speakers["dev"]
    assert not speakers["train"] & speakers["eval"]
    assert not speakers["dev"] & speakers["eval"]


def test_clips_are_16_khz_mono_16_bit_flac_of_one_level(corpus: Path, waveforms: dict[str, np.ndarray]) -> None:
    for trial_id, waveform in waveforms.items():
        info = soundfile.info(corpus / "flac" / f"{trial_id}.flac")
        assert (info.samplerate, info.channels, info.format, info.subtype) == (16_000, 1, "FLAC", "PCM_16")
        assert 1.5 <= info.duration <= 4.5
        assert np.abs(waveform).max() < 0.99, f"{trial_id} clips"
        assert level(waveform) == pytest.approx(-26, abs=0.01)


def test_clips_hold_speech_between_silences(waveforms: dict[str, np.ndarray]) -> None:
    for trial_id, waveform in waveforms.items():
        frames = waveform[: len(waveform) // 320 * 320].reshape(-1, 320)
        levels = 10 * np.log10(np.mean(frames**2, axis=1))
        assert np.mean(levels > levels.max() - 40) > 0.4, f"{trial_id} is mostly silent"
        assert levels.min() < levels.max() - 30, f"{trial_id} has no pause"


def test_voices_have_a_pitch() -> None:
    """The bona fide source repeats at the pitch asked for, a vocoder's pulses exactly so."""
    voice = demo_corpus.Voice.draw(np.random.default_rng(5))
    pitch = np.full(16_000, 125.0)
    flow = demo_corpus.glottal_flow(voice, pitch, np.random.default_rng(6))
    spectrum = np.abs(np.fft.rfft(flow - flow.mean()))
    assert abs(np.argmax(spectrum) - 125) <= 1  # Hz, as the signal is 1 s long
    pulses = np.flatnonzero(np.diff(demo_corpus.pulse_train(voice, pitch, np.random.default_rng(6))) > 0.5)
    assert set(np.diff(pulses)) <= {127, 128, 129}


def test_resonators_give_the_formant_asked_for() -> None:
    """The spectrum of the response to an impulse peaks at the resonance and halves in power within half the bandwidth."""
    impulse = np.zeros(16_000)
    impulse[8_000] = 1
    response = demo_corpus.resonate(impulse, np.full((100, 1), 1_500.0), np.array([200.0]))
    power = np.abs(np.fft.rfft(response)) ** 2  # 1 Hz a bin
    assert abs(np.argmax(power) - 1_500) < 10
    width = np.ptp(np.flatnonzero(power > power.max() / 2))
    assert width == pytest.approx(200, rel=0.1)


@pytest.mark.parametrize("kind", ["D01", "D02", "D03", "D04"])
def test_a_spoof_has_the_cues_of_its_bona_fide_twin(twin_cues: dict[str, np.ndarray], kind: str) -> None:
    twin, spoof = twin_cues["-"], twin_cues[kind]
    difference, spread = np.mean(spoof - twin, axis=0), np.std(twin, axis=0)
    np.testing.assert_allclose(spoof[:, :2], twin[:, :2], atol=1e-3)  # level and duration
    assert np.all(np.abs(difference[2:]) < 0.3 * spread[2:])


def test_cheap_cues_do_not_detect(corpus: Path, waveforms: dict[str, np.ndarray], twin_cues: dict[str, np.ndarray]) -> None:
    """A logistic regression on the cues is at chance, on all attacks and on each, fitted on train or on eval itself."""
    trials = read_protocol(corpus, "train")
    train = np.array([cheap_cues(waveforms[trial[1]]) for trial in trials])
    is_bonafide = np.array([trial[4] == "bonafide" for trial in trials])
    attacks = {kind: cues for kind, cues in twin_cues.items() if kind != "-"}
    attacks["all"] = np.concatenate(list(attacks.values()))
    for attack, spoof in attacks.items():
        eval_cues = np.concatenate([twin_cues["-"], spoof])
        eval_labels = np.arange(len(eval_cues)) < len(twin_cues["-"])
        for fitted_on, cues, labels in (("train", train, is_bonafide), ("eval", eval_cues, eval_labels)):
            model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced")).fit(cues, labels)
            eer = equal_error_rate(model.decision_function(twin_cues["-"]), model.decision_function(spoof))
            assert eer >= 40, f"{attack}: cheap cues fitted on {fitted_on} have an EER of {eer:.1f} %"


def test_the_cue_test_finds_a_cue(twin_cues: dict[str, np.ndarray]) -> None:
    """An injected fault: spoofs with 0.3 s less of edge silence would be found out."""
    bonafide, spoof = twin_cues["-"], twin_cues["D01"] - [0, 0, 0.3, 0, 0]
    cues, labels = np.concatenate([bonafide, spoof]), np.arange(2 * len(bonafide)) < len(bonafide)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(cues, labels)
    assert equal_error_rate(model.decision_function(bonafide), model.decision_function(spoof)) < 35


def test_same_seed_same_bytes_other_seed_other_clips(tmp_path: Path) -> None:
    counts = {"train": 6, "dev": 2, "eval": 8}  # all kinds in eval
    contents = []
    for name, seed in (("first", 3), ("second", 3), ("other", 4)):
        assert run_script(tmp_path / name, seed, counts).returncode == 0
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        contents.append({str(path.relative_to(tmp_path / name)): path.read_bytes() for path in files})
    first, second, other = contents
    assert len(first) == 16 + 3
    assert first == second
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first if name.endswith(".flac"))


@pytest.mark.parametrize("arguments", [["--seed", "-1"], ["--train", "1"], ["--eval", "many"], []])
def test_wrong_usage_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    folder = [str(tmp_path / "out")] if arguments else []
    outcome = subprocess.run([sys.executable, str(SCRIPT), *folder, *arguments], capture_output=True, text=True)
    assert outcome.returncode == 2
    assert "Traceback" not in outcome.stderr


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outcome = run_script(tmp_path / "file", 1, {"train": 2, "dev": 2, "eval": 2})
    assert outcome.returncode == 1
    assert len(outcome.stderr.splitlines()) == 1
    assert str(tmp_path / "file") in outcome.stderr
