"""All trials in one table, which the page can sort and search."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from protocols.audio_format import SAMPLE_RATE
from sls_plugin.report.content import EvaluatedSystem, ScoredSystem, Table

Timelines = Sequence[Mapping[str, str]]  # of each system, drawn, by trial

MAX_TRIALS = 5_000  # more make a browser slow
FACTS = ("attack", "codec", "speaker")


def evaluated_trials(systems: Sequence[EvaluatedSystem], timelines: Timelines) -> Table:
    """A row for each trial: its label, the score of each system, which systems judge it wrongly, its timelines and facts."""
    scored = systems[0].evaluation.scored
    more = _timeline_columns(systems, timelines, [trial.id for trial in scored.trials])
    more |= {name: cells for name in FACTS if any(cells := scored.facts(name))}
    if any(trial.n_frames for trial in scored.trials):
        more["seconds"] = [f"{trial.n_frames / SAMPLE_RATE:.2f}" if trial.n_frames else "" for trial in scored.trials]
    scores = np.stack([system.evaluation.scored.scores for system in systems])
    wrong = np.stack([(of > system.threshold) != scored.is_bonafide for of, system in zip(scores, systems, strict=True)])

    def row(index: int) -> list[str]:
        trial = scored.trials[index]
        names = [system.name for system, is_wrong in zip(systems, wrong[:, index], strict=True) if is_wrong]
        verdict = ", ".join(names) if len(systems) > 1 else "wrong" * len(names)
        known = [cells[index] for cells in more.values()]
        return [trial.id, trial.label, *(f"{score:.6g}" for score in scores[:, index]), verdict, *known]

    verdict = "judged wrongly by" if len(systems) > 1 else "verdict"
    columns = ["trial", "label", *_score_columns(systems), verdict, *more]
    return _table(columns, map(row, _order(scores[0])), scores.shape[1], any(timelines))


def scored_trials(systems: Sequence[ScoredSystem], threshold: float | None, timelines: Timelines) -> Table:
    """A row for each trial of any system: the scores, with a threshold the verdicts, and the timelines."""
    scores = [dict(zip(system.ids, system.scores.tolist(), strict=True)) for system in systems]
    ids = list(dict.fromkeys(name for of_system in scores for name in of_system))

    def row(index: int) -> list[str]:
        known = [of_system.get(ids[index]) for of_system in scores]
        judged = ["" if score is None else "bona fide" if score > threshold else "spoof" for score in known[: len(verdicts)]]
        cells = ["" if score is None else f"{score:.6g}" for score in known]
        return [ids[index], *cells, *judged, *(column[index] for column in drawn.values())]

    verdicts = ["judged" if len(systems) == 1 else f"{system.name} judges" for system in systems]
    verdicts = [] if threshold is None else verdicts
    drawn = _timeline_columns(systems, timelines, ids)
    order = _order(np.array([scores[0].get(name, np.inf) for name in ids]))
    return _table(["trial", *_score_columns(systems), *verdicts, *drawn], map(row, order), len(ids), any(timelines))


def _score_columns(systems: Sequence[EvaluatedSystem] | Sequence[ScoredSystem]) -> list[str]:
    return ["score"] if len(systems) == 1 else [system.name for system in systems]


def _timeline_columns(
    systems: Sequence[EvaluatedSystem] | Sequence[ScoredSystem], timelines: Timelines, ids: Sequence[str]
) -> dict[str, list[str]]:
    """A column for each system that has timelines."""
    return {
        "timeline" if len(systems) == 1 else f"timeline of {system.name}": [drawn.get(name, "") for name in ids]
        for system, drawn in zip(systems, timelines, strict=True) if drawn
    }  # fmt: skip


def _order(scores: np.ndarray) -> Iterator[int]:
    """The positions of the trials that are listed, the lowest scores first."""
    return iter(np.argsort(scores, kind="stable")[:MAX_TRIALS].tolist())


def _table(columns: Sequence[str], rows: Iterator[list[str]], n_trials: int, has_timelines: bool) -> Table:
    caption = "The lowest scores first."
    if n_trials > MAX_TRIALS:
        caption = f"The {MAX_TRIALS:,} lowest scores of {n_trials:,}; the score files have all."
    if has_timelines:
        caption += " A bar of a timeline is the lowest score of one or several windows; low is spoof."
    return Table("All trials", caption, columns, list(rows))
