"""Long recordings: windows against slices, their scores against those of the cut files, and what a run leaves of them."""

import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from detectors import write_detector
from hypothesis import given, settings
from hypothesis import strategies as st

from sls_plugin.__main__ import main
from sls_plugin.inference.windows import cut
from sls_plugin.scores.score_file import read_scores
from sls_plugin.scores.timeline import timeline_path

N_SAMPLES = 4000  # of a clip: 0.25 s
HOP = 1600

Row = tuple[str, float, float, float]  # id, start, end, score


@pytest.fixture(scope="module")
def detector(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random SLS for clips of 0.25 s."""
    path = tmp_path_factory.mktemp("detector") / "sls.pt"
    write_detector(path, "sls_xlsr_300m", N_SAMPLES, "--w2v-path", str(tiny_checkpoint))
    return path


def score(detector: Path, inputs: Path, output: Path, *options: str, status: int = 0) -> dict[str, float]:
    """What `sls score` writes."""
    command = ["score", str(detector), str(inputs), "--output", str(output), "--num-workers", "1", "--batch-size", "3", *options]
    assert main(command) == status
    return read_scores(output) if output.exists() else {}


def timeline(output: Path) -> list[Row]:
    header, *lines = timeline_path(output).read_text().splitlines()
    assert header == "id\tstart\tend\tscore"
    rows = [line.split("\t") for line in lines]
    return [(name, float(start), float(end), float(of_window)) for name, start, end, of_window in rows]


def noise(n_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, n_samples).astype(np.float32)


def write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, samples, 16_000, subtype="FLOAT")


def mixed_folder(folder: Path) -> dict[str, np.ndarray]:
    """Recordings of all lengths around a window and a batch of windows."""
    lengths = [10_000, N_SAMPLES, 1, N_SAMPLES - 1, N_SAMPLES + 1, 30_000, N_SAMPLES + 3 * HOP, 2 * N_SAMPLES + 7]
    recordings = {f"{number}.wav": noise(length, number) for number, length in enumerate(lengths)}
    for name, samples in recordings.items():
        write(folder / name, samples)
    return recordings


# Cutting


@given(st.data())
@settings(deadline=None)
def test_windows_are_slices_and_skip_no_sample(data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any))
    n_samples = data.draw(st.integers(1, 50))
    hop = data.draw(st.integers(1, n_samples))
    waveform = np.arange(sum(lengths), dtype=np.float32)
    windows = list(cut(np.split(waveform, np.cumsum(lengths)[:-1]), n_samples, hop))

    if len(waveform) < n_samples:
        expected = [0]
    else:
        expected = list(range(0, len(waveform) - n_samples + 1, hop))
        if expected[-1] + n_samples < len(waveform):
            expected.append(len(waveform) - n_samples)
    assert [start for start, _ in windows] == expected
    for start, window in windows:
        np.testing.assert_array_equal(window, waveform[start : start + n_samples])
    assert {sample for _, window in windows for sample in window} == set(waveform)


# Scores


@pytest.mark.parametrize("options", [(), ("--llr",)])
def test_every_window_has_the_score_of_a_file_that_holds_just_it(detector: Path, tmp_path: Path, options: Sequence[str]) -> None:
    recordings = mixed_folder(tmp_path / "whole")
    in_windows = score(detector, tmp_path / "whole", tmp_path / "windows.txt", "--hop", "0.1", *options)
    rows = timeline(tmp_path / "windows.txt")
    for number, (name, start, end, _) in enumerate(rows):
        write(tmp_path / "cut" / f"{number:03}.wav", recordings[name][round(16_000 * start) : round(16_000 * end)])
    of_files = list(score(detector, tmp_path / "cut", tmp_path / "cut.txt", *options).values())
    np.testing.assert_allclose([of_window for *_, of_window in rows], of_files, rtol=0, atol=5e-6)  # batches differ

    assert list(in_windows) == list(recordings)
    for name, samples in recordings.items():
        of_recording = [row for row in rows if row[0] == name]
        assert of_recording[0][1] == 0
        assert of_recording[-1][2] == len(samples) / 16_000
        assert len(of_recording) == max(1, 1 + math.ceil((len(samples) - N_SAMPLES) / HOP))
        assert in_windows[name] == pytest.approx(np.mean([row[3] for row in of_recording]), abs=1e-7)


def test_the_lowest_window_counts_where_it_is_asked_for(detector: Path, tmp_path: Path) -> None:
    mixed_folder(tmp_path / "whole")
    lowest = score(detector, tmp_path / "whole", tmp_path / "a.txt", "--hop", "0.1", "--windows-score", "min")
    rows = timeline(tmp_path / "a.txt")
    assert lowest == {name: min(row[3] for row in rows if row[0] == name) for name in lowest}


def test_a_second_half_that_differs_has_other_scores(detector: Path, tmp_path: Path) -> None:
    """Both halves repeat themselves every hop, so that all windows of a half are the same clip."""
    first, second = 0.1 * noise(HOP), 0.5 * np.sign(noise(HOP, 1))
    write(tmp_path / "a.wav", np.concatenate([np.tile(first, 10), np.resize(second, 7 * HOP + N_SAMPLES)]))
    score(detector, tmp_path / "a.wav", tmp_path / "a.txt", "--windows", "0.25", "--hop", "0.1")
    first = [row[3] for row in timeline(tmp_path / "a.txt") if row[2] <= 1.0]
    second = [row[3] for row in timeline(tmp_path / "a.txt") if row[1] >= 1.0]
    assert len(first) == len(second) == 8
    assert np.ptp(first) < 1e-6
    assert np.ptp(second) < 1e-6
    assert abs(np.mean(first) - np.mean(second)) > 1e-3


def test_recordings_shorter_than_a_window_have_the_same_scores_as_without_windows(detector: Path, tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path / "short" / f"{number}.wav", noise(1 + 555 * number, number))
    in_windows = score(detector, tmp_path / "short", tmp_path / "windows.txt", "--hop", "0.1")
    assert in_windows == pytest.approx(score(detector, tmp_path / "short", tmp_path / "whole.txt"), rel=0, abs=1e-6)
    assert [row[1:3] for row in timeline(tmp_path / "windows.txt")] == [(0, (1 + 555 * n) / 16_000) for n in range(8)]


def test_the_default_hop_is_half_a_window(detector: Path, tmp_path: Path) -> None:
    write(tmp_path / "a.wav", noise(12_000))
    score(detector, tmp_path / "a.wav", tmp_path / "a.txt", "--windows", "0.25")
    assert [row[1] for row in timeline(tmp_path / "a.txt")] == [0, 0.125, 0.25, 0.375, 0.5]


# What may go wrong


def test_a_truncated_recording_has_no_score_and_no_windows(
    detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed_folder(tmp_path / "whole")
    broken = tmp_path / "whole" / "5.wav"
    content = broken.read_bytes()
    broken.write_bytes(content[:-4000] + np.float32("nan").tobytes() * 1000)  # found after windows that are sound
    scores = score(detector, tmp_path / "whole", tmp_path / "a.txt", "--hop", "0.1", status=1)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{broken}: the recording has samples that are not finite" in error
    assert scores == {}

    scores = score(detector, tmp_path / "whole", tmp_path / "b.txt", "--hop", "0.1", "--skip-broken", status=1)
    assert set(scores) == {f"{number}.wav" for number in range(8)} - {"5.wav"}
    assert {row[0] for row in timeline(tmp_path / "b.txt")} == set(scores)
    assert "5.wav\t" in (tmp_path / "b.txt.errors.tsv").read_text()
    broken.unlink()
    assert scores == pytest.approx(score(detector, tmp_path / "whole", tmp_path / "c.txt", "--hop", "0.1"), abs=1e-6)


def test_a_stopped_run_resumes_to_the_same_bytes(detector: Path, tmp_path: Path) -> None:
    mixed_folder(tmp_path / "whole")
    score(detector, tmp_path / "whole", tmp_path / "a.txt", "--hop", "0.1")
    stopper = tmp_path / "whole" / "4.wav"
    content = stopper.read_bytes()
    stopper.write_bytes(content[:1000])
    score(detector, tmp_path / "whole", tmp_path / "b.txt", "--hop", "0.1", status=1)
    assert not timeline_path(tmp_path / "b.txt").exists()
    stopper.write_bytes(content)
    for other in (("--hop", "0.2"), ("--hop", "0.1", "--windows", "0.25"), ()):
        score(detector, tmp_path / "whole", tmp_path / "b.txt", "--resume", *other, status=1)
    score(detector, tmp_path / "whole", tmp_path / "b.txt", "--hop", "0.1", "--resume")
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.txt").read_bytes()
    assert timeline_path(tmp_path / "a.txt").read_bytes() == timeline_path(tmp_path / "b.txt").read_bytes()


def test_shards_are_merged_with_their_timelines(detector: Path, tmp_path: Path) -> None:
    mixed_folder(tmp_path / "whole")
    score(detector, tmp_path / "whole", tmp_path / "all.txt", "--hop", "0.1")
    parts = [tmp_path / f"part{number}.txt" for number in range(2)]
    for number, part in enumerate(parts):
        score(detector, tmp_path / "whole", part, "--hop", "0.1", "--shard", f"{number}/2")
    assert main(["merge", str(parts[1]), str(parts[0]), "--output", str(tmp_path / "merged.txt")]) == 0
    assert (tmp_path / "merged.txt").read_bytes() == (tmp_path / "all.txt").read_bytes()
    assert timeline_path(tmp_path / "merged.txt").read_bytes() == timeline_path(tmp_path / "all.txt").read_bytes()


def test_merged_timelines_are_in_the_order_of_the_manifest(detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    mixed_folder(tmp_path / "whole")
    recordings = sorted((tmp_path / "whole").iterdir())
    for number, some in enumerate((recordings[1:], recordings[:1])):
        listed = tmp_path / f"part{number}.list"
        listed.write_text("".join(f"{path}\n" for path in some))
        score(detector, listed, tmp_path / f"part{number}.txt", "--hop", "0.1")
    parts = [str(tmp_path / f"part{number}.txt") for number in range(2)]
    for part in parts:  # or they are refused, as runs over other trials
        Path(f"{part}.run.json").unlink()
    whole = tmp_path / "whole.list"
    whole.write_text("".join(f"{path}\n" for path in recordings))
    score(detector, whole, tmp_path / "all.txt", "--hop", "0.1")
    merge = ["merge", *parts, "--output", str(tmp_path / "merged.txt"), "--manifest", str(whole)]
    assert main(merge) == 0
    merged, expected = (timeline_path(tmp_path / name).read_text().splitlines() for name in ("merged.txt", "all.txt"))
    assert [row.split("\t")[:3] for row in merged] == [row.split("\t")[:3] for row in expected]
    with open(timeline_path(parts[1]), "a") as timeline:
        timeline.write("nobody\t0.0\t1.0\t0.5\n")
    assert main([*merge, "--overwrite"]) == 1
    assert "'nobody' has windows, but no score beside it" in capsys.readouterr().err


def test_a_run_without_windows_leaves_no_timeline_of_an_earlier_one(detector: Path, tmp_path: Path) -> None:
    write(tmp_path / "a.wav", noise(10_000))
    score(detector, tmp_path / "a.wav", tmp_path / "a.txt", "--hop", "0.1")
    assert timeline_path(tmp_path / "a.txt").exists()
    score(detector, tmp_path / "a.wav", tmp_path / "a.txt", "--overwrite")
    assert not timeline_path(tmp_path / "a.txt").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--hop", "0.3"), "--hop 0.3 is longer than the windows of 0.25 s"),
        (("--windows", "0.1", "--hop", "0.2"), "--hop 0.2 is longer"),
        (("--windows", "0"), "0 is not a number of seconds"),
        (("--windows", "-1"), "-1 is not a number of seconds"),
        (("--windows", "nan"), "nan is not a number of seconds"),
        (("--hop", "1e9"), "1e9 is not a number of seconds"),
        (("--windows-score", "min"), "give --windows or --hop"),
    ],
)
def test_windows_that_make_no_sense(
    detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: Sequence[str], reason: str
) -> None:
    write(tmp_path / "a.wav", noise(10_000))
    with pytest.raises(SystemExit, match="2"):
        score(detector, tmp_path / "a.wav", tmp_path / "a.txt", *options)
    assert reason in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav"]


def test_a_length_that_the_detector_does_not_take(detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.wav", noise(10_000))
    score(detector, tmp_path / "a.wav", tmp_path / "a.txt", "--windows", "0.5", status=1)
    assert "clips of 8,000 samples: this head takes" in capsys.readouterr().err
    write_detector(tmp_path / "rawnet2.pt", "rawnet2", N_SAMPLES)
    score(tmp_path / "rawnet2.pt", tmp_path / "a.wav", tmp_path / "a.txt", "--windows", "0.1", status=1)
    assert "RawNet2 needs at least 3,211: raise --max-samples or --windows" in capsys.readouterr().err


# Memory

MEASURE = """
import resource, sys
import torch
from protocols import Trial
from sls_plugin.data.clip_dataset import Segment
from sls_plugin.inference.engine import ScoringEngine
from sls_plugin.inference.windows import score_windows

class Loudness(torch.nn.Module):
    def forward(self, source):
        return source.square().mean(dim=1)
    def scores(self, output):
        return output

engine = ScoringEngine(
    Loudness(), Segment(64_600), device="cpu", dtype=torch.float32, batch_size=8, num_workers=0
)
for path in sys.argv[1:]:
    ((_, windows, _),) = score_windows(engine, [Trial(path, path)], 32_300)
    print(len(windows), windows[-1][1], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_an_hour_takes_no_more_memory_than_minutes(tmp_path: Path) -> None:
    second = np.zeros(8000, np.int16)
    for name, n_seconds in (("minutes.flac", 180), ("hour.flac", 3600)):
        with soundfile.SoundFile(tmp_path / name, "w", 8000, 1) as recording:
            for _ in range(n_seconds):
                recording.write(second)
    paths = [str(tmp_path / name) for name in ("minutes.flac", "hour.flac")]
    measured = subprocess.run([sys.executable, "-c", MEASURE, *paths], capture_output=True, text=True, check=True).stdout
    (_, _, of_minutes), (n_windows, end, of_hour) = (map(float, line.split()) for line in measured.splitlines())
    assert (n_windows, end) == (1 + math.ceil((3600 * 16_000 - 64_600) / 32_300), 3600)
    assert of_hour - of_minutes < 20 * 1024  # KiB; the waveform alone would take 220 MiB
