"""Error rates by attack and by codec, and the official table of a corpus."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from protocols.corpora import find_corpus
from sls_plugin.evaluation.scored_trials import ScoredTrials
from sls_plugin.metrics.conditions import ASVTrials, eer_table, tdcf_table

UNKNOWN_ATTACK, NO_CODEC = "unknown", "none"


@dataclass(frozen=True, slots=True)
class GroupResult:
    """The equal error rate of a group of trials: one attack against all bona fide trials, or one codec with both classes."""

    n_bonafide: int
    n_spoof: int
    eer: float


@dataclass(frozen=True, slots=True, eq=False)
class OfficialTable:
    """The official table of a corpus: rows of attacks or vocoders, columns of codecs, the last of each pooled.

    `eer` and `min_tdcf` (None without ASV scores) are fractions, rows x columns; NaN where a class is missing. Trials with
    another attack, vocoder or codec, `n_outside` of them, count in pooled cells only.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    eer: np.ndarray
    min_tdcf: np.ndarray | None
    n_outside: int


def per_attack(scored: ScoredTrials) -> dict[str, GroupResult]:
    """The result of each attack by name, against all bona fide trials; empty when the keys name no attack."""
    attacks = [attack or UNKNOWN_ATTACK for attack in scored.facts("attack")]
    names = sorted({attack for attack, is_bonafide in zip(attacks, scored.is_bonafide, strict=True) if not is_bonafide})
    if names == [UNKNOWN_ATTACK]:
        return {}
    row = _codes(attacks, names)
    eers = eer_table(scored.scores, scored.is_bonafide, row, np.zeros_like(row), len(names), 1)[:, 0]
    n_bonafide, n_spoof = int(scored.is_bonafide.sum()), np.bincount(row[~scored.is_bonafide], minlength=len(names))
    return {name: GroupResult(n_bonafide, int(n_spoof[i]), float(eers[i])) for i, name in enumerate(names)}


def per_condition(scored: ScoredTrials) -> dict[str, GroupResult]:
    """The result of each codec by name; empty when no trial has one, NaN where a codec lacks a class."""
    codecs = [codec or NO_CODEC for codec in scored.facts("codec")]
    names = sorted({*codecs})
    if names == [NO_CODEC]:
        return {}
    column = _codes(codecs, names)
    eers = eer_table(scored.scores, scored.is_bonafide, np.zeros_like(column), column, 1, len(names))[0]
    n_bonafide = np.bincount(column[scored.is_bonafide], minlength=len(names))
    n_spoof = np.bincount(column[~scored.is_bonafide], minlength=len(names))
    return {name: GroupResult(int(n_bonafide[i]), int(n_spoof[i]), float(eers[i])) for i, name in enumerate(names)}


def official_table(scored: ScoredTrials) -> OfficialTable | None:
    """The organisers' table of results, such as attack x codec of ASVspoof 2021 LA; None where there is none.

    None also where the keys do not say what its rows are, as the key of ASVspoof 5 with two columns.
    """
    keys = scored.keys
    layout = find_corpus(keys.corpus).keys.table
    if layout is None:
        return None
    row_words, column_words = scored.facts(layout.row_fact), scored.facts(layout.column_fact)
    rows, columns = layout.rows, layout.columns
    if not rows:
        column_words = [word or NO_CODEC for word in column_words]
        rows = sorted({word for word, is_bonafide in zip(row_words, scored.is_bonafide, strict=True) if not is_bonafide} - {""})
        columns = sorted({*column_words}, key=lambda word: (word != NO_CODEC, word))
        if not rows:
            return None
    row, column = _codes(row_words, rows), _codes(column_words, columns)
    n_outside = int(((row < 0) & ~scored.is_bonafide | (column < 0)).sum())
    cells = (scored.scores, scored.is_bonafide, row, column)
    names, size = ((*rows, "pooled"), (*columns, "pooled")), (len(rows), len(columns))
    if keys.asv is None:
        return OfficialTable(*names, eer_table(*cells, *size), None, n_outside)
    asv = ASVTrials(
        keys.asv.scores, np.array(keys.asv.kinds), _codes(keys.asv.attacks, rows), _codes(keys.asv.codecs, columns)
    )
    table = tdcf_table(*cells, asv, *size)
    return OfficialTable(*names, table.eer, table.min_tdcf, n_outside)


def _codes(words: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """The index of each word in `names`; -1 where it is not among them."""
    places = {name: place for place, name in enumerate(names)}
    return np.array([places.get(word, -1) for word in words], dtype=np.int64)
