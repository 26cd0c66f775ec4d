"""How the plots of a report are drawn: by matplotlib, as inline SVG in the colours and fonts of the page."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sls_plugin.report.data import Data

# What is drawn in one of these colours gets the colour that the page's style sheet gives to the name, light or dark.
INK, MUTED, BONAFIDE, SPOOF = "#010000", "#020000", "#030000", "#040000"
SERIES = ("#050000", "#060000", "#070000", "#080000", "#090000", "#0a0000")
PAGE_COLOURS = {INK: "currentColor", MUTED: "var(--muted)", BONAFIDE: "var(--bonafide)", SPOOF: "var(--spoof)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, start=1)
}
DASHES = ("solid", "dashed", "dotted")

WIDTH, HEIGHT = 4.6, 3.4  # inches: small, so that the text can be read on a phone

page_style = matplotlib.rc_context({
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "sls",  # the same scores give the same page
    "text.parse_math": False,  # a $ in a name is a $
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """A label with the colour, one of those above, and the line style of what it stands for."""

    label: str
    colour: str
    dash: str = "solid"

    @property
    def page_colour(self) -> str:
        """The colour in the page's style."""
        return PAGE_COLOURS[self.colour]


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot of the page: its SVG element and the numbers that it shows."""

    title: str
    caption: str
    svg: str
    legend: Sequence[LegendEntry]
    data: Data


def new_figure(height: float) -> tuple[Figure, Axes]:
    """An empty figure of the page's width with one pair of axes; height in inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def series(index: int) -> tuple[str, str]:
    """The colour and line style of a system; the style changes when the colours are used up."""
    return SERIES[index % len(SERIES)], DASHES[index // len(SERIES) % len(DASHES)]


def to_svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element for a page, in its colours and fonts; `name` keeps its ids apart from others."""
    buffer = io.StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=no_metadata)
    svg = re.sub(r'^.*?<svg [^>]*(viewBox="[^"]*")[^>]*>', r"<svg \1>", buffer.getvalue(), flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)

    def for_the_page(tag: re.Match[str]) -> str:
        text = re.sub(r"font-family: [^;]*; ", "", tag[0])
        text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
        return re.sub("|".join(PAGE_COLOURS), lambda colour: PAGE_COLOURS[colour[0]], text)

    return re.sub(r"<[^>]+>", for_the_page, svg)  # only tags: a name between them stays as it is
