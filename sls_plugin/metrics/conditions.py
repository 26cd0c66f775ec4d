"""The tables of ASVspoof 2021: each attack (LA) or vocoder (DF) under each codec, and all of them pooled.

A pooled cell is measured on pooled trials; it is not a mean of cells. Rows and columns are integer codes into the names of
the caller; a trial without one has the code -1 and counts in the pooled row or column only.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sls_plugin.metrics.det import Rates, check_finite, det_curve_of_sorted, eer_at, min_cost
from sls_plugin.metrics.tdcf import ASVErrorRates, asv_error_rates_at, asv_threshold, normalised_tdcf, tdcf_coefficients

Cell = tuple[int, int]
Curve = tuple[Rates, Rates, Rates]


@dataclass(frozen=True, slots=True, eq=False)
class ASVTrials:
    """The trials of an ASV system: its scores, their `kind` (`target`, `nontarget` or `spoof`), and codes as above.

    A cell takes the targets and nontargets of its column, and the spoofs of its row and column.
    """

    score: ArrayLike
    kind: ArrayLike
    row: ArrayLike
    column: ArrayLike


@dataclass(frozen=True, slots=True, eq=False)
class TDCFTable:
    """EER, minimum t-DCF (2021) and its coefficients per cell: rows x columns, the last of each pooled; NaN where empty."""

    eer: Rates
    min_tdcf: Rates
    c0: Rates
    c1: Rates
    c2: Rates


def eer_table(
    scores: ArrayLike, is_bonafide: ArrayLike, row: ArrayLike, column: ArrayLike, n_rows: int, n_columns: int
) -> Rates:
    """The EER of the spoofs of every row against all bona fide trials, column by column.

    Takes arrays with one value per trial (the row of a bona fide trial is ignored). Returns an array (n_rows + 1) x
    (n_columns + 1): the last row and column are pooled, NaN where a class is missing.
    Raises ValueError on arrays of different lengths, codes beyond the table, and scores that are NaN or infinite.
    """
    eers = np.full((n_rows + 1, n_columns + 1), np.nan)
    for cell, curve in _curves(scores, is_bonafide, row, column, n_rows, n_columns):
        eers[cell], _ = eer_at(*curve)
    return eers


def tdcf_table(
    scores: ArrayLike,
    is_bonafide: ArrayLike,
    row: ArrayLike,
    column: ArrayLike,
    asv: ASVTrials,
    n_rows: int,
    n_columns: int,
) -> TDCFTable:
    """`eer_table`, and the minimum t-DCF in the form of 2021 with the ASV threshold of each column.

    The t-DCF and its coefficients are NaN also where a class of ASV trials is missing.
    Raises ValueError as `eer_table` does, also for the ASV trials, and on an unknown kind.
    """
    rates = _asv_error_rates(asv, n_rows, n_columns)
    table = TDCFTable(*np.full((5, n_rows + 1, n_columns + 1), np.nan))
    for cell, curve in _curves(scores, is_bonafide, row, column, n_rows, n_columns):
        false_rejection, false_acceptance, thresholds = curve
        table.eer[cell], _ = eer_at(*curve)
        coefficients = tdcf_coefficients(rates[cell])
        if np.isfinite([coefficients.c0, coefficients.c1, coefficients.c2]).all():
            table.c0[cell], table.c1[cell], table.c2[cell] = coefficients.c0, coefficients.c1, coefficients.c2
            table.min_tdcf[cell], _ = min_cost(normalised_tdcf(false_rejection, false_acceptance, coefficients), thresholds)
    return table


def _curves(
    scores: ArrayLike, is_bonafide: ArrayLike, row: ArrayLike, column: ArrayLike, n_rows: int, n_columns: int
) -> Iterator[tuple[Cell, Curve]]:
    """Every cell with trials of both classes, and its DET curve."""
    scores, is_bonafide = check_finite(scores, "countermeasure"), np.asarray(is_bonafide, dtype=bool)
    if is_bonafide.shape != scores.shape:
        raise ValueError(f"{scores.size} scores, but labels of shape {is_bonafide.shape}: give one label per trial")
    row, column = _codes(row, n_rows, scores.size, "row"), _codes(column, n_columns, scores.size, "column")
    order = np.lexsort((~is_bonafide, scores))  # sorted once; selections below stay sorted
    scores, is_bonafide, row, column = scores[order], is_bonafide[order], row[order], column[order]
    for j in range(n_columns + 1):
        in_column = _coded(column, j, n_columns)
        column_scores, column_is_bonafide, column_rows = scores[in_column], is_bonafide[in_column], row[in_column]
        n_bonafide = np.count_nonzero(column_is_bonafide)
        for i in range(n_rows + 1):
            in_cell = column_is_bonafide | _coded(column_rows, i, n_rows)
            if 0 < n_bonafide < np.count_nonzero(in_cell):
                yield (i, j), det_curve_of_sorted(column_scores[in_cell], column_is_bonafide[in_cell])


def _asv_error_rates(asv: ASVTrials, n_rows: int, n_columns: int) -> dict[Cell, ASVErrorRates]:
    """The error rates of the ASV system in every cell."""
    scores, kind = np.asarray(asv.score, dtype=np.float64), np.asarray(asv.kind)
    row, column = _codes(asv.row, n_rows, scores.size, "ASV row"), _codes(asv.column, n_columns, scores.size, "ASV column")
    is_target, is_nontarget, is_spoof = kind == "target", kind == "nontarget", kind == "spoof"
    if unknown := set(kind[~(is_target | is_nontarget | is_spoof)].tolist()):
        raise ValueError(f"the kind of an ASV trial is target, nontarget or spoof, not {sorted(unknown)[0]!r}")
    rates = {}
    for j in range(n_columns + 1):
        in_column = _coded(column, j, n_columns)
        target, nontarget = scores[in_column & is_target], scores[in_column & is_nontarget]
        threshold = asv_threshold(target, nontarget)
        spoof, spoof_rows = scores[in_column & is_spoof], row[in_column & is_spoof]
        for i in range(n_rows + 1):
            rates[i, j] = asv_error_rates_at(threshold, target, nontarget, spoof[_coded(spoof_rows, i, n_rows)])
    return rates


def _codes(codes: ArrayLike, n_codes: int, n_trials: int, what: str) -> NDArray[np.integer]:
    """The codes of as many trials as there are scores, each -1 or below `n_codes`."""
    codes = np.asarray(codes)
    if codes.shape != (n_trials,):
        raise ValueError(f"{n_trials} scores, but {what} codes of shape {codes.shape}: give one code per trial")
    if n_trials and not -1 <= codes.min() <= codes.max() < n_codes:
        raise ValueError(f"{what} codes go from {codes.min()} to {codes.max()}, not from -1 (none) to {n_codes - 1}")
    return codes


def _coded(codes: NDArray[np.integer], code: int, pooled: int) -> NDArray[np.bool_]:
    """Which trials have the code; the pooled code selects all."""
    return np.ones(codes.shape, dtype=bool) if code == pooled else codes == code
