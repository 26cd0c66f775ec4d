"""The comparison with published error rates as text for the terminal, at most 100 columns wide."""

import textwrap
from pathlib import Path

from sls_plugin.evaluation.anchor_check import AnchorCheck, Comparison, Reason, clip_text
from sls_plugin.evaluation.anchors import CHECKPOINTS
from sls_plugin.report.text import NAME_WIDTH, shortened

WIDTH = 98
FITS = {True: "YES", False: "no", None: "?"}


def anchor_text(name: str, path: Path, check: AnchorCheck) -> str:
    """The table of figures, the reasons that were tried, and the verdict with what to do next."""
    title = f"checkpoint  {name}: {CHECKPOINTS[name].title}\nscores      {shortened(path.name, NAME_WIDTH)}"
    header = f"{'phase':<7}{'trials':>8}{'EER (%)':>9}  {'95 % interval':<16}{'published':>9}  {'clips':<17}{'source':<7}verdict"
    parts = [title, "\n".join([header, *map(_row, check.comparisons)])]
    if check.reasons:
        parts.append("known reasons for a difference, tried on these scores:\n" + "\n".join(map(_reason, check.reasons)))
    return "\n\n".join([*parts, "\n".join(_filled(label, text) for label, text in _verdict(check))])


def _row(comparison: Comparison) -> str:
    anchor, result = comparison.anchor, comparison.result
    interval = f"[{result.low:.2f}, {result.high:.2f}]"
    verdict = "the same" if comparison.is_equal else "within the interval" if comparison.agrees else "differs"
    return (
        f"{result.phase:<7}{result.n_trials:>8,}{result.eer:>9.3f}  {interval:<16}{anchor.eer:>9g}  {clip_text(anchor.clip):<17}"
        f"{anchor.source:<7}{verdict}"
    )


def _reason(reason: Reason) -> str:
    return textwrap.fill(
        f"  {reason.name:<12}{FITS[reason.fits]:<5}{reason.seen}", WIDTH, subsequent_indent=" " * 19, break_on_hyphens=False
    )


def _filled(label: str, text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=f"{label:<9}", subsequent_indent=" " * 9, break_on_hyphens=False)


def _verdict(check: AnchorCheck) -> list[tuple[str, str]]:
    """Labelled sentences."""
    fitting = [reason for reason in check.reasons if reason.fits]
    nexts = [("next", f"{reason.name}: {reason.remedy}") for reason in fitting]
    if check.is_equal:
        return [("verdict", "the same up to rounding: this installation computes what was published"), *nexts]
    if check.agrees:
        doubt = "the published figures lie within the interval, but the same file on the same trials should give the same figure"
        return [("verdict", doubt), *(nexts or _UNEXPLAINED)]
    if fitting:
        return [("verdict", f"differs; what fits: {', '.join(reason.name for reason in fitting)}"), *nexts]
    return [("verdict", "differs, and no known reason fits"), *_UNEXPLAINED]


_UNEXPLAINED = [
    ("next", "compare the hash of the checkpoint: `python -m fairseq_ckpt verify`"),
    ("", "score it again in float32 on the organisers' own recordings: `sls prepare --check`, `sls score`"),
    ("", "see which attacks differ: `sls evaluate`"),
]
