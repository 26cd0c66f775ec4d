"""Error rates by attack and by codec as bars, the systems side by side."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sls_plugin.evaluation.breakdown import GroupResult
from sls_plugin.report.content import Data
from sls_plugin.report.drawing import DASHES, INK, LegendEntry, Plot, highest_shown, new_figure, page_style, series, to_svg
from sls_plugin.report.text import shortened

Results = Mapping[str, Mapping[str, GroupResult]]  # by system, then by group

MAX_GROUPS, MAX_BARS = 30, 100  # more do not fit on a page
NAME_WIDTH = 24  # characters
BAR, GROUP = 0.15, 0.24  # inches, at least: the heights of a number and of a name


def attack_bars(systems: Results) -> Plot:
    """The equal error rate of each attack, a bar for each system; the systems are scored on the same trials."""
    counts = {attack: f"{result.n_spoof:,}" for attack, result in _first(systems).items()}
    caption = "The spoofs of one attack, as many as the number on the right, against all bona fide trials."
    return _group_bars("attack", systems, counts, caption)


def codec_bars(systems: Results) -> Plot:
    """The equal error rate under each codec, a bar for each system; the systems are scored on the same trials."""
    counts = {codec: f"{result.n_bonafide:,} + {result.n_spoof:,}" for codec, result in _first(systems).items()}
    caption = "The trials of one codec alone; on the right how many are bona fide and how many are spoofs."
    return _group_bars("codec", systems, counts, caption)


@page_style
def _group_bars(group: str, systems: Results, counts: Mapping[str, str], caption: str) -> Plot:
    """A row for each group, or for those with the highest rates: its name, a bar for each system, and its counts."""
    visible = _visible(systems)
    figure, axes = new_figure(0.9 + len(visible) * max(GROUP, BAR * len(systems) + 0.08))
    thickness = 0.84 / len(systems)
    end = 1.18 * 100 * highest_shown([[results[name].eer for name in visible] for results in systems.values()]) or 1
    legend = []
    for index, (system, results) in enumerate(systems.items()):
        colour, dash = series(index)
        rates = [100 * results[name].eer for name in visible]
        centres = np.arange(len(visible)) + (index + 0.5) * thickness - 0.42
        fill = colour if dash == DASHES[0] else "none"
        lengths = np.minimum(np.nan_to_num(rates), end)
        bars = axes.barh(centres, lengths, 0.9 * thickness, color=fill, edgecolor=colour, linestyle=dash)
        labels = ["–" if math.isnan(rate) else f"{rate:.2f}" + " ▸" * (rate > end) for rate in rates]
        axes.bar_label(bars, labels, padding=3, fontsize=8)
        legend.append(LegendEntry(system, colour, dash))
    axes.set_yticks(np.arange(len(visible)), [shortened(name, NAME_WIDTH) for name in visible])
    axes.set_ylim(len(visible) - 0.4, -0.6)  # the first group on top
    is_cut = any(_highest(systems, name) > end / 100 for name in visible)
    axes.set_xlim(0, 1.25 * end if is_cut else end)  # with space for a number
    axes.set_xlabel("EER (%)")
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(np.arange(len(visible)), [counts[name] for name in visible], fontsize=8)
    beside.tick_params(length=0, labelcolor=INK)
    beside.spines[:].set_visible(False)
    return Plot(
        title=f"Equal error rate by {group}",
        caption=" ".join([caption, *_remarks(group, systems, visible), *(["▸: the bar is cut off."] if is_cut else [])]),
        svg=to_svg(figure, f"{group}s"),
        legend=legend,
        data=_data(group, systems),
    )


def _visible(systems: Results) -> list[str]:
    """The groups in order; if there are too many, those with the highest rates of any system, highest first."""
    groups, limit = list(_first(systems)), min(MAX_GROUPS, max(1, MAX_BARS // len(systems)))
    if len(groups) <= limit:
        return groups
    return sorted(groups, key=lambda group: _highest(systems, group), reverse=True)[:limit]


def _highest(systems: Results, group: str) -> float:
    """The highest rate of any system for a group, 0 where it is not defined."""
    return max(float(np.nan_to_num(results[group].eer)) for results in systems.values())


def _remarks(group: str, systems: Results, visible: Sequence[str]) -> list[str]:
    """Notes on groups that are not drawn."""
    remarks, results = [], _first(systems)
    if len(visible) < len(results):
        remarks.append(f"Shown are the {len(visible)} of {len(results)} {group}s with the highest rates; the numbers have all.")
    if any(math.isnan(results[name].eer) for name in visible):
        remarks.append("A dash: trials of one class are missing.")
    return remarks


def _data(group: str, systems: Results) -> Data:
    rows = [
        (name, result.n_bonafide, result.n_spoof, *(results[name].eer for results in systems.values()))
        for name, result in _first(systems).items()
    ]
    return Data(f"{group}s", [group, "bona fide", "spoofs", *(f"EER of {system}" for system in systems)], rows)


def _first(systems: Results) -> Mapping[str, GroupResult]:
    """The results of the first system; groups and counts are the same for all."""
    return next(iter(systems.values()))
