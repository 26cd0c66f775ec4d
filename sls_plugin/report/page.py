"""A report: one HTML file that needs nothing else, from one or several score files."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from protocols.keys import Keys
from sls_plugin.scoring.score_file import read_scores

from .evaluation import Evaluation, evaluate
from .plots import Plot, attack_plot, det_plot, score_histogram

EXTREMES = 10  # trials in a list of the most mistaken, the lowest or the highest

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the page; its cells are text as it is to be read."""

    title: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSystem:
    """The scores of one system without keys."""

    name: str
    ids: Sequence[str]
    scores: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class EvaluatedSystem:
    """One system with its evaluation; a score above the threshold means bona fide."""

    name: str
    evaluation: Evaluation
    threshold: float


def build_report(
    score_files: Sequence[str | Path],
    keys: Keys | None = None,
    threshold: float | None = None,
    title: str = "Detection of synthetic speech",
    notes: Sequence[str] = (),
) -> str:
    """The HTML of a report on one or several score files, which are named by their files.

    With keys: counts, equal error rates, score histograms, DET curves, the rates of each attack and the most mistaken
    trials. Without: histograms and the highest and lowest scores. A trial is judged bona fide when its score is above
    `threshold`; by default that is the threshold of the equal error rate with keys, and without keys there are no
    verdicts. `notes` are plain sentences shown at the top.
    Raises DataError on score files that `evaluate`, or without keys `read_scores`, refuses.
    """
    names = _system_names(score_files)
    notes = list(notes)
    if keys:
        results = [evaluate(path, keys) for path in score_files]
        systems = [
            EvaluatedSystem(name, result, result.eer_threshold if threshold is None else threshold)
            for name, result in zip(names, results, strict=True)
        ]
        notes += [f"{system.name}: {warning}" for system in systems for warning in system.evaluation.warnings]
        summary = _evaluation_summary(systems, threshold)
        plots, lists = _evaluation_plots(systems), _most_mistaken(systems)
    else:
        tables = [read_scores(path) for path in score_files]
        systems = [
            ScoredSystem(name, list(table), np.array(list(table.values())))
            for name, table in zip(names, tables, strict=True)
        ]
        summary = _score_summary(systems, threshold)
        plots, lists = _score_plots(systems, threshold), _extremes(systems)
    return _TEMPLATES.get_template("page.html").render(
        title=title, notes=notes, keys=keys, summary=summary, plots=plots, lists=list(lists)
    )


def _system_names(score_files: Sequence[str | Path]) -> list[str]:
    """What tells the systems apart: the names of their files, or their paths where names repeat."""
    stems = Counter(Path(path).stem for path in score_files)
    return [Path(path).stem if stems[Path(path).stem] == 1 else str(path) for path in score_files]


def _evaluation_summary(systems: Sequence[EvaluatedSystem], threshold: float | None) -> Table:
    """Counts, equal error rate and the errors at the threshold, a row for each system."""
    rule = "the EER threshold" if threshold is None else f"{threshold:.6g}"
    rows = []
    for system in systems:
        bonafide, spoof = system.evaluation.bonafide, system.evaluation.spoof
        rejected, accepted = int((bonafide <= system.threshold).sum()), int((spoof > system.threshold).sum())
        rows.append((
            system.name,
            f"{bonafide.size + spoof.size:,}",
            f"{bonafide.size:,}",
            f"{spoof.size:,}",
            f"{100 * system.evaluation.eer:.2f}",
            f"{system.evaluation.eer_threshold:.6g}",
            f"{rejected:,} ({100 * rejected / bonafide.size:.2f} %)",
            f"{accepted:,} ({100 * accepted / spoof.size:.2f} %)",
        ))
    return Table(
        title="Summary",
        caption=f"A trial is judged bona fide when its score is above {rule}.",
        columns=(
            "system", "trials", "bona fide", "spoof", "EER (%)", "EER threshold",
            "bona fide judged spoof", "spoof judged bona fide",
        ),
        rows=rows,
    )  # fmt: skip


def _evaluation_plots(systems: Sequence[EvaluatedSystem]) -> list[Plot]:
    """The DET curves, a histogram for each system, and the attacks where they are known."""
    results = {system.name: system.evaluation for system in systems}
    plots = [det_plot({name: (result.bonafide, result.spoof) for name, result in results.items()})]
    for number, system in enumerate(systems, start=1):
        classes = {"bona fide": system.evaluation.bonafide, "spoof": system.evaluation.spoof}
        plots.append(score_histogram(f"scores-{number}", _histogram_title(system.name), classes, system.threshold))
    if systems[0].evaluation.per_attack:
        plots.append(attack_plot({name: result.per_attack for name, result in results.items()}))
    return plots


def _most_mistaken(systems: Sequence[EvaluatedSystem]) -> Iterator[Table]:
    """For each system and class the trials on the wrong side of the threshold that are farthest from it."""
    for system in systems:
        result = system.evaluation
        rejected = np.flatnonzero(result.is_bonafide & (result.scores <= system.threshold))
        accepted = np.flatnonzero(~result.is_bonafide & (result.scores > system.threshold))
        for label, verdict, wrong, n_trials, sign in (
            ("bona fide", "spoof", rejected, result.bonafide.size, 1),
            ("spoof", "bona fide", accepted, result.spoof.size, -1),
        ):
            worst = wrong[np.argsort(sign * result.scores[wrong], kind="stable")][:EXTREMES]
            shown = f"; the {len(worst)} most mistaken" if len(worst) < len(wrong) else ""
            yield Table(
                title=f"{system.name}: {label} judged {verdict}",
                caption=f"{len(wrong):,} of {n_trials:,} trials{shown}.",
                columns=("trial", "score"),
                rows=_listed(result.ids, result.scores, worst),
            )


def _score_summary(systems: Sequence[ScoredSystem], threshold: float | None) -> Table:
    """Counts, the range of the scores and the verdicts at the threshold, a row for each system."""
    rows = []
    for system in systems:
        low, median, high = np.quantile(system.scores, (0, 0.5, 1))
        row = [system.name, f"{system.scores.size:,}", *(f"{score:.6g}" for score in (low, median, high))]
        if threshold is not None:
            n_bonafide = int((system.scores > threshold).sum())
            row += [f"{n_bonafide:,}", f"{system.scores.size - n_bonafide:,}"]
        rows.append(row)
    columns = ["system", "trials", "lowest score", "median", "highest score"]
    caption = "No threshold is given, and so there are no verdicts."
    if threshold is not None:
        columns += ["judged bona fide", "judged spoof"]
        caption = f"A trial is judged bona fide when its score is above {threshold:.6g}."
    return Table("Summary", caption, columns, rows)


def _score_plots(systems: Sequence[ScoredSystem], threshold: float | None) -> list[Plot]:
    """A histogram for each system."""
    return [
        score_histogram(f"scores-{number}", _histogram_title(system.name), {"trials": system.scores}, threshold)
        for number, system in enumerate(systems, start=1)
    ]


def _extremes(systems: Sequence[ScoredSystem]) -> Iterator[Table]:
    """For each system the trials with the highest and with the lowest scores."""
    for system in systems:
        for title, sign in (("most bona fide", -1), ("most spoof", 1)):
            extremes = np.argsort(sign * system.scores, kind="stable")[:EXTREMES]
            yield Table(
                title=f"{system.name}: {title}",
                caption=f"The {len(extremes)} {'highest' if sign < 0 else 'lowest'} scores.",
                columns=("trial", "score"),
                rows=_listed(system.ids, system.scores, extremes),
            )


def _histogram_title(system: str) -> str:
    return f"Distribution of scores: {system}"


def _listed(ids: Sequence[str], scores: np.ndarray, chosen: np.ndarray) -> list[tuple[str, str]]:
    """The id and score of the chosen trials as cells of a table."""
    return [(ids[index], f"{scores[index]:.6g}") for index in chosen]
