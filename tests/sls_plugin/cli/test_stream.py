"""`sls score --stream`: rows as they come, the same as those of the whole recording."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sls_plugin
from sls_plugin.__main__ import main

STREAM = ("--stream", "--windows", "0.25", "--hop", "0.1", "--device", "cpu")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "a.wav"
    soundfile.write(path, np.random.default_rng(1).uniform(-0.5, 0.5, (11_000, 2)), 8_000, subtype="PCM_16")
    return path


def rows_of(text: str) -> np.ndarray:
    header, *lines = text.splitlines()
    assert header == "start\tend\tscore"
    return np.array([[float(cell) for cell in line.split("\t")] for line in lines])


def test_the_rows_are_those_of_the_whole_recording(checkpoint: Path, recording: Path) -> None:
    command = [sys.executable, "-m", "sls_plugin", "score", str(checkpoint), "-", *STREAM]
    with open(recording, "rb") as stream:
        outcome = subprocess.run(command, stdin=stream, capture_output=True, text=True, timeout=300)
    assert outcome.returncode == 0, outcome.stderr
    expected = sls_plugin.load(checkpoint).timeline(recording, window=0.25, hop=0.1)
    assert rows_of(outcome.stdout) == pytest.approx(np.array(expected), abs=1e-6)
    assert len(expected) > 10


def test_a_row_comes_as_soon_as_its_window_is_complete(checkpoint: Path) -> None:
    """The stream stays open meanwhile."""
    command = [sys.executable, "-m", "sls_plugin", "score", str(checkpoint), "-", *STREAM]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        process.stdin.write(np.random.default_rng(2).integers(-9_000, 9_000, 4_800, dtype=np.int16).tobytes())  # 0.3 s
        process.stdin.flush()
        assert process.stdout.readline() == b"start\tend\tscore\n"
        assert process.stdout.readline().startswith(b"0.0\t0.25\t")
        process.stdin.close()
        assert process.stdout.readline().startswith(b"0.05\t0.3\t")  # the last window ends with the stream
    assert process.returncode == 0


@pytest.mark.parametrize("n_samples", [1, 160, 3_999, 50_000])
def test_the_blocks_of_a_stream_do_not_matter(n_samples: int, checkpoint: Path) -> None:
    detector = sls_plugin.load(checkpoint)
    waveform = np.random.default_rng(3).uniform(-0.5, 0.5, 9_000)
    expected = detector.timeline(waveform, hop=0.2)
    blocks = (waveform[start : start + n_samples] for start in range(0, len(waveform), n_samples))
    assert np.array(list(detector.stream(blocks, hop=0.2))) == pytest.approx(np.array(expected), abs=1e-6)


def test_an_endless_stream_needs_no_more_memory() -> None:
    """Rows are generated while the stream goes on."""
    from sls_plugin.inference.windows import cut

    def endless():
        while True:
            yield np.zeros(1_600, np.float32)

    windows = cut(endless(), n_samples=4_000, hop=1_600)
    for number in range(20_000):  # 32 million samples
        start, window = next(windows)
        assert (start, len(window)) == (1_600 * number, 4_000)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["a.wav", "--stream"], "--stream scores standard input: give - as INPUT"),
        (["-", "--stream", "--output", "x.txt"], "--output is not for --stream, which prints rows"),
        (["-", "--stream", "--skip-broken"], "--skip-broken is not for --stream, which prints rows"),
        (["-", "--stream", "--shard", "0/2"], "--shard is not for --stream, which prints rows"),
        (["-", "--stream", "--windows-score", "min"], "--windows-score is not for --stream, which prints rows"),
        (["a.wav", "--output", "x.txt", "--sample-rate", "8000"], "--sample-rate is about --stream: files have their own"),
        (["a.wav"], "--output is missing: name a score file, such as --output scores.txt"),
    ],
)
def test_options_that_do_not_go_together(words: list[str], problem: str, checkpoint: Path, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["score", str(checkpoint), *words])
    assert capsys.readouterr().err.splitlines()[-1] == f"sls score: error: {problem}"
