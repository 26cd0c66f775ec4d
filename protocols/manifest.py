"""Manifests: one tab-separated line per trial, fairseq's speech-to-text convention."""

from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from sys import intern

from .errors import DataError
from .files import LINE_BREAKS, read_lines, replacing
from .trial import LABELS, Trial

COLUMNS = ("id", "audio", "n_frames", "label")


def read_manifest(path: str | Path) -> list[Trial]:
    """The trials of a manifest, in its order; every column beyond id, audio, n_frames and label is a fact.

    An empty cell is an unknown fact and left out of `facts`.
    Raises DataError (`path:line: what: remedy`) on the first line that is not a trial, or when there is none.
    """
    return parse_manifest(path, read_lines(path))


def parse_manifest(path: str | Path, lines: Sequence[str]) -> list[Trial]:
    """The trials of the lines of a manifest, as `read_manifest`."""
    header, *lines = lines
    columns = header.split("\t")
    if padded := [column for column in columns if column != column.strip()]:
        raise DataError(f"{path}:1: a blank around {padded[0]!r}: remove it")
    for column in (*COLUMNS, *columns):
        if columns.count(column) != 1:
            what = f"column {column} is repeated" if column in columns else f"no column {column}"
            raise DataError(f"{path}:1: {what}: the header names {', '.join(COLUMNS)} and any fact once, between tabs")
    if not lines:
        raise DataError(f"{path}:1: no trial after the header: write the manifest again with `sls prepare`")

    trials: dict[str, Trial] = {}
    shared: dict[tuple[str, ...], dict[str, str]] = {}
    for number, line in enumerate(lines, start=2):
        cells = line.split("\t")
        if len(cells) != len(columns):
            what = f"{len(cells)} fields, but the header has {len(columns)}"
            raise DataError(f"{path}:{number}: {what}: separate the fields by single tabs")
        facts = dict(zip(columns, cells, strict=True))
        name, audio, n_frames, label = fields = [facts.pop(column) for column in COLUMNS]
        if fault := _fault(*fields, known=trials):
            raise DataError(f"{path}:{number}: {fault}")
        # Most lines repeat the facts of another: one mapping and one string each.
        values = tuple(facts.values())
        if values not in shared:
            if padded := [fact for fact in values if fact != fact.strip()]:
                raise DataError(f"{path}:{number}: a blank around {padded[0]!r}: remove it")
            shared[values] = {key: intern(fact) for key, fact in facts.items() if fact}
        trials[name] = Trial(name, audio, intern(label), int(n_frames), shared[values])
    return list(trials.values())


def write_manifest(path: str | Path, trials: Iterable[Trial]) -> None:
    """Write trials to a manifest that `read_manifest` reads, whole or not at all; makes the folder.

    Columns: id, audio, n_frames, label, then every fact in order of first appearance.
    Raises DataError on what a manifest cannot hold; a manifest that was there stays.
    """
    path, trials = Path(path), list(trials)
    if not trials:
        raise DataError(f"{path}: no trial to write: a manifest needs at least one")
    facts = list(dict.fromkeys(key for trial in trials for key in trial.facts))
    if clash := set(facts) & set(COLUMNS):
        raise DataError(f"{path}: a fact is named {clash.pop()} like a column of every manifest: rename the fact")
    if fault := _unwritable(facts, facts):
        raise DataError(f"{path}: the names of the facts: {fault}")

    names = set()
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        print(*COLUMNS, *facts, sep="\t", file=file)
        for trial in trials:
            fields = (trial.id, trial.audio, str(trial.n_frames), trial.label)
            cells = (*fields, *(trial.facts.get(key, "") for key in facts))
            if fault := _fault(*fields, known=names) or _unwritable(cells, trial.facts.values()):
                raise DataError(f"{path}: trial {trial.id!r}: {fault}")
            names.add(trial.id)
            print(*cells, sep="\t", file=file)


def _fault(name: str, audio: str, n_frames: str, label: str, known: Container[str]) -> str:
    """What is wrong with the four fields that every manifest has, and the remedy; empty when nothing is."""
    if not name:
        return "empty id: name the trial"
    if name in known:
        return f"repeated id {name!r}: list each trial once"
    if not audio:
        return "empty audio: give the path of the recording"
    if not (n_frames.isascii() and n_frames.isdigit()):
        return f"n_frames is {n_frames!r}: give the number of samples at 16 kHz, or 0 when not read"
    if label and label not in LABELS:
        return f"unknown label {label!r}: use {' or '.join(LABELS)}, or nothing when it is not known"
    return ""


def _unwritable(cells: Iterable[str], facts: Iterable[str] = ()) -> str:
    """Why a line of a tab-separated UTF-8 file cannot hold these cells, and the remedy; empty when it can."""
    line = "".join(cells)
    if any(sign in line for sign in "\t\n") or LINE_BREAKS.search(line):
        return "a tab or line break in a name: rename it"
    if any(fact != fact.strip() for fact in facts):
        return "a blank around a fact: remove it"
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        return "a name that is not UTF-8: rename it"
    return ""
