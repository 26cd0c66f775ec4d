"""Draws the plots of a report with matplotlib, as inline SVG in the colours and fonts of the page."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from protocols.escapes import escaped
from sls_plugin.report.content import Data

# The page's style sheet defines the colours, for light and dark mode. matplotlib does not accept CSS variables, so it draws
# with these placeholders, which `to_svg` replaces.
INK, MUTED, BONAFIDE, SPOOF = "#010000", "#020000", "#030000", "#040000"
SERIES = ("#050000", "#060000", "#070000", "#080000", "#090000", "#0a0000")
PAGE_COLOURS = {INK: "currentColor", MUTED: "var(--muted)", BONAFIDE: "var(--bonafide)", SPOOF: "var(--spoof)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, start=1)
}
DASHES = ("solid", "dashed", "dotted")

SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"  # namespaces, which HTML does not need

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
    """A label, and the colour (one of those above) and line style that it explains."""

    label: str
    colour: str
    dash: str = "solid"

    @property
    def page_colour(self) -> str:
        """The colour in CSS."""
        return PAGE_COLOURS[self.colour]


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot of the page: its SVG element and the numbers that it shows."""

    title: str
    caption: str
    svg: str
    legend: Sequence[LegendEntry]
    data: Data


def highest_shown(rates: Any) -> float:
    """The highest error rate that an axis or colour scale extends to, a fraction; 0 where all rates are undefined.

    Rates above a half, of inverted systems, go beyond it: the others could not be read. If no other is above 0, all are shown.
    """
    rates = np.nan_to_num(np.concatenate([np.ravel(part) for part in rates]))
    return float(rates[rates <= 0.5].max(initial=0) or rates.max(initial=0))


def new_figure(height: float) -> tuple[Figure, Axes]:
    """An empty figure of the page's width with one pair of axes; height in inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def series(index: int) -> tuple[str, str]:
    """The colour and line style of a system; the style changes once all colours are used."""
    return SERIES[index % len(SERIES)], DASHES[index // len(SERIES) % len(DASHES)]


def to_svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element for a page, in its colours and fonts; `name` makes its ids unique on the page."""
    buffer = io.StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=no_metadata)
    svg = ElementTree.fromstring(escaped(buffer.getvalue()))  # XML has no place for control characters
    svg.attrib = {"viewBox": svg.attrib["viewBox"]}  # the page sets the size
    svg.remove(svg.find(f"{SVG}defs"))  # a style sheet, which would apply to the whole page
    for element in svg.iter():
        element.tag = element.tag.removeprefix(SVG)
        element.attrib = {
            key.replace(XLINK, "xlink:"): _for_the_page(key, value, name) for key, value in element.attrib.items()
        }
    return ElementTree.tostring(svg, encoding="unicode")


def _for_the_page(key: str, value: str, name: str) -> str:
    """The value of an SVG attribute with ids prefixed by `name`, the page's colours, and the page's font."""
    if key == "id":
        return f"{name}-{value}"
    if key == f"{XLINK}href":
        return value.replace("#", f"#{name}-")
    value = value.replace("url(#", f"url(#{name}-")
    for placeholder, colour in PAGE_COLOURS.items():
        value = value.replace(placeholder, colour)
    return re.sub("font-family: [^;]*; ", "", value)
