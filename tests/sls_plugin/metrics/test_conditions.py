"""The tables of ASVspoof 2021 against plain loops over their cells, and against those of the official package."""

import gzip
import json
import tarfile

import naive_metrics
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.corpora import CORPORA
from sls_plugin.metrics.conditions import ASVTrials, eer_table, tdcf_table

LA, DF = (CORPORA[f"asvspoof2021-{track}"].keys.table for track in ("la", "df"))
N_ROWS, N_COLUMNS = 3, 2
ROW, COLUMN = st.integers(-1, N_ROWS - 1), st.integers(-1, N_COLUMNS - 1)
SCORE = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6))
TRIALS = st.lists(st.tuples(SCORE, st.booleans(), ROW, COLUMN), min_size=1, max_size=60)
ASV_TRIALS = st.lists(st.tuples(SCORE, st.sampled_from(["target", "nontarget", "spoof"]), ROW, COLUMN), min_size=1, max_size=60)


@given(TRIALS)
def test_eers_are_those_of_the_plain_loop(trials):
    columns = list(zip(*trials, strict=True))
    table = eer_table(*columns, N_ROWS, N_COLUMNS)
    assert table.shape == (N_ROWS + 1, N_COLUMNS + 1)
    for cell, eer in naive_metrics.eer_table(*columns, N_ROWS, N_COLUMNS).items():
        np.testing.assert_equal(table[cell], eer)


@given(TRIALS, ASV_TRIALS)
def test_tdcfs_are_those_of_the_plain_loop(trials, asv_trials):
    scores, is_bonafide, row, column = zip(*trials, strict=True)
    asv = ASVTrials(*zip(*asv_trials, strict=True))
    table = tdcf_table(scores, is_bonafide, row, column, asv, N_ROWS, N_COLUMNS)
    np.testing.assert_array_equal(table.eer, eer_table(scores, is_bonafide, row, column, N_ROWS, N_COLUMNS))
    for (i, j), bonafide, spoof in naive_metrics.cells(is_bonafide, row, column, N_ROWS, N_COLUMNS):
        in_column = [trial for trial in asv_trials if j in (trial[3], N_COLUMNS)]
        of_kind = {kind: [t[0] for t in in_column if t[1] == kind] for kind in ("target", "nontarget")}
        asv_spoof = [t[0] for t in in_column if t[1] == "spoof" and i in (t[2], N_ROWS)]
        found = [getattr(table, name)[i, j] for name in ("c0", "c1", "c2", "min_tdcf")]
        if not (bonafide and spoof and of_kind["target"] and of_kind["nontarget"] and asv_spoof):
            assert np.isnan(found).all()
            continue
        rates = naive_metrics.asv_rates(of_kind["target"], of_kind["nontarget"], asv_spoof)
        c0, c1, c2 = naive_metrics.coefficients(*rates)
        assert found[:3] == pytest.approx([c0, c1, c2], abs=1e-14)
        if c0 + min(c1, c2) == 0:
            assert np.isnan(found[3])
            continue
        points = naive_metrics.det_points([scores[k] for k in bonafide], [scores[k] for k in spoof])
        assert found[3] == pytest.approx(min(naive_metrics.tdcf_2021(point, rates) for point in points), rel=1e-9)


def test_pooled_cells_pool_scores_and_not_cells():
    # Under each codec the attack is separable from its bona fide trial; pooled they are not.
    table = eer_table([1, 0, 11, 10], [True, False, True, False], [-1, 0, -1, 1], [0, 0, 1, 1], 2, 2)
    np.testing.assert_array_equal(table, [[0, np.nan, 0], [np.nan, 0, 0.75], [0, 0, 0.5]])


def test_a_trial_without_a_code_counts_where_all_are_pooled():
    table = eer_table([2, 3, 1, 5], [True, True, False, False], [-1, -1, 0, -1], [0, 0, 0, 0], 1, 1)
    np.testing.assert_array_equal(table, [[0, 0], [0.5, 0.5]])


def test_refuses_what_is_no_table():
    asv = ASVTrials([1.0, 0.0, 0.0], ["target", "nontarget", "spoof"], [-1, -1, 0], [0, 0, 0])
    with pytest.raises(ValueError, match="2 scores, but row codes of shape"):
        eer_table([1, 0], [True, False], [0], [0, 0], 1, 1)
    with pytest.raises(ValueError, match="2 scores, but labels of shape"):
        eer_table([1, 0], [True], [0, 0], [0, 0], 1, 1)
    with pytest.raises(ValueError, match=r"column codes go from 0 to 1, not from -1 \(none\) to 0"):
        tdcf_table([1, 0], [True, False], [0, 0], [0, 1], asv, 1, 1)
    with pytest.raises(ValueError, match="1 of 2 countermeasure scores are NaN"):
        eer_table([1, np.nan], [True, False], [0, 0], [0, 0], 1, 1)
    with pytest.raises(ValueError, match="target, nontarget or spoof, not 'impostor'"):
        tdcf_table([1, 0], [True, False], [0, 0], [0, 0], ASVTrials([1.0], ["impostor"], [-1], [0]), 1, 1)


@pytest.fixture(scope="module")
def official(shared):
    """The official tables of one system, its scores by utterance, and the rows of each key file of both key packages."""
    folder = shared / "data/scores"
    keys = {}
    for package in ("A", "B"):
        with tarfile.open(folder / f"keys21/keys{package}.tar.gz") as archive:
            for member in archive:
                if member.isfile():
                    lines = archive.extractfile(member).read().decode().splitlines()
                    keys[f"{package}/{member.name.split('/', 1)[1]}"] = np.array([line.split() for line in lines])
    with gzip.open(folder / "la19_eval/RawGAT_ST_mul.txt.gz", "rt") as file:
        scores = {line.split()[0]: float(line.split()[-1]) for line in file}
    return json.loads((folder / "keys21/expected_RawGAT_ST_mul.json").read_text()), scores, keys


def codes(values, names):
    return np.array([names.index(value) if value in names else -1 for value in values])


@pytest.mark.parametrize(("package", "phase"), [("A", "eval"), ("B", "progress"), ("B", "eval"), ("B", "hidden")])
def test_official_la_tables(official, package, phase):
    expected, scores, keys = official
    expected = expected[f"{package}|LA|{phase}|RawGAT_ST_mul"]
    rows = keys[f"{package}/LA/CM/trial_metadata.txt"]
    rows = rows[rows[:, 7] == phase]
    asv_rows = keys[f"{package}/LA/ASV/trial_metadata.txt"]
    asv_scores = keys[f"{package}/LA/ASV/ASVTorch_Kaldi/score.txt"][:, 2].astype(float)
    asv_scores, asv_rows = asv_scores[asv_rows[:, 7] == phase], asv_rows[asv_rows[:, 7] == phase]
    asv = ASVTrials(asv_scores, asv_rows[:, 5], codes(asv_rows[:, 4], LA.rows), codes(asv_rows[:, 2], LA.columns))
    table = tdcf_table(
        [scores[utterance] for utterance in rows[:, 1]],
        rows[:, 5] == "bonafide",
        codes(rows[:, 4], LA.rows),
        codes(rows[:, 2], LA.columns),
        asv,
        len(LA.rows),
        len(LA.columns),
    )
    np.testing.assert_allclose(table.eer, np.array(expected["eer"], dtype=float), rtol=0, atol=1e-12)
    np.testing.assert_allclose(table.min_tdcf, np.array(expected["mintdcf"], dtype=float), rtol=0, atol=1e-12)
    for i, attack in enumerate((*LA.rows, "Pooled")):
        for j, codec in enumerate((*LA.columns, "Pooled")):
            coefficients = [np.nan if c is None else c for c in expected["C012"][attack][codec].values()]
            found = table.c0[i, j], table.c1[i, j], table.c2[i, j]
            np.testing.assert_allclose(found, coefficients, rtol=0, atol=1e-12)


@pytest.mark.parametrize("phase", ["progress", "eval", "hidden"])
def test_official_df_tables(official, phase):
    expected, scores, keys = official
    rows = keys["B/DF/CM/trial_metadata.txt"]
    rows = rows[rows[:, 7] == phase]
    table = eer_table(
        [scores[utterance] for utterance in rows[:, 1]],
        rows[:, 5] == "bonafide",
        codes(rows[:, 8], DF.rows),
        codes(rows[:, 2], DF.columns),
        len(DF.rows),
        len(DF.columns),
    )
    official_eers = np.array(expected[f"B|DF|{phase}|RawGAT_ST_mul"]["eer"], dtype=float)
    np.testing.assert_allclose(table, official_eers, rtol=0, atol=1e-12)
