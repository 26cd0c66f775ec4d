"""The tables of a report: the summary, the comparison of systems, and the worst errors."""

from collections.abc import Iterator, Sequence

import numpy as np

from protocols.corpora import find_corpus
from sls_plugin.evaluation.comparison import MAX_SYSTEMS, Pair
from sls_plugin.evaluation.evaluation import Evaluation
from sls_plugin.metrics.operating_point import Cuts
from sls_plugin.report.content import Data, EvaluatedSystem, ScoredSystem, Slider, Table
from sls_plugin.report.text import in_words, interval, p_value

WORST = 10  # trials in each list
SLIDER_STEPS = 401


def evaluation_summary(systems: Sequence[EvaluatedSystem], threshold: float | None) -> Table:
    """The figures of each system and its errors at the threshold, a row for each."""
    figures = [_figures(system) for system in systems]
    rule = "the EER threshold" if threshold is None else f"{threshold:.6g}"
    return Table(
        title="Summary",
        caption=" ".join([f"A trial is judged bona fide when its score is above {rule}.", *_sources(systems[0].evaluation)]),
        columns=["system", *figures[0]],
        rows=[(system.name, *cells.values()) for system, cells in zip(systems, figures, strict=True)],
    )


def slider(system: EvaluatedSystem) -> Slider:
    """The errors of a system at its threshold, and at others from the lowest score to the highest."""
    scored = system.evaluation.scored
    thresholds = Cuts(scored.scores, scored.is_bonafide).thresholds
    some = thresholds[np.unique(np.linspace(0, thresholds.size - 1, SLIDER_STEPS).round().astype(int))]
    chosen = np.unique([*some, system.threshold])
    points = [
        (float(threshold), 100 * float((scored.spoof > threshold).mean()), 100 * float((scored.bonafide <= threshold).mean()))
        for threshold in chosen
    ]
    return Slider(system.name, points, int(np.searchsorted(chosen, system.threshold)))


def words(systems: Sequence[EvaluatedSystem]) -> list[str]:
    """What the errors of each system at its threshold mean, a sentence each."""
    sentences = []
    for system in systems:
        scored = system.evaluation.scored
        misses = float((scored.spoof > system.threshold).mean())
        false_alarms = float((scored.bonafide <= system.threshold).mean())
        useless = "; guessing would do no worse" if misses + false_alarms >= 1 else ""
        sentences.append(f"{system.name}: {in_words(misses, false_alarms)}{useless}.")
    return sentences


def comparison(systems: Sequence[EvaluatedSystem], pairs: Sequence[Pair]) -> Table:
    """The difference of the equal error rates of each pair, a row for each."""
    rows = [(systems[pair.first].name, systems[pair.second].name, pair.comparison) for pair in pairs]
    cells = [
        (f"{100 * result.difference:.2f}", interval((result.low, result.high)), p_value(result.p_value, result.resolution))
        for _, _, result in rows
    ]
    caption = (
        "The first system of a pair has the higher EER, by the difference. Of intervals made like this one, 19 in 20 hold the "
        "true difference; where the p-value is above 0.05, chance alone may explain it."
    )
    if len(systems) > MAX_SYSTEMS:
        caption += f" Each of the {len(systems)} systems is compared with the best one only."
    return Table(
        title="Paired comparison",
        caption=caption,
        columns=("system", "compared with", "difference of the EER (points)", "95 % interval", "p-value"),
        rows=[(first, second, *shown) for (first, second, _), shown in zip(rows, cells, strict=True)],
        data=Data(
            "comparison",
            ("system", "compared with", "difference of the EER", "low", "high", "p-value"),
            [(first, second, result.difference, result.low, result.high, result.p_value) for first, second, result in rows],
        ),
    )


def worst_errors(systems: Sequence[EvaluatedSystem]) -> Iterator[Table]:
    """For each system and class the misjudged trials that are farthest from the threshold."""
    for system in systems:
        scored = system.evaluation.scored
        ids = [trial.id for trial in scored.trials]
        rejected = np.flatnonzero(scored.is_bonafide & (scored.scores <= system.threshold))
        accepted = np.flatnonzero(~scored.is_bonafide & (scored.scores > system.threshold))
        for label, verdict, wrong, n_trials, sign in (
            ("bona fide", "spoof", rejected, scored.bonafide.size, 1),
            ("spoof", "bona fide", accepted, scored.spoof.size, -1),
        ):
            worst = wrong[np.argsort(sign * scored.scores[wrong], kind="stable")][:WORST]
            cut = f"; the {len(worst)} worst" if len(worst) < len(wrong) else ""
            yield Table(
                title=f"{system.name}: {label} judged {verdict}",
                caption=f"{len(wrong):,} of {n_trials:,} trials{cut}.",
                columns=("trial", "score"),
                rows=_listed(ids, scored.scores, worst),
            )


def score_summary(systems: Sequence[ScoredSystem], threshold: float | None) -> Table:
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
    caption = "Without a threshold there are no verdicts."
    if threshold is not None:
        columns += ["judged bona fide", "judged spoof"]
        caption = f"A trial is judged bona fide when its score is above {threshold:.6g}."
    return Table("Summary", caption, columns, rows)


def _figures(system: EvaluatedSystem) -> dict[str, str]:
    """The cells of one system by their columns."""
    evaluation, scored = system.evaluation, system.evaluation.scored
    figures = {"EER (%)": f"{100 * evaluation.eer:.2f}"}
    if evaluation.eer_ci:
        figures["95 % interval"] = interval(evaluation.eer_ci)
    figures["EER threshold"] = f"{evaluation.eer_threshold:.6g}"
    if evaluation.asv_source:
        figures["min t-DCF (2021)"] = _cost(evaluation.min_tdcf)
        figures["min t-DCF (2019)"] = _cost(evaluation.min_tdcf_2019)
    figures["minDCF"] = _cost(evaluation.min_dcf)
    rejected, accepted = int((scored.bonafide <= system.threshold).sum()), int((scored.spoof > system.threshold).sum())
    figures["bona fide judged spoof"] = f"{rejected:,} ({100 * rejected / scored.bonafide.size:.2f} %)"
    figures["spoof judged bona fide"] = f"{accepted:,} ({100 * accepted / scored.spoof.size:.2f} %)"
    return figures


def _cost(cost: float | None) -> str:
    return "not defined" if cost is None else f"{cost:.4f}"


def _sources(evaluation: Evaluation) -> Iterator[str]:
    """The sources of the intervals and costs, the same for all systems."""
    if evaluation.eer_ci:
        drawn = "whole speakers" if evaluation.bootstrap.by_speaker else "trials within each class"
        yield f"95 % intervals of the EER from {evaluation.bootstrap.n_samples:,} resamples of {drawn}."
    if evaluation.asv_source:
        form = find_corpus(evaluation.scored.keys.corpus).keys.asv.tdcf_form
        yield (
            f"The min t-DCF is in the form of 2021 and in that of 2019; papers on this corpus report that of {form}. "
            f"ASV: {evaluation.asv_source}."
        )
    yield "The minDCF has the costs of ASVspoof 5."


def _listed(ids: Sequence[str], scores: np.ndarray, selected: np.ndarray) -> list[tuple[str, str]]:
    """The id and score of the selected trials as cells of a table."""
    return [(ids[index], f"{scores[index]:.6g}") for index in selected]
