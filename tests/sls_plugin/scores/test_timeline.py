"""Timelines: windows come back exactly as they were written, or name the line that is none."""

from pathlib import Path

import numpy as np
import pytest

from protocols import DataError
from sls_plugin.scores.timeline import read_timeline, timeline_path, write_timeline


def test_windows_are_read_to_the_last_bit(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).normal(scale=9, size=2000).astype(np.float32).tolist()
    windows = {
        "two words": [(start / 16_000, (start + 64_600) / 16_000, score) for start, score in enumerate(scores)],
        "b": [(0.0, 0.5, float(np.float32(-0.1)))],
    }
    write_timeline(tmp_path / "scores.txt", [*windows.items(), ("broken", "a reason")])
    assert read_timeline(tmp_path / "scores.txt") == windows


@pytest.mark.parametrize("line", ["a\t0\t1", "a\t0\t1\tx", "a 0 1 2", "a\t0\t1\t2\t3"])
def test_refuses_bad_lines(tmp_path: Path, line: str) -> None:
    timeline_path(tmp_path / "scores.txt").write_text(f"id\tstart\tend\tscore\na\t0\t1\t2\n{line}\n")
    with pytest.raises(DataError, match=r"scores\.txt\.timeline\.tsv:3: .* is not `id start end score`: score the trials again"):
        read_timeline(tmp_path / "scores.txt")
