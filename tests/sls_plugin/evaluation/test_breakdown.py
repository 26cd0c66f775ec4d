"""The table attack x codec of ASVspoof 5, against each cell computed by itself."""

from pathlib import Path

import numpy as np
import pytest

from protocols.keys import read_keys
from sls_plugin.evaluation.breakdown import OfficialTable, official_table
from sls_plugin.evaluation.scored_trials import read_scored_trials
from sls_plugin.metrics.det import equal_error_rate

ATTACKS, CODECS = ("A17", "A30"), ("-", "C02", "C11")


@pytest.fixture
def trials(tmp_path: Path) -> list[tuple[str, str, str, float]]:
    """Attack, codec, id and score; no bona fide trial has codec C11. Their protocol and scores are in the folder."""
    rng = np.random.default_rng(5)
    cells = [(attack, codec) for attack in ("bonafide", *ATTACKS) for codec in CODECS for _ in range(7)]
    cells = [cell for cell in cells if cell != ("bonafide", "C11")]
    made = [(*cell, f"E_{number:010}", float(rng.normal())) for number, cell in enumerate(cells)]
    label = dict.fromkeys(ATTACKS, "spoof") | {"bonafide": "bonafide"}
    lines = [f"E_1 {name} F {codec} - - AC1 {attack} {label[attack]} -\n" for attack, codec, name, _ in made]
    (tmp_path / "ASVspoof5.eval.track_1.tsv").write_text("".join(lines))
    (tmp_path / "scores.txt").write_text("".join(f"{name} {score}\n" for _, _, name, score in made))
    return made


def table_of(folder: Path) -> OfficialTable | None:
    keys = read_keys("asvspoof5", folder)
    return official_table(read_scored_trials(folder / "scores.txt", keys))


def test_rows_and_columns_are_those_of_the_keys(trials: list, tmp_path: Path) -> None:
    table = table_of(tmp_path)
    assert (table.rows, table.columns) == (("A17", "A30", "pooled"), ("none", "C02", "C11", "pooled"))
    assert (table.min_tdcf, table.n_outside) == (None, 0)
    for row, attacks in enumerate((["A17"], ["A30"], ATTACKS)):
        for column, codecs in enumerate((["-"], ["C02"], ["C11"], CODECS)):
            spoof = [score for attack, codec, _, score in trials if attack in attacks and codec in codecs]
            bonafide = [score for attack, codec, _, score in trials if attack == "bonafide" and codec in codecs]
            expected = equal_error_rate(bonafide, spoof)[0] if bonafide else np.nan
            assert table.eer[row, column] == pytest.approx(expected, nan_ok=True)


def test_a_key_without_attacks_has_no_table(trials: list, tmp_path: Path) -> None:
    lines = [f"{name}\t{'bonafide' if attack == 'bonafide' else 'spoof'}\n" for attack, _, name, _ in trials]
    (tmp_path / "ASVspoof5.eval.track_1.tsv").write_text("filename\tcm-label\n" + "".join(lines))
    assert table_of(tmp_path) is None
