"""An evaluation as a table for the terminal, at most 100 columns wide."""

from pathlib import Path

from .evaluation import Evaluation

_NAME_WIDTH = 60


def evaluation_table(evaluation: Evaluation, score_file: str | Path, negated: bool = False) -> str:
    """The counts, the equal error rate in percent with its threshold, and that of each attack, as lines of text."""
    keys = evaluation.keys
    facts = {
        "scores": shortened(Path(score_file).name, _NAME_WIDTH) + (" (negated)" if negated else ""),
        "corpus": keys.corpus,
        "phase": keys.phase,
        "trials": f"{len(evaluation.ids):,}: {len(evaluation.bonafide):,} bona fide, {len(evaluation.spoof):,} spoof",
        "EER": f"{100 * evaluation.eer:.3f} % at threshold {evaluation.eer_threshold:.6g}",
    }
    if evaluation.n_missing:
        facts["left out"] = f"{evaluation.n_missing:,} trials of the keys that have no score"
    lines = [f"{name:<10}{fact}" for name, fact in facts.items()]
    if evaluation.per_attack:
        names = {name: shortened(name, _NAME_WIDTH) for name in evaluation.per_attack}
        width = max(map(len, [*names.values(), "attack"]))
        lines += ["", f"{'attack':<{width}}{'spoofs':>12}{'EER (%)':>12}"]
        lines += [
            f"{names[name]:<{width}}{result.n_spoof:>12,}{100 * result.eer:>12.3f}"
            for name, result in evaluation.per_attack.items()
        ]
    return "\n".join(lines)


def shortened(name: str, width: int) -> str:
    """The name, or its beginning where it is longer than `width` characters."""
    return name if len(name) <= width else f"{name[: width - 1]}…"
