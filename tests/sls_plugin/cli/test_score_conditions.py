"""`sls score` says what is odd about recordings, and stops there with --strict."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from detectors import write_detector

from sls_plugin.__main__ import main
from sls_plugin.data.conditions import CONSTANT, LONGER, SILENT
from sls_plugin.scores.score_file import read_scores

N_SAMPLES = 4_000


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("detector") / "sls.pt"
    write_detector(path, "sls_xlsr_300m", N_SAMPLES, "--w2v-path", str(tiny_checkpoint))
    return path


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    noise = np.random.default_rng(2).uniform(-0.5, 0.5, 2 * N_SAMPLES)
    written = {
        "fit": noise[:N_SAMPLES], "long": noise, "longer": np.tile(noise, 3), "one sample": noise[:1],
        "out of phase": np.stack([noise, -noise], axis=1)[:N_SAMPLES],
    }  # fmt: skip
    folder = tmp_path / "recordings"
    folder.mkdir()
    for name, samples in written.items():
        soundfile.write(folder / f"{name}.wav", samples, 16_000)
    return folder


@pytest.mark.parametrize("num_workers", ["0", "2"])
def test_what_is_odd_is_told_once_per_run(
    checkpoint: Path, recordings: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, num_workers: str
) -> None:
    output = tmp_path / "scores.txt"
    assert main(["score", str(checkpoint), str(recordings), "--output", str(output), "--num-workers", num_workers]) == 0
    assert len(read_scores(output)) == 5
    assert sorted(caplog.messages) == sorted([
        f"2 recordings are {LONGER}: long.wav, longer.wav",
        f"1 recording is {SILENT}: out of phase.wav",
        f"1 recording is {CONSTANT}: one sample.wav",
    ])


def test_windows_hear_all_of_a_recording(
    checkpoint: Path, recordings: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    command = ["score", str(checkpoint), str(recordings), "--output", str(tmp_path / "scores.txt"), "--hop", "0.1"]
    assert main(command) == 0
    assert not caplog.messages


def test_strict_stops_at_the_first(
    checkpoint: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "scores.txt"
    command = ["score", str(checkpoint), str(recordings), "--output", str(output), "--strict", "--num-workers", "0"]
    assert main(command) == 1
    assert f"sls score: error: {recordings / 'long.wav'}: {LONGER}: check it, or leave out --strict" in capsys.readouterr().err
    assert not output.exists()


def test_a_message_begins_with_what_it_says(checkpoint: Path, recordings: Path, tmp_path: Path) -> None:
    """Not with the name of a module, as it does once a library has set up logging."""
    command = ["-m", "sls_plugin", "score", checkpoint, recordings, "--output", tmp_path / "scores.txt", "--num-workers", "0"]
    printed = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=True).stderr
    assert f"\n2 recordings are {LONGER}" in f"\n{printed}"
