"""Automatic speaker verification (ASV): the scores of the organisers' system, which the t-DCF needs beside a countermeasure's."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from math import isfinite
from pathlib import Path
from sys import intern

import numpy as np

from .errors import DataError
from .files import first_file, read_lines, split_fields
from .numbers import parse_number
from .trial import PHASE_SPELLINGS

KINDS = ("target", "nontarget", "spoof")


@dataclass(frozen=True, slots=True, eq=False)
class ASVScores:
    """The scores of an ASV system, with the kind, attack, codec and phase of each trial; empty where a file has none."""

    path: Path
    scores: np.ndarray
    kinds: Sequence[str]
    attacks: Sequence[str]
    codecs: Sequence[str]
    phases: Sequence[str]

    def of_phase(self, phase: str) -> "ASVScores":
        """The trials of one phase; all of them for `all`, and where the files have no phases."""
        if phase == "all" or not any(self.phases):
            return self
        selected = [trial_phase == phase for trial_phase in self.phases]
        facts = (list(compress(column, selected)) for column in (self.kinds, self.attacks, self.codecs, self.phases))
        return ASVScores(self.path, self.scores[np.array(selected, dtype=bool)], *facts)


def read_asv_2019(path: Path) -> ASVScores:
    """The ASV scores of ASVspoof 2019, a line `ATTACK|bonafide target|nontarget|spoof SCORE` per trial."""
    rows = _rows(path, 3, "ATTACK|bonafide target|nontarget|spoof SCORE")
    attacks, kinds, scores = zip(*rows, strict=True)
    nothing = [""] * len(rows)
    return ASVScores(path, _floats(path, scores), _checked_kinds(path, kinds), attacks, nothing, nothing)


def read_asv_2021(score_file: Path, key_file: Path) -> ASVScores:
    """The ASV scores of ASVspoof 2021 LA: two files that belong together line by line, as ids repeat in both.

    Lines: `SPEAKER TRIAL SCORE`, and `SPEAKER TRIAL CODEC TRANSMISSION ATTACK target|nontarget|spoof TRIM PHASE`.
    """
    scored = _rows(score_file, 3, "SPEAKER TRIAL SCORE")
    keys = _rows(key_file, 8, "SPEAKER TRIAL CODEC TRANSMISSION ATTACK target|nontarget|spoof TRIM PHASE")
    if len(scored) != len(keys):
        remedy = "take both from one key package"
        raise DataError(f"{score_file}: {len(scored):,} trials, but {key_file} has {len(keys):,}: {remedy}")
    names, key_names = [row[:2] for row in scored], [row[:2] for row in keys]
    if names != key_names and sorted(names) == sorted(key_names):
        raise DataError(f"{score_file}: the trials are in another order than in {key_file}: take both from one key package")
    _, _, codecs, _, attacks, kinds, _, phases = zip(*keys, strict=True)
    if unknown := {*phases} - PHASE_SPELLINGS.keys():
        number = next(number for number, phase in enumerate(phases, start=1) if phase in unknown)
        raise DataError(f"{key_file}:{number}: unknown phase {phases[number - 1]!r}: write {' or '.join(PHASE_SPELLINGS)}")
    phases = [PHASE_SPELLINGS[phase] for phase in phases]
    scores = _floats(score_file, [row[2] for row in scored])
    return ASVScores(score_file, scores, _checked_kinds(key_file, kinds), attacks, codecs, phases)


def find_beside(path: Path, places: Sequence[str]) -> Path | None:
    """The first of `places` that is a file below the folder of `path` or below that folder's parent."""
    folder = path.absolute().parent
    return first_file(parent / place for parent in (folder, folder.parent) for place in places)


def _rows(path: Path, n_columns: int, form: str) -> list[list[str]]:
    """The fields of every line."""
    lines = read_lines(path, ends_in_number=form.endswith("SCORE"))
    rows = [[intern(field) for field in split_fields(line)] for line in lines]
    for number, row in enumerate(rows, start=1):
        if len(row) != n_columns:
            raise DataError(f"{path}:{number}: {len(row)} columns instead of {n_columns}: a line is `{form}`")
    return rows


def _checked_kinds(path: Path, kinds: Sequence[str]) -> Sequence[str]:
    if unknown := set(kinds).difference(KINDS):
        number = next(number for number, kind in enumerate(kinds, start=1) if kind in unknown)
        raise DataError(f"{path}:{number}: unknown kind of trial {kinds[number - 1]!r}: it is {', '.join(KINDS)}")
    return kinds


def _floats(path: Path, fields: Sequence[str]) -> np.ndarray:
    """The scores as numbers, all finite."""
    numbers = list(map(parse_number, fields))
    for number, (score, field) in enumerate(zip(numbers, fields, strict=True), start=1):
        if score is None:
            raise DataError(f"{path}:{number}: {field!r} is no number: the last column is a score")
        if not isfinite(score):
            raise DataError(f"{path}:{number}: the score is {field}: take the file from the organisers again")
    return np.array(numbers)
