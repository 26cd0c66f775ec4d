"""The timelines of recordings, drawn in a line of text."""

from pathlib import Path

import numpy as np

from sls_plugin.scores.timeline import read_timeline, timeline_path

BARS = "▁▂▃▄▅▆▇█"
MAX_BARS = 40


def drawn_timelines(score_file: Path) -> dict[str, str]:
    """A row of bars for each trial, from the timeline beside a score file; none without one.

    The lowest and the highest bar are the lowest and the highest score of any window. A long recording has a bar for several
    windows, of the lowest score among them, so that a short synthetic passage is not averaged away.
    """
    if not timeline_path(score_file).exists():
        return {}
    windows = {name: np.array([score for _, _, score in rows]) for name, rows in read_timeline(score_file).items()}
    low = min(scores.min() for scores in windows.values())
    spread = max(scores.max() for scores in windows.values()) - low or 1.0
    return {name: _bars((scores - low) / spread) for name, scores in windows.items()}


def _bars(heights: np.ndarray) -> str:
    """Heights from 0 to 1 as bars."""
    parts = np.array_split(heights, min(MAX_BARS, heights.size))
    return "".join(BARS[min(int(part.min() * len(BARS)), len(BARS) - 1)] for part in parts)
