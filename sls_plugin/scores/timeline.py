"""The scores of a recording's windows: written as a timeline beside the score file, and combined into one score."""

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from protocols import DataError
from protocols.files import read_lines, replacing
from protocols.numbers import parse_number

WindowScore = tuple[float, float, float]  # its start and end in seconds, its score

_HEADER = "id\tstart\tend\tscore\n"


def timeline_path(scores_path: str | Path) -> Path:
    """The path of the timeline that belongs to a score file."""
    return Path(f"{scores_path}.timeline.tsv")


def write_timeline(scores_path: str | Path, outcomes: Iterable[tuple[str, Sequence[WindowScore] | str]]) -> None:
    """Write a row `id start end score` for each window; trials that could not be read have none."""
    with replacing(timeline_path(scores_path)) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(_HEADER)
        for name, windows in outcomes:
            if not isinstance(windows, str):
                file.writelines(f"{name}\t{start}\t{end}\t{score:.9g}\n" for start, end, score in windows)


def read_timeline(scores_path: str | Path) -> dict[str, list[WindowScore]]:
    """The windows of each trial, in order, from beside a score file; their scores are exactly those that were written."""
    windows: dict[str, list[WindowScore]] = {}
    path = timeline_path(scores_path)
    for number, line in enumerate(read_lines(path)[1:], start=2):
        name, *numbers = line.split("\t")
        values = [parse_number(field) for field in numbers]
        if len(values) != 3 or None in values:
            raise DataError(f"{path}:{number}: {line[:60]!r} is not `id start end score`: score the trials again")
        start, end, score = values
        windows.setdefault(name, []).append((start, end, array("f", [score])[0]))  # nine digits distinguish every float32
    return windows


def merge_timelines(parts: Sequence[Path], scores_path: str | Path, order: Iterable[str]) -> None:
    """Merge the timelines of shards, trials in the given order; write none where a shard has none."""
    timelines = [timeline_path(part) for part in parts]
    if not all(timeline.exists() for timeline in timelines):
        timeline_path(scores_path).unlink(missing_ok=True)  # of an earlier run
        return
    rows: dict[str, list[str]] = {name: [] for name in order}
    for timeline in timelines:
        with open(timeline, encoding="utf-8") as lines:
            next(lines)
            for line in lines:
                name, _, _ = line.partition("\t")
                if name not in rows:
                    raise DataError(f"{timeline}: {name!r} has windows, but no score beside it: score this shard again")
                rows[name].append(line)
    with replacing(timeline_path(scores_path)) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(_HEADER)
        for lines in rows.values():
            file.writelines(lines)


def recording_scores(
    outcomes: Iterable[tuple[str, Sequence[WindowScore] | str]], how: str
) -> Iterator[tuple[str, float | str]]:
    """The "mean" or "min" (lowest) of each recording's window scores; reasons stay as they are."""
    for name, windows in outcomes:
        if isinstance(windows, str):
            yield name, windows
        else:
            scores = [score for _, _, score in windows]
            yield name, min(scores) if how == "min" else math.fsum(scores) / len(scores)
