"""What channels do to a detector: its errors and scores under each condition, beside those on clean recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sls_plugin.evaluation.evaluation import Bootstrap, eer_samples
from sls_plugin.evaluation.scored_trials import ScoredTrials
from sls_plugin.metrics.bootstrap import PairedComparison, compare_paired, confidence_interval
from sls_plugin.metrics.det import equal_error_rate

CLEAN = "clean"
BATTERY = {
    "alaw": "codec:alaw", "ulaw": "codec:ulaw", "gsm": "codec:gsm", "mp3_64": "codec:mp3,kbps=64", "mp3_24": "codec:mp3,kbps=24",
    "opus_32": "codec:opus,kbps=32", "opus_12": "codec:opus,kbps=12", "vorbis": "codec:vorbis", "8_khz": "resampling:8000",
    "11_khz": "resampling:11025", "telephone_band": "band_pass", "white_noise_20_db": "noise:white,snr=20",
    "white_noise_10_db": "noise:white,snr=10", "pink_noise_10_db": "noise:pink,snr=10", "quiet": "level:-40",
    "clipped": "clipping:10", "packet_loss": "packet_loss:0.05", "faster": "speed:1.1",
    "trimmed": "silence:trim", "sign_turned": "phase:180",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ConditionResult:
    """A detector under one condition; rates are fractions.

    `difference` is its EER minus that on the clean recordings, of the same trials; None for those and without a bootstrap, as
    `eer_ci` (95 %). The shifts are those of the mean scores of a class, in standard deviations of its clean scores.
    `false_rejection` and `false_acceptance` are what the threshold of the clean EER errs, in bona fide speech and in spoofs.
    """

    name: str
    eer: float
    eer_ci: tuple[float, float] | None
    difference: PairedComparison | None
    bonafide_shift: float
    spoof_shift: float
    false_rejection: float
    false_acceptance: float


def compare_with_clean(systems: Mapping[str, ScoredTrials], bootstrap: Bootstrap | None) -> list[ConditionResult]:
    """The results of all conditions in order, on the same trials; `systems` has one named `clean`."""
    clean = systems[CLEAN]
    _, threshold = equal_error_rate(clean.bonafide, clean.spoof)
    eers = {name: equal_error_rate(scored.bonafide, scored.spoof)[0] for name, scored in systems.items()}
    samples = eer_samples(list(systems.values()), bootstrap).T if bootstrap else [None] * len(systems)
    by_name = dict(zip(systems, samples, strict=True))
    return [_result(name, systems, eers, by_name, threshold) for name in systems]


def _result(
    name: str,
    systems: Mapping[str, ScoredTrials],
    eers: Mapping[str, float],
    samples: Mapping[str, np.ndarray | None],
    threshold: float,
) -> ConditionResult:
    scored, clean, difference = systems[name], systems[CLEAN], None
    if name != CLEAN and samples[name] is not None:
        difference = compare_paired((eers[name], eers[CLEAN]), np.stack([samples[name], samples[CLEAN]], axis=1))
    return ConditionResult(
        name=name,
        eer=eers[name],
        eer_ci=None if samples[name] is None else confidence_interval(samples[name]),
        difference=difference,
        bonafide_shift=_shift(scored.bonafide, clean.bonafide),
        spoof_shift=_shift(scored.spoof, clean.spoof),
        false_rejection=float(np.mean(scored.bonafide <= threshold)),
        false_acceptance=float(np.mean(scored.spoof > threshold)),
    )


def _shift(scores: np.ndarray, clean: np.ndarray) -> float:
    """The difference of two means in standard deviations of the second; 0 where they are equal, whatever the spread."""
    difference = float(scores.mean() - clean.mean())
    return difference / float(clean.std()) if difference else 0.0


def worst_first(results: Sequence[ConditionResult]) -> list[ConditionResult]:
    """The clean recordings, then the conditions with the highest EER first."""
    return sorted(results, key=lambda result: (result.name != CLEAN, -result.eer))
