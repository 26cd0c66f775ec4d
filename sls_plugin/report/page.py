"""A report: one self-contained HTML file from one or several score files."""

import base64
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from protocols.escapes import escaped
from protocols.keys import Keys
from sls_plugin.evaluation.comparison import evaluate_together
from sls_plugin.evaluation.evaluation import Bootstrap
from sls_plugin.report.bars import attack_bars, codec_bars
from sls_plugin.report.content import EvaluatedSystem, ScoredSystem, Slider, Table, system_names
from sls_plugin.report.drawing import Plot
from sls_plugin.report.durations import duration_plot
from sls_plugin.report.heat_tables import HeatTable, heat_tables
from sls_plugin.report.histogram import score_histogram
from sls_plugin.report.plots import det_plot, risk_coverage_plot
from sls_plugin.report.provenance import provenance
from sls_plugin.report.tables import comparison, evaluation_summary, score_summary, slider, words, worst_errors
from sls_plugin.report.timelines import drawn_timelines
from sls_plugin.report.trials import evaluated_trials, scored_trials
from sls_plugin.scores.extra_columns import refuse_extra_columns
from sls_plugin.scores.score_file import read_scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The page from top to bottom; `facts` say what was scored, `words` what it means, `notes` what to know about the figures."""

    facts: str
    words: Sequence[str]
    notes: Sequence[str] = ()
    summary: Table
    sliders: Sequence[Slider] = ()
    comparison: Table | None = None
    plots: Sequence[Plot] = ()
    heat_tables: Sequence[HeatTable] = ()
    worst_errors: Sequence[Table] = ()
    trials: Table | None = None
    provenance: Table | None = None


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
    DET curves, error rates by attack, codec and duration, official tables, and the worst errors. Without keys: histograms.
    Both list the trials, and where all of it is from. A trial is judged bona fide when its score is above `threshold`; by
    default that is the threshold of the equal error rate with keys, and without keys there are no verdicts. With
    `allow_missing` all figures are on the trials that all files score. `notes` are plain sentences shown at the top.
    Raises DataError as `evaluate` does, or without keys as `read_scores` and `refuse_extra_columns` do.
    """
    if not keys:
        return render(title, notes, _unlabelled(score_files, threshold))
    return render(title, notes, _evaluated(score_files, keys, threshold, allow_missing, bootstrap))


def render(title: str, notes: Sequence[str], content: Content) -> str:
    """The HTML of a page."""
    return _TEMPLATES.get_template("page.html").render(title=title, notes=[*notes, *content.notes], content=content)


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
        words=words(systems),
        notes=[*_left_out(keys, evaluations[0].scored.keys), *_warnings(systems)],
        summary=evaluation_summary(systems, threshold),
        sliders=[slider(system) for system in systems],
        comparison=comparison(systems, pairs) if pairs else None,
        plots=list(_evaluation_plots(systems)),
        heat_tables=list(heat_tables(tables)) if evaluations[0].table else [],
        worst_errors=list(worst_errors(systems)),
        trials=evaluated_trials(systems, [drawn_timelines(Path(path)) for path in score_files]),
        provenance=provenance([Path(path) for path in score_files], keys),
    )


def _unlabelled(score_files: Sequence[str | Path], threshold: float | None) -> Content:
    """The page on scores without keys."""
    files = [read_scores(path) for path in score_files]
    for path, scores in zip(score_files, files, strict=True):
        refuse_extra_columns(Path(path), scores)
    systems = [
        ScoredSystem(name, list(scores), np.array(list(scores.values())))
        for name, scores in zip(system_names(score_files), files, strict=True)
    ]
    return Content(
        facts="Scores without keys.",
        words=[],
        notes=[],
        summary=score_summary(systems, threshold),
        sliders=[],
        comparison=None,
        plots=[
            score_histogram(f"scores-{number}", _histogram_title(system.name), {"trials": system.scores}, threshold)
            for number, system in enumerate(systems, start=1)
        ],
        heat_tables=[],
        worst_errors=[],
        trials=scored_trials(systems, threshold, [drawn_timelines(Path(path)) for path in score_files]),
        provenance=provenance([Path(path) for path in score_files], None),
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
    """DET and risk-coverage curves, a histogram for each system, error rates by attack, codec and duration where known."""
    scored = {system.name: system.evaluation.scored for system in systems}
    yield det_plot({name: (trials.bonafide, trials.spoof) for name, trials in scored.items()})
    yield risk_coverage_plot({name: (trials.scores, trials.is_bonafide) for name, trials in scored.items()})
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


def _shown(value: Any) -> Any:
    """Text and HTML without characters that reverse the text or cannot be seen; numbers unchanged."""
    return type(value)(escaped(value)) if isinstance(value, str) else value


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    finalize=_shown,
)
_TEMPLATES.filters["cell"] = _cell
_SCRIPT = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
# The page's policy allows this script by its hash, and no other.
_TEMPLATES.globals |= {"script": _SCRIPT, "script_sha256": base64.b64encode(sha256(_SCRIPT.encode()).digest()).decode()}
