"""A report: one self-contained HTML file from one or several score files."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from protocols.keys import Keys
from sls_plugin.evaluation.comparison import evaluate_together
from sls_plugin.evaluation.evaluation import Bootstrap
from sls_plugin.report.bars import attack_bars, codec_bars
from sls_plugin.report.content import EvaluatedSystem, ScoredSystem, Table, system_names
from sls_plugin.report.drawing import Plot
from sls_plugin.report.durations import duration_plot
from sls_plugin.report.heat_tables import HeatTable, heat_tables
from sls_plugin.report.plots import det_plot, score_histogram
from sls_plugin.report.tables import comparison, evaluation_summary, extremes, score_summary, worst_errors
from sls_plugin.scores.score_file import read_scores


@dataclass(frozen=True, slots=True)
class Content:
    """The page from top to bottom; `facts` say what was scored, `notes` what to know about the figures."""

    facts: str
    notes: Sequence[str]
    summary: Table
    comparison: Table | None
    plots: Sequence[Plot]
    heat_tables: Sequence[HeatTable]
    lists_title: str
    lists: Sequence[Table]


def build_report(
    score_files: Sequence[str | Path],
    keys: Keys | None = None,
    threshold: float | None = None,
    title: str = "Detection of synthetic speech",
    notes: Sequence[str] = (),
    allow_missing: bool = False,
    bootstrap: Bootstrap | None = None,
) -> str:
    """The HTML of a report on one or several score files, which are named by their files.

    With keys: error rates, with intervals and a comparison of the systems when there is a bootstrap; score histograms,
    DET curves, error rates by attack, codec and duration, official tables, and the worst errors. Without keys: histograms
    and the highest and lowest scores. A trial is judged bona fide when its score is above `threshold`; by
    default that is the threshold of the equal error rate with keys, and without keys there are no verdicts. With
    `allow_missing` all figures are on the trials that all files score. `notes` are plain sentences shown at the top.
    Raises DataError as `evaluate` does, or without keys as `read_scores` does.
    """
    template = _TEMPLATES.get_template("page.html")
    if not keys:
        return template.render(title=title, notes=notes, content=_unlabelled(score_files, threshold))
    content = _evaluated(score_files, keys, threshold, allow_missing, bootstrap)
    return template.render(title=title, notes=[*notes, *content.notes], content=content)


def _evaluated(
    score_files: Sequence[str | Path],
    keys: Keys,
    threshold: float | None,
    allow_missing: bool,
    bootstrap: Bootstrap | None,
) -> Content:
    """The page on scores with keys."""
    evaluations, pairs = evaluate_together(score_files, keys, bootstrap, allow_missing)
    systems = [
        EvaluatedSystem(name, evaluation, evaluation.eer_threshold if threshold is None else threshold)
        for name, evaluation in zip(system_names(score_files), evaluations, strict=True)
    ]
    tables = {system.name: system.evaluation.table for system in systems}
    return Content(
        facts=_facts(systems[0]),
        notes=[*_left_out(keys, evaluations[0].scored.keys), *_warnings(systems)],
        summary=evaluation_summary(systems, threshold),
        comparison=comparison(systems, pairs) if pairs else None,
        plots=list(_evaluation_plots(systems)),
        heat_tables=list(heat_tables(tables)) if evaluations[0].table else [],
        lists_title="The worst errors",
        lists=list(worst_errors(systems)),
    )


def _unlabelled(score_files: Sequence[str | Path], threshold: float | None) -> Content:
    """The page on scores without keys."""
    files = [read_scores(path) for path in score_files]
    systems = [
        ScoredSystem(name, list(scores), np.array(list(scores.values())))
        for name, scores in zip(system_names(score_files), files, strict=True)
    ]
    return Content(
        facts="Scores without keys.",
        notes=[],
        summary=score_summary(systems, threshold),
        comparison=None,
        plots=[
            score_histogram(f"scores-{number}", _histogram_title(system.name), {"trials": system.scores}, threshold)
            for number, system in enumerate(systems, start=1)
        ],
        heat_tables=[],
        lists_title="Extremes",
        lists=list(extremes(systems)),
    )


def _facts(system: EvaluatedSystem) -> str:
    """The corpus and its counts, the same for all systems."""
    scored = system.evaluation.scored
    keys = scored.keys
    counts = f"{len(scored.trials):,} trials, {scored.bonafide.size:,} bona fide and {scored.spoof.size:,} spoof"
    return f"Corpus {keys.corpus}, phase {keys.phase}, keys {keys.path.name}: {counts}."


def _left_out(keys: Keys, scored_keys: Keys) -> Iterator[str]:
    """How many trials of the keys are in no figure, if any."""
    if n_missing := len(keys.trials) - len(scored_keys.trials):
        yield (
            f"{n_missing:,} of {len(keys.trials):,} trials of the keys are not scored by every system and are left out of "
            "all figures: no official figures"
        )


def _warnings(systems: Sequence[EvaluatedSystem]) -> list[str]:
    """The warnings of the evaluations, each once, with the systems that it is about."""
    warned: dict[str, list[str]] = {}
    for system in systems:
        for warning in system.evaluation.warnings:
            warned.setdefault(warning, []).append(system.name)
    return [f"{', '.join(names)}: {warning}" for warning, names in warned.items()]


def _evaluation_plots(systems: Sequence[EvaluatedSystem]) -> Iterator[Plot]:
    """DET curves, a histogram for each system, and error rates by attack, codec and duration where these are known."""
    scored = {system.name: system.evaluation.scored for system in systems}
    yield det_plot({name: (trials.bonafide, trials.spoof) for name, trials in scored.items()})
    for number, system in enumerate(systems, start=1):
        classes = {"bona fide": scored[system.name].bonafide, "spoof": scored[system.name].spoof}
        yield score_histogram(f"scores-{number}", _histogram_title(system.name), classes, system.threshold)
    if systems[0].evaluation.per_attack:
        yield attack_bars({system.name: system.evaluation.per_attack for system in systems})
    if systems[0].evaluation.per_condition:
        yield codec_bars({system.name: system.evaluation.per_condition for system in systems})
    if by_duration := duration_plot(scored):
        yield by_duration


def _histogram_title(system: str) -> str:
    return f"Distribution of scores: {system}"


def _cell(value: str | float) -> str:
    """A number, rounded for display; text unchanged."""
    if not isinstance(value, float):
        return str(value)
    return "–" if math.isnan(value) else f"{value:.6g}"


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_TEMPLATES.filters["cell"] = _cell
