"""Parameters of channels, each given as text and drawn anew for every utterance."""

import re
from dataclasses import Field
from pathlib import Path
from typing import Any

import numpy as np

from protocols import SettingError

Range = tuple[float, float]  # the lowest and the highest value
Choice = tuple[str, ...]
_RANGE = re.compile(r"(-?[\d.]+)(?:-(-?[\d.]+))?")


def drawn(limits: Range, rng: np.random.RandomState) -> float:
    """A value of a range; nothing is drawn from a single value."""
    low, high = limits
    return low if low == high else rng.uniform(low, high)


def chosen(items: tuple[Any, ...], rng: np.random.RandomState) -> Any:
    """One of several items; nothing is drawn from a single one."""
    return items[rng.randint(len(items))] if len(items) > 1 else items[0]


def parsed(field: Field, text: str) -> Any:
    """The value that `text` gives to a channel's field: `5-20` to a range, `mp3/opus` to a choice, a path to a folder."""
    if field.type == Choice:
        return tuple(text.split("/"))
    if field.type == Path | None:
        return Path(text)
    low, high = _limits(text)
    if field.type == Range:
        return low, high
    return low


def _limits(text: str) -> Range:
    match = _RANGE.fullmatch(text)
    try:
        low, high = float(match[1]), float(match[2] or match[1])
    except (TypeError, ValueError):
        raise SettingError(f"{text!r} is no number and no range such as 5-20") from None
    if low > high:
        raise SettingError(f"{text!r}: the lower value comes first")
    return low, high


def require_within(limits: Range, low: float, high: float, what: str) -> None:
    """Raise SettingError where a range leaves the values that a channel allows."""
    if limits[0] < low or limits[1] > high:
        given = f"{limits[0]:g}" if limits[0] == limits[1] else f"{limits[0]:g}-{limits[1]:g}"
        raise SettingError(f"{what} {given}: must lie between {low:g} and {high:g}")
