"""`sls score` says what is odd about recordings, and stops there with --strict."""

import csv
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from detectors import write_detector

import sls_plugin
from sls_plugin.__main__ import main
from sls_plugin.data.conditions import MEANINGS
from sls_plugin.scores.score_file import read_scores, read_warnings, warnings_path

N_SAMPLES = 4_000
WARNINGS = {"long.wav": "long", "longer.wav": "long", "one sample.wav": "constant", "out of phase.wav": "silent"}


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
        f"2 recordings are {MEANINGS['long']}: long.wav, longer.wav",
        f"1 recording is {MEANINGS['silent']}: out of phase.wav",
        f"1 recording is {MEANINGS['constant']}: one sample.wav",
    ])
    assert read_warnings(output) == WARNINGS


def test_windows_hear_all_of_a_recording(
    checkpoint: Path, recordings: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    command = ["score", str(checkpoint), str(recordings), "--output", str(tmp_path / "scores.txt"), "--hop", "0.1"]
    assert main(command) == 0
    assert sorted(caplog.messages) == sorted([
        f"1 recording is {MEANINGS['silent']}: out of phase.wav",
        f"1 recording is {MEANINGS['constant']}: one sample.wav",
    ])
    assert read_warnings(tmp_path / "scores.txt") == {"one sample.wav": "constant", "out of phase.wav": "silent"}


def test_strict_stops_at_the_first(
    checkpoint: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "scores.txt"
    command = ["score", str(checkpoint), str(recordings), "--output", str(output), "--strict", "--num-workers", "0"]
    assert main(command) == 1
    fault = f"{recordings / 'long.wav'}: {MEANINGS['long']}"
    assert f"sls score: error: {fault}: check it, or leave out --strict" in capsys.readouterr().err
    assert not output.exists()


def test_a_message_begins_with_what_it_says(checkpoint: Path, recordings: Path, tmp_path: Path) -> None:
    """Not with the name of a module, as it does once a library has set up logging."""
    command = ["-m", "sls_plugin", "score", checkpoint, recordings, "--output", tmp_path / "scores.txt", "--num-workers", "0"]
    printed = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=True).stderr
    assert f"\n2 recordings are {MEANINGS['long']}" in f"\n{printed}"


def column(path: Path, name: str) -> list[str]:
    with open(path, newline="", encoding="utf-8") as file:
        return [row[name] for row in csv.DictReader(file)]


def test_a_table_has_a_column_that_merging_and_resuming_keep(checkpoint: Path, recordings: Path, tmp_path: Path) -> None:
    command = ["score", str(checkpoint), str(recordings), "--num-workers", "0", "--batch-size", "2"]
    whole, again = tmp_path / "whole.csv", tmp_path / "again.csv"
    assert main([*command, "--output", str(whole)]) == 0
    assert column(whole, "warnings") == ["", "long", "long", "constant", "silent"]

    parts = [tmp_path / f"{number}.csv" for number in range(2)]
    for number, part in enumerate(parts):
        assert main([*command, "--output", str(part), "--shard", f"{number}/2"]) == 0
    assert main(["merge", *map(str, parts), "--output", str(again), "--manifest", str(recordings)]) == 0
    assert again.read_bytes() == whole.read_bytes()
    assert warnings_path(again).read_bytes() == warnings_path(whole).read_bytes()

    (recordings / "broken.wav").write_text("no recording")
    (recordings / "fit.wav").rename(recordings / "fit")  # keeps the number of batches
    output = tmp_path / "resumed.csv"
    resumable = [*command, "--output", str(output), "--skip-broken", "--resume"]
    assert main(resumable) == 1
    soundfile.write(recordings / "broken.wav", np.zeros(10), 16_000)
    assert main(resumable) == 0
    assert read_warnings(output) == WARNINGS | {"broken.wav": "silent"}
    assert column(output, "warnings") == [read_warnings(output).get(name, "") for name in read_scores(output)]


def test_warnings_of_an_earlier_run_do_not_stay(checkpoint: Path, recordings: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.txt"
    command = ["score", str(checkpoint), "--output", str(output), "--num-workers", "0"]
    assert main([*command, str(recordings)]) == 0
    assert warnings_path(output).exists()
    assert main([*command, str(recordings / "fit.wav"), "--overwrite"]) == 0
    assert not warnings_path(output).exists()


# From Python


def test_python_warns_in_the_line_of_the_caller(checkpoint: Path, recordings: Path) -> None:
    detector = sls_plugin.load(checkpoint)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        detector.score(recordings / "out of phase.wav")
        detector.score(np.zeros(2 * N_SAMPLES))
        detector.timeline(recordings / "one sample.wav")
        dict(detector.score_many(recordings))
    assert {warning.category for warning in found} == {sls_plugin.RecordingWarning}
    assert [str(warning.message) for warning in found] == [
        f"{recordings / 'out of phase.wav'}: {MEANINGS['silent']}",
        f"waveform: {MEANINGS['long']}",
        f"waveform: {MEANINGS['silent']}",
        f"{recordings / 'one sample.wav'}: {MEANINGS['constant']}",
        *(f"{name}: {MEANINGS[word]}" for name, word in WARNINGS.items()),
    ]
    assert {warning.filename for warning in found} == {__file__}


def test_python_is_silent_about_what_is_sound(checkpoint: Path, recordings: Path) -> None:
    detector = sls_plugin.load(checkpoint)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.score(recordings / "fit.wav")
        detector.timeline(recordings / "longer.wav")
        assert len(dict(detector.score_many(recordings / "fit.wav"))) == 1
