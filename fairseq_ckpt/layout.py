"""A layout: the names and shapes of the tensors in one kind of checkpoint."""

from collections.abc import Callable
from dataclasses import dataclass

from .shapes import Shapes


@dataclass(frozen=True)
class Layout:
    """A kind of checkpoint. `tensors` gives all names and shapes, with the sizes that a file's own tensors show."""

    name: str
    title: str
    tensors: Callable[[Shapes], Shapes]
    prefix: str = ""  # of all names in the original authors' files
    unused: str = "$."  # pattern of the tensors that no output depends on, so that training leaves them as they were


@dataclass(frozen=True)
class Comparison:
    """A file's tensors beside those of a layout; `differences` in words, missing tensors first."""

    layout: Layout
    likeness: float  # share of the names of both that both have
    differences: list[str]


def compare(layout: Layout, shapes: Shapes) -> Comparison:
    expected = layout.tensors(shapes)
    differences = [f"{name} is missing" for name in expected if name not in shapes]
    differences += [f"{name} is not part of it" for name in shapes if name not in expected]
    common = [name for name in shapes if name in expected]
    for name in common:
        if shapes[name] != expected[name]:
            differences.append(f"{name} is {_by(shapes[name])}, not {_by(expected[name])}")
    return Comparison(layout, len(common) / max(len(shapes.keys() | expected.keys()), 1), differences)


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
