"""Score files: `id score`, one line per trial; a higher score means more bona fide."""

import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from protocols import DataError
from protocols.files import LINE_BREAKS, read_lines, replacing, split_fields
from sls_plugin.scores.extra_columns import column_remedy
from sls_plugin.scores.formats import parse_line, parse_lines, row_writer
from sls_plugin.scores.parquet import read_parquet

if TYPE_CHECKING:
    from sls_plugin.scores.decision import Decision

_EXAMPLES = 3
FLOAT32_MAX = 3.4028235e38


def read_scores(path: str | Path) -> dict[str, float]:
    """The score of each trial id, in the order of the file.

    The score is the last field of a line and the id all before it, so that ids may hold spaces. A table between commas or
    tabs has a header that names both, such as `id,score` or ASVspoof 5's `filename cm-score`. A file named .jsonl has an object
    with `id` and `score` on each line, one named .parquet is a table with these columns.
    Raises DataError with the counts and first examples of malformed lines, repeated ids, and NaN or infinite scores.
    """
    scores: dict[str, float] = {}
    malformed, repeated, not_finite = [], [], []
    if Path(path).suffix.lower() == ".parquet":
        lines, records = [], read_parquet(Path(path))
    else:
        lines = read_lines(path, ends_in_number=True)
        records = parse_lines(Path(path), lines)
    for number, name, score in records:
        if not name:
            malformed.append(f"line {number}: {lines[number - 1][:60]!r}" if lines else f"line {number}")
        elif name in scores:
            relation = "with the same score" if scores[name] == score else "with another score"
            repeated.append(f"line {number}: {name!r} {relation}")
        else:
            scores[name] = score
            if not abs(score) <= FLOAT32_MAX:
                not_finite.append(f"line {number}: {name!r} {score}")
    problems = [
        summarise(malformed, "malformed line", "malformed lines"),
        summarise(repeated, "repeated id", "repeated ids"),
        summarise(not_finite, "score that is NaN or infinite", "scores that are NaN or infinite"),
    ]
    if any(problems):
        remedy = "a line is `id score`, one per trial: score the trials again into a new file"
        if lines and not scores and all(len(split_fields(line)) > 2 for line in lines):
            remedy = column_remedy(lines)
        raise DataError(f"{path}: {', '.join(filter(None, problems))}: {remedy}")
    return scores


def write_scores(
    path: str | Path,
    scores: Iterable[tuple[str, float]],
    decision: "Decision | None" = None,
    warnings: Mapping[str, str] | None = None,
) -> None:
    """Write ids and scores in the order given, with 9 significant digits, whole or not at all; makes the folder.

    A line is `id score`; in a file named .csv it is a row below the header `id,score`, in one named .jsonl a JSON object; one
    named .parquet is a table. With a decision a table has the columns of its verdicts, and with `warnings`, those of the ids
    that have some, one of that name.
    Raises DataError, before the file exists, on an id or score that `read_scores` would refuse or misread.

    >>> write_scores("scores.txt", [("LA_E_1000147", 2.5), ("LA_E_1000273", -1.25)])
    >>> read_scores("scores.txt")
    {'LA_E_1000147': 2.5, 'LA_E_1000273': -1.25}
    """
    written: set[str] = set()
    columns = ("id", "score", "llr", "probability", "verdict") if decision else ("id", "score")
    if warnings is not None:
        columns += ("warnings",)
    with replacing(path) as temporary, row_writer(Path(path), temporary, columns) as write:
        for name, score in scores:
            if fault := _fault(name, score, f"{name} {score:.9g}", written):
                raise DataError(f"{path}: trial {name!r}: {fault}")
            written.add(name)
            # The verdict of the score as written, so that it is the same where the file is read and written again.
            row = (name, *decision.verdict(float(f"{score:.9g}"))) if decision else (name, score)
            write(row if warnings is None else (*row, warnings.get(name, "")))


def write_outcomes(
    path: str | Path,
    outcomes: Callable[[], Iterable[tuple[str, float | str]]],
    decision: "Decision | None" = None,
    warnings: Mapping[str, str] | None = None,
) -> tuple[int, int]:
    """Write a score file, and beside it tables of the trials that have a reason instead of a score, and of `warnings`.

    `outcomes` is called twice. Returns the numbers of scores and of reasons. The score file is written last: once it exists,
    the output is complete.
    """
    reasons = {name: outcome for name, outcome in outcomes() if isinstance(outcome, str)}
    write_errors(path, reasons)
    write_notes(warnings_path(path), "warnings", warnings or {})
    n_scores = 0

    def scores() -> Iterator[tuple[str, float]]:
        nonlocal n_scores
        for name, outcome in outcomes():
            if not isinstance(outcome, str):
                yield name, outcome
                n_scores += 1

    write_scores(path, scores(), decision, warnings)
    return n_scores, len(reasons)


def require_writable(path: str | Path, names: Iterable[str]) -> None:
    """DataError on the first id that a score file and the tables beside it cannot hold, to be checked before scoring."""
    for name in names:
        fault = "a tab in its id: rename it" if "\t" in name else _fault(name, 0.0, f"{name} 0", ())
        if fault:
            raise DataError(f"{path}: trial {name!r}: {fault}")


def summarise(examples: list[str], singular: str, plural: str) -> str:
    """The number of examples and the first of them, for an error of one line; empty when there are none.

    >>> summarise(["line 3", "line 8"], "malformed line", "malformed lines")
    '2 malformed lines (line 3, line 8)'
    """
    if not examples:
        return ""
    more = ", ..." if len(examples) > _EXAMPLES else ""
    return f"{len(examples):,} {plural if len(examples) > 1 else singular} ({', '.join(examples[:_EXAMPLES])}{more})"


def _fault(name: str, score: float, line: str, written: Container[str]) -> str:
    """Why a trial cannot be written, and the remedy; empty when it can."""
    if not math.isfinite(score):
        return f"its score is {score}: check its recording"
    if name in written:
        return "its id is repeated: give each trial once"
    if not name or set("\n\ufeff") & set(line) or LINE_BREAKS.search(line) or parse_line(line)[0] != name:
        return "a line of a score file cannot hold its id: rename it"
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        return "its id is not UTF-8: rename it"
    return ""


def errors_path(scores_path: str | Path) -> Path:
    """The path of the table of trials that have no score, and why."""
    return Path(f"{scores_path}.errors.tsv")


def warnings_path(scores_path: str | Path) -> Path:
    """The path of the table of trials whose recordings are silent, constant or clipped, or longer than what was scored."""
    return Path(f"{scores_path}.warnings.tsv")


def write_errors(scores_path: str | Path, reasons: Mapping[str, str]) -> Path:
    """Write the id and reason of each trial that has no score beside a score file; returns the path."""
    return write_notes(errors_path(scores_path), "reason", reasons)


def read_errors(scores_path: str | Path) -> dict[str, str]:
    """The reason of each trial that has no score, from beside a score file."""
    return read_notes(errors_path(scores_path))


def read_warnings(scores_path: str | Path) -> dict[str, str]:
    """The warnings of the trials that have some, from beside a score file."""
    return read_notes(warnings_path(scores_path))


def write_notes(path: Path, heading: str, notes: Mapping[str, str]) -> Path:
    """Write a table of ids and what is to be said of them; without any there is no file, not even that of an earlier run."""
    if not notes:
        path.unlink(missing_ok=True)
        return path
    lines = [f"id\t{heading}", *(f"{name}\t{' '.join(note.splitlines())}" for name, note in notes.items())]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read_notes(path: Path) -> dict[str, str]:
    """What a table of `write_notes` says, by id; nothing where there is none."""
    header, *lines = read_lines(path) if path.exists() else ("",)
    notes = {}
    for number, line in enumerate(lines, start=2):
        name, tab, note = line.partition("\t")
        if not tab:
            row = " ".join(header.split("\t"))
            raise DataError(f"{path}:{number}: {line[:60]!r} is not a row `{row}`: score the trials again")
        notes[name] = note
    return notes
