"""Bars by attack and by codec: a number for each bar that can be drawn, and all groups in the data."""

import math
import re
from collections import Counter

import pytest

from sls_plugin.evaluation.breakdown import GroupResult
from sls_plugin.report.bars import attack_bars, codec_bars


def texts(plot):
    """How often each text stands on the plot."""
    return Counter(re.findall(r">([^<]*)</text>", plot.svg))


def results(eers, n_bonafide=1234, n_spoof=56789):
    return {name: GroupResult(n_bonafide, n_spoof, eer) for name, eer in eers.items()}


def test_systems_stand_side_by_side_with_the_counts():
    plot = codec_bars({"x": results({"alaw": 0.1234, "gsm": 0.2}), "y": results({"alaw": 0.0, "gsm": 1.0})})
    shown = texts(plot)
    assert {"alaw", "gsm", "12.34", "20.00", "0.00", "100.00 ▸"} <= set(shown)
    assert shown["1,234 + 56,789"] == 2
    assert [entry.label for entry in plot.legend] == ["x", "y"]
    assert plot.data.columns == ["codec", "bona fide", "spoofs", "EER of x", "EER of y"]
    assert plot.data.rows == [("alaw", 1234, 56789, 0.1234, 0.0), ("gsm", 1234, 56789, 0.2, 1.0)]
    assert texts(attack_bars({"x": results({"A07": 0.1})}))["56,789"] == 1


def test_a_group_without_one_class_has_a_dash_and_a_sentence():
    plot = codec_bars({"x": results({"alaw": 0.1, "gsm": math.nan})})
    assert texts(plot)["–"] == 1
    assert "A dash: trials of one class are missing." in plot.caption
    assert math.isnan(plot.data.rows[1][-1])
    assert "A dash" not in codec_bars({"x": results({"alaw": 0.1})}).caption


def test_of_many_groups_the_worst_of_any_system_are_shown_and_all_are_in_the_data():
    many = {f"attack {number}": number / 100 for number in range(40)} | {"undefined": math.nan}
    plot = attack_bars({"x": results(many), "y": results({**many, "attack 3": 0.9})})
    shown = [text for text in texts(plot) if text.startswith("attack ")]
    assert shown == ["attack 3", *(f"attack {number}" for number in range(39, 10, -1))]
    assert "Shown are the 30 of 41 attacks with the highest rates" in plot.caption
    assert len(plot.data.rows) == 41
    assert len([text for text in texts(attack_bars({"x": results(dict(list(many.items())[:30]))})) if "attack" in text]) == 30


def test_many_systems_keep_a_plot_within_a_page():
    groups = results({f"attack {number}": 0.1 for number in range(30)})
    heights = []
    for n_systems in (3, 12):
        plot = attack_bars({f"system {number}": groups for number in range(n_systems)})
        heights.append(float(re.search(r'viewBox="0 0 \S+ (\S+)"', plot.svg)[1]))
    assert heights[1] < 1.2 * heights[0]


@pytest.mark.parametrize("eer", [0.0, 1.0])
def test_one_group_of_one_system_can_be_drawn(eer):
    assert texts(attack_bars({"x": results({"A07": eer})}))[f"{100 * eer:.2f}"] == 1


def test_a_seventh_system_looks_unlike_the_first():
    entries = attack_bars({f"system {number}": results({"A07": 0.1}) for number in range(7)}).legend
    assert len({(entry.page_colour, entry.dash) for entry in entries}) == 7
