"""The official tables on the page: every value in its place, and a colour that means the same in all of them."""

import math

import numpy as np
import pytest

from sls_plugin.evaluation.breakdown import OfficialTable
from sls_plugin.report.heat_tables import heat_tables

NAN = math.nan


def table(eer, min_tdcf=None):
    """An official table of one row besides the pooled one, and of two columns besides the pooled one."""
    return OfficialTable(("long_name", "pooled"), ("c1", "c2", "pooled"), np.array(eer), min_tdcf, 0)


def test_values_keep_their_row_and_column_when_the_longer_side_runs_down():
    (heat,) = heat_tables({"a": table([[0.1, NAN, 0.3], [0.4, 0.5, 0.6]])})
    assert list(heat.columns) == ["long_name", "pooled"]
    assert {row: [cell.text for cell in cells] for row, cells in heat.rows.items()} == {
        "c1": ["10.00", "40.00"], "c2": ["–", "50.00"], "pooled": ["30.00", "60.00"],
    }  # fmt: skip
    assert list(heat.data.columns) == ["", "long_name", "pooled"]
    np.testing.assert_allclose([row[1:] for row in heat.data.rows], [[10, 40], [NAN, 50], [30, 60]])


def test_one_scale_for_all_systems_but_not_for_both_measures():
    eers = ([[0.1, 0.2, 0.1], [0.1, 0.1, 0.1]], [[0.1, 0.4, 0.1], [0.1, 0.1, NAN]])
    costs = (np.full((2, 3), 0.25), np.full((2, 3), 0.5))
    systems = {name: table(eer, cost) for name, eer, cost in zip("ab", eers, costs, strict=True)}
    eer_a, cost_a, eer_b, cost_b = heat_tables(systems)
    assert [eer_a.rows["c2"][0].heat, eer_b.rows["c2"][0].heat] == pytest.approx([0.5, 1])
    assert [cost_a.rows["c1"][0].heat, cost_b.rows["c1"][0].heat] == [0.5, 1]
    assert (eer_b.rows["pooled"][1].text, eer_b.rows["pooled"][1].heat) == ("–", 0)
    assert (cost_a.rows["c1"][0].text, cost_a.title) == ("0.2500", "min t-DCF (2021 form): a")


def test_a_perfect_system_has_no_colour():
    (heat,) = heat_tables({"a": table(np.zeros((2, 3)))})
    assert {cell.heat for cells in heat.rows.values() for cell in cells} == {0}
