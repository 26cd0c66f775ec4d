"""The Python API: the same scores as `sls score`, from paths and waveforms; one type of error; nothing that an import does."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from detectors import write_detector

import sls_plugin
from protocols import Trial, write_manifest
from sls_plugin.__main__ import main
from sls_plugin.scores.score_file import read_scores

MAX_SAMPLES = 8_000
RATES = {"a.wav": (16_000, 1), "b.flac": (48_000, 2), "c.wav": (8_000, 1), "long.wav": (44_100, 2)}


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("detector") / "sls.pt"
    write_detector(path, "sls_xlsr_300m", MAX_SAMPLES, "--w2v-path", str(tiny_checkpoint))
    return path


@pytest.fixture(scope="module")
def detector(checkpoint: Path) -> sls_plugin.Detector:
    return sls_plugin.load(checkpoint)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of several rates and channels; one shorter than a clip, one of 3 s."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    for name, (rate, channels) in RATES.items():
        seconds = 3.0 if name == "long.wav" else 0.3
        soundfile.write(folder / name, rng.uniform(-0.5, 0.5, (int(seconds * rate), channels)), rate)
    return folder


@pytest.fixture(scope="module")
def command_scores(checkpoint: Path, recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    output = tmp_path_factory.mktemp("scores") / "scores.txt"
    assert main(["score", str(checkpoint), str(recordings), "--output", str(output), "--num-workers", "0"]) == 0
    return read_scores(output)


def test_a_path_has_the_score_of_the_command(detector, recordings: Path, command_scores: dict[str, float]) -> None:
    assert command_scores.keys() == RATES.keys()
    for name, expected in command_scores.items():
        assert detector.score(recordings / name) == pytest.approx(expected, abs=1e-6)
        assert detector.score(str(recordings / name)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int16", "int32"])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_a_waveform_has_the_score_of_its_file(detector, recordings, command_scores, dtype: str, as_tensor: bool) -> None:
    for name, expected in command_scores.items():
        waveform, rate = soundfile.read(recordings / name, dtype=dtype)
        waveform = torch.from_numpy(waveform) if as_tensor else waveform
        assert detector.score(waveform, sample_rate=rate) == pytest.approx(expected, abs=1e-6)


def test_many_recordings_have_the_ids_and_scores_of_the_command(detector, recordings, command_scores, tmp_path) -> None:
    for batch_size in (1, 3, 8):
        scores = dict(detector.score_many(recordings, batch_size=batch_size))
        assert list(scores) == list(command_scores)
        assert scores == pytest.approx(command_scores, abs=1e-6)
    paths = [recordings / name for name in ("c.wav", "a.wav")]
    assert [name for name, _ in detector.score_many(paths)] == list(map(str, paths))
    write_manifest(tmp_path / "eval.tsv", [Trial("t1", str(recordings / "b.flac"))])
    (outcome,) = detector.score_many(tmp_path / "eval.tsv")
    assert outcome == ("t1", pytest.approx(command_scores["b.flac"], abs=1e-6))


@pytest.mark.parametrize("settings", [{}, {"window": 0.4}, {"hop": 0.1}, {"window": 0.4, "hop": 0.25}])
def test_a_timeline_is_that_of_the_command(detector, checkpoint, recordings, tmp_path, settings: dict[str, float]) -> None:
    long, output = recordings / "long.wav", tmp_path / "scores.txt"
    window = settings.get("window", MAX_SAMPLES / 16_000)
    if settings.get("window"):
        with pytest.raises(sls_plugin.UserError, match="this head takes"):  # SLS takes one length only
            detector.timeline(long, **settings)
        return
    options = ["--windows", str(window), *(["--hop", str(settings["hop"])] if "hop" in settings else [])]
    assert main(["score", str(checkpoint), str(long), "--output", str(output), *options]) == 0
    rows = [line.split("\t")[1:] for line in Path(f"{output}.timeline.tsv").read_text().splitlines()[1:]]
    expected = [tuple(map(float, row)) for row in rows]
    timeline = detector.timeline(long, **settings)
    assert [row[:2] for row in timeline] == [row[:2] for row in expected]
    assert [row[2] for row in timeline] == pytest.approx([row[2] for row in expected], abs=1e-6)
    waveform, rate = soundfile.read(long)
    of_waveform = detector.timeline(waveform, sample_rate=rate, **settings)
    assert np.array(of_waveform) == pytest.approx(np.array(timeline), abs=1e-6)
    assert timeline[-1][1] == pytest.approx(3.0)


def test_a_score_after_a_timeline_and_a_batch_is_the_same(detector, recordings, command_scores) -> None:
    detector.timeline(recordings / "long.wav")
    list(detector.score_many(recordings, batch_size=2))
    assert detector.score(recordings / "a.wav") == pytest.approx(command_scores["a.wav"], abs=1e-6)


def test_the_card_of_a_trained_detector(detector, checkpoint: Path) -> None:
    assert detector.card.name == "XLS-R + SLS"
    assert detector.card.clip_samples == MAX_SAMPLES


def test_the_card_and_scores_of_an_authors_file(shared: Path) -> None:
    detector = sls_plugin.load(shared / "data" / "weights" / "AASIST.pth")
    assert "AASIST" in detector.card.name
    assert detector.card.clip_samples == 64_600
    assert detector.card.trained_on == "ASVspoof 2019 LA"


# Wrong input


def message(action) -> str:
    with pytest.raises(sls_plugin.UserError) as refusal:
        action()
    text = str(refusal.value)
    assert "\n" not in text
    return text


def test_what_is_wrong_is_one_error_with_the_message_of_the_command(detector, checkpoint, tmp_path, capsys) -> None:
    broken, missing = tmp_path / "broken.wav", tmp_path / "missing.wav"
    broken.write_bytes(b"RIFF")
    score = ["score", str(checkpoint), str(broken), "--output", str(tmp_path / "scores.txt")]
    assert main(score) == 1
    assert message(lambda: detector.score(broken)) in capsys.readouterr().err
    assert message(lambda: list(detector.score_many([broken]))) == message(lambda: detector.timeline(broken))
    assert "no such audio file" in message(lambda: detector.score(missing))
    assert main(["score", str(tmp_path / "no.pt"), str(broken), "--output", str(tmp_path / "scores.txt")]) == 1
    assert "no such checkpoint" in capsys.readouterr().err
    assert "no such checkpoint" in message(lambda: sls_plugin.load(tmp_path / "no.pt"))
    assert "device cuda:7: there is none here" in message(lambda: sls_plugin.load(checkpoint, device="cuda:7"))
    assert "dtype float8" in message(lambda: sls_plugin.load(checkpoint, dtype="float8"))


def test_of_many_recordings_the_broken_one_stops_or_is_skipped(detector, recordings: Path, command_scores, tmp_path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    inputs = [tmp_path / "broken.wav", recordings]
    refusal = message(lambda: list(detector.score_many(inputs)))
    reason = refusal.removesuffix("; --skip-broken scores the rest")
    assert reason != refusal
    scores = dict(detector.score_many(inputs, skip_broken=True))
    assert scores.pop(next(name for name in scores if "broken" in name)) == reason
    assert [*scores.values()] == pytest.approx([*command_scores.values()], abs=1e-6)


@pytest.mark.parametrize(
    ("waveform", "rate", "expected"),
    [
        (np.zeros(0), 16_000, "give samples"),
        (np.zeros((2, 16_000)), 16_000, "not channels x samples"),
        (np.zeros((2, 2, 100)), 16_000, "give samples"),
        (np.full(16_000, np.nan), 16_000, "not finite"),
        (np.full(16_000, 1e300), 16_000, "not finite"),
        (np.zeros(16_000, np.uint8), 16_000, "type uint8"),
        (np.zeros(16_000, complex), 16_000, "type complex128"),
        (np.zeros(16_000), 0, "sample rate of 0 Hz"),
    ],
)
def test_a_waveform_that_cannot_be_scored(detector, waveform: np.ndarray, rate: int, expected: str) -> None:
    assert expected in message(lambda: detector.score(waveform, sample_rate=rate))


@pytest.mark.parametrize("hop", [0.0, -1.0, float("nan"), float("inf"), 1e-9])
def test_a_hop_that_is_none_is_refused_and_does_not_hang(detector, recordings: Path, hop: float) -> None:
    assert "a window or hop of" in message(lambda: detector.timeline(recordings / "long.wav", hop=hop))


def test_a_batch_of_none_is_refused(detector, recordings: Path) -> None:
    assert message(lambda: list(detector.score_many(recordings, batch_size=0))) == "batch_size 0: must be >= 1"


def test_silence_and_a_single_sample_have_a_score(detector) -> None:
    assert np.isfinite(detector.score(np.zeros(100)))
    assert np.isfinite(detector.score(np.ones(1)))


# What an import does

IMPORT = """
import os, sys
before = dict(os.environ), list(sys.argv), sys.excepthook
import sls_plugin
assert (dict(os.environ), list(sys.argv), sys.excepthook) == before
heavy = {"torch", "numpy", "fairseq", "librosa", "soundfile", "scipy", "matplotlib"} & sys.modules.keys()
assert not heavy, heavy
assert sls_plugin.__version__
sls_plugin.load
assert "fairseq" not in sys.modules
assert (dict(os.environ), list(sys.argv), sys.excepthook) == before
"""

LOAD = """
import logging, os, sys
def state():
    return dict(os.environ), list(sys.argv), sys.excepthook, logging.root.level, logging.root.handlers[:]
before = state()
import sls_plugin
sls_plugin.load(sys.argv[1]).score([0.0] * 16_000)
assert state() == before, state()
"""

NOTEBOOK = """
import sys
import sls_plugin, sls_plugin.tasks
from fairseq import checkpoint_utils, utils
from fairseq.file_io import PathManager
from argparse import Namespace
assert sys.excepthook is sys.__excepthook__
assert checkpoint_utils.load_model_ensemble_and_task.__module__ == "fairseq.checkpoint_utils"
assert PathManager.copy.__module__ == "fairseq.file_io"
from omegaconf import OmegaConf
from sls_plugin.tasks.asvspoof import AsvspoofConfig, AsvspoofTask
AsvspoofTask.setup_task(OmegaConf.structured(AsvspoofConfig(data="DATA", seed=1, train_subset="train", results_path=None)))
assert sys.excepthook is sys.__excepthook__
(model,), cfg, task = checkpoint_utils.load_model_ensemble_and_task([sys.argv[1]], arg_overrides={"data": "."})
assert type(model).__name__ == "Wav2Vec2Model", type(model)
other = sys.argv[2]
utils.import_user_module(Namespace(user_dir=other))
from fairseq.models import MODEL_REGISTRY
assert "toy_of_another_plugin" in MODEL_REGISTRY and "sls" in MODEL_REGISTRY
raise RuntimeError("with its traceback")
"""


def test_importing_costs_nothing_and_changes_nothing() -> None:
    subprocess.run([sys.executable, "-c", IMPORT], check=True)


def test_loading_and_scoring_leave_logging_and_hooks_to_the_caller(checkpoint: Path) -> None:
    """Modules of fairseq set the root logger to print everything."""
    subprocess.run([sys.executable, "-c", LOAD, str(checkpoint)], check=True)


def test_other_models_and_plugins_of_fairseq_work_beside_ours(tiny_checkpoint: Path, tmp_path: Path) -> None:
    other = tmp_path / "other_plugin"
    other.mkdir()
    (other / "__init__.py").write_text(
        "from fairseq.models import BaseFairseqModel, register_model\n"
        "@register_model('toy_of_another_plugin')\n"
        "class Toy(BaseFairseqModel):\n    pass\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", NOTEBOOK, str(tiny_checkpoint), str(other)]
    outcome = subprocess.run(command, capture_output=True, text=True)
    assert outcome.stderr.rstrip().endswith("RuntimeError: with its traceback"), outcome.stderr
    assert "Traceback" in outcome.stderr
