"""An evaluation as text for the terminal, at most 100 columns wide."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from protocols.corpora import find_corpus
from sls_plugin.evaluation.breakdown import GroupResult, OfficialTable
from sls_plugin.evaluation.evaluation import Evaluation
from sls_plugin.scores.decision import Decision

NAME_WIDTH = 60
P_RESOLUTION = 1e-4  # of a p-value from a distribution: its tails are approximate


def evaluation_text(evaluation: Evaluation, score_file: str | Path) -> str:
    """The counts, the figures, and the official table of the corpus or the rates of each attack and codec."""
    parts = ["\n".join(f"{name:<10}{fact}" for name, fact in _facts(evaluation, score_file).items())]
    if evaluation.table:
        parts += _official_tables(evaluation.table)
    else:
        parts += [
            _group_table(word, results)
            for word, results in (("attack", evaluation.per_attack), ("codec", evaluation.per_condition)) if results
        ]
    return "\n\n".join(parts)


def decision_text(decision: Decision) -> str:
    """The calibration, the threshold and the expected errors of a decision, each with its interval."""
    source, calibration = decision.source, decision.calibration
    n_trials = f"{source.n_bonafide + source.n_spoof:,}: {source.n_bonafide:,} bona fide, {source.n_spoof:,} spoof"
    drawn = f"{source.n_speakers:,} speakers" if source.n_speakers else "trials (speakers unknown, or too few)"
    facts = {
        "scores": shortened(source.scores, NAME_WIDTH),
        "corpus": f"{source.corpus}, phase {source.phase}, keys {shortened(source.keys, NAME_WIDTH)}",
        "trials": n_trials,
        "AUC": f"{decision.auc:.4f}, better than chance (p-value {p_value(decision.chance_p_value, P_RESOLUTION)})",
        "LLR": f"{calibration.weight:.6g} x score {calibration.offset:+.6g}",
        "": f"weight {_range(calibration.weight_interval)}, offset {_range(calibration.offset_interval)}",
        "threshold": f"{decision.threshold:.6g} {_range(decision.threshold_interval)}: {decision.rule}",
        "prior": f"{decision.prior:g} of bona fide, for probabilities",
        "95 %": f"intervals of LLR and threshold from {source.n_resamples:,} resamples of {drawn}",
    }
    if decision.max_error is not None:
        facts["undecided"] = f"from {decision.spoof_up_to:.6g} to {decision.bonafide_above:.6g}"
    width = max(map(len, facts)) + 1
    return "\n".join([*(f"{name:<{width}}{fact}" for name, fact in facts.items()), "", _expected_errors(decision)])


def in_words(misses: float, false_alarms: float) -> str:
    """Both error rates as a sentence on so many recordings that neither is less than one.

    >>> in_words(misses=0.071, false_alarms=0.068)
    'of 100 fakes it lets 7 pass, and of 100 real recordings it rejects 7'
    >>> in_words(misses=0, false_alarms=0.0021)
    'of 1,000 fakes it lets none pass, and of 1,000 real recordings it rejects 2'
    """
    n = next((n for n in (100, 1000, 10_000) if all(n * rate >= 1 for rate in (misses, false_alarms) if rate)), 100_000)
    passed, rejected = (f"{number:,}" if (number := round(n * rate)) else "none" for rate in (misses, false_alarms))
    return f"of {n:,} fakes it lets {passed} pass, and of {n:,} real recordings it rejects {rejected}"


def p_value(value: float, resolution: float) -> str:
    """A p-value, as "0.03"; one that the resolution of its test cannot distinguish from 0, as "< 0.002"."""
    return f"< {resolution:.2g}" if value <= resolution else f"{value:.2g}"


def shortened(name: str, width: int) -> str:
    """The name, or its beginning where it is longer than `width` characters."""
    return name if len(name) <= width else f"{name[: width - 1]}…"


def interval(ci: tuple[float, float], digits: int = 2) -> str:
    """An interval of rates in percent."""
    return f"[{100 * ci[0]:.{digits}f}, {100 * ci[1]:.{digits}f}]"


def _range(ci: tuple[float, float]) -> str:
    return f"[{ci[0]:.6g}, {ci[1]:.6g}]"


def _expected_errors(decision: Decision) -> str:
    """A line for each kind of error: its share, how often it was seen, and how many trials more would halve the interval."""
    shares = {
        "bona fide judged spoof": decision.errors.false_alarms,
        "spoof judged bona fide": decision.errors.misses,
        "bona fide undecided": decision.errors.undecided_bonafide,
        "spoof undecided": decision.errors.undecided_spoof,
    }
    lines = [f"{'expected':<24}{'%':>8}  {'95 % interval':<16}{'trials':>18}{'more to halve it':>20}"]
    for name, share in list(shares.items())[: 2 if decision.max_error is None else 4]:
        seen = f"{share.count:,} of {share.n_trials:,}"
        lines.append(f"{name:<24}{100 * share.value:>8.2f}  {interval(share.interval):<16}{seen:>18}{share.n_more:>20,}")
    return "\n".join(lines)


def _facts(evaluation: Evaluation, score_file: str | Path) -> dict[str, str]:
    """The facts that take one line each."""
    scored = evaluation.scored
    keys = scored.keys
    facts = {
        "scores": shortened(Path(score_file).name, NAME_WIDTH) + (" (negated)" if evaluation.negated else ""),
        "corpus": keys.corpus,
        "phase": keys.phase,
        "trials": f"{len(scored.trials):,}: {scored.bonafide.size:,} bona fide, {scored.spoof.size:,} spoof",
    }
    if scored.n_missing:
        facts["left out"] = f"{scored.n_missing:,} trials of the keys that have no score"
    facts["EER"] = f"{100 * evaluation.eer:.3f} % at threshold {evaluation.eer_threshold:.6g}"
    if evaluation.eer_ci:
        drawn = "speakers" if evaluation.bootstrap.by_speaker else "trials within each class"
        facts["95 %"] = f"{interval(evaluation.eer_ci, 3)} % from {evaluation.bootstrap.n_samples:,} resamples of {drawn}"
    if evaluation.asv_source:
        costs = {2021: evaluation.min_tdcf, 2019: evaluation.min_tdcf_2019}
        reported = find_corpus(keys.corpus).keys.asv.tdcf_form
        other = 2019 if reported == 2021 else 2021
        facts["min t-DCF"] = (
            f"{_number(costs[reported])} ({reported} form, which papers on this corpus report), "
            f"{_number(costs[other])} ({other} form)"
        )
        facts["ASV"] = evaluation.asv_source
    facts["minDCF"] = f"{evaluation.min_dcf:.4f} (costs of ASVspoof 5)"
    facts["actDCF"] = f"{evaluation.act_dcf:.4f}, Cllr {evaluation.cllr:.4f} bits (both take scores as log-likelihood ratios)"
    return facts


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4f}"


def _group_table(word: str, results: Mapping[str, GroupResult]) -> str:
    """A line for each attack or codec."""
    names = {name: shortened(name, NAME_WIDTH) for name in results}
    width = max(map(len, [*names.values(), word]))
    lines = [f"{word:<{width}}{'bona fide':>12}{'spoofs':>12}{'EER (%)':>12}"]
    lines += [
        f"{names[name]:<{width}}{result.n_bonafide:>12,}{result.n_spoof:>12,}{_cell(100 * result.eer, 3):>12}"
        for name, result in results.items()
    ]
    return "\n".join(lines)


def _official_tables(table: OfficialTable) -> list[str]:
    """The table of error rates and, where there is an ASV system, that of the t-DCF; the longer side becomes the rows."""
    parts = [("EER (%)", 100 * table.eer, 2)]
    if table.min_tdcf is not None:
        parts.append(("min t-DCF (2021 form)", table.min_tdcf, 4))
    if len(table.rows) < len(table.columns):
        return [_grid(title, table.columns, table.rows, cells.T, digits) for title, cells, digits in parts]
    return [_grid(title, table.rows, table.columns, cells, digits) for title, cells, digits in parts]


def _grid(title: str, rows: Sequence[str], columns: Sequence[str], cells: np.ndarray, digits: int) -> str:
    """A table whose header has one word of each column's name per line."""
    words = [column.split("_") for column in columns]
    height = max(map(len, words))
    headers = [[""] * (height - len(column)) + column for column in words]
    name_width = max(map(len, rows)) + 1
    widths = [max(7, *map(len, header)) + 2 for header in headers]
    lines = [title]
    lines += [
        " " * name_width + "".join(f"{header[line]:>{width}}" for header, width in zip(headers, widths, strict=True))
        for line in range(height)
    ]
    lines += [
        f"{row:<{name_width}}" + "".join(f"{_cell(cell, digits):>{width}}" for cell, width in zip(values, widths, strict=True))
        for row, values in zip(rows, cells, strict=True)
    ]
    return "\n".join(lines)


def _cell(value: float, digits: int) -> str:
    """A number, or a dash where it is undefined."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
