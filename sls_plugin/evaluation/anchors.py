"""Published error rates of public checkpoints: what scores of the same file on the same trials must come to.

Sources: "paper" is the authors' (named in `title`; the figures of Nes2Net-X are those of its README, github.com/Liu-Tianchi/
Nes2Net_ASVspoof_ITW); "Arena" is the Speech Anti-Spoofing Arena, which scored the authors' files again in float32 (model cards of
huggingface.co/SpeechAntiSpoofingBenchmarks, and docs/plans of github.com/lab260ru/speech_spoof_bench).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PAPER, ARENA = "paper", "Arena"
CLIP = 64_600  # samples at 16 kHz, from the start of the recording

# All trials of a corpus, by phase.
N_TRIALS = {
    "asvspoof2019-la": {"eval": 71_237},
    "asvspoof2021-la": {"eval": 148_176, "all": 181_566},
    "asvspoof2021-df": {"eval": 533_928, "all": 611_829},
    "asvspoof5": {"eval": 680_774},
    "in-the-wild": {"eval": 31_779},
}


@dataclass(frozen=True, slots=True)
class Anchor:
    """A published EER in percent, and what it is of; `clip` in samples at 16 kHz, None for whole utterances."""

    corpus: str
    phase: str
    eer: float
    clip: int | None
    source: str


@dataclass(frozen=True, slots=True)
class PublicCheckpoint:
    """A file, or the mean of several, that its authors offer. Checkpoints of one `detector` have the same architecture."""

    title: str
    detector: str
    anchors: tuple[Anchor, ...]


def _paper(eers: Mapping[str, float], clip: int | None = CLIP) -> Iterator[Anchor]:
    """Figures of phase eval, by corpus."""
    return (Anchor(corpus, "eval", eer, clip, PAPER) for corpus, eer in eers.items())


def _arena(eers: Mapping[str, float]) -> Iterator[Anchor]:
    """Figures of all phases, where the corpus has several."""
    return (Anchor(corpus, "all" if "all" in N_TRIALS[corpus] else "eval", eer, CLIP, ARENA) for corpus, eer in eers.items())


CHECKPOINTS = {
    "sls": PublicCheckpoint(
        "XLS-R + SLS, MMpaper_model.pth (Zhang et al. 2024)",
        "sls_xlsr_300m",
        (
            *_paper({"asvspoof2021-la": 2.87, "asvspoof2021-df": 1.92, "in-the-wild": 7.46}),
            *_arena({
                "asvspoof2019-la": 0.231, "asvspoof2021-la": 7.392, "asvspoof2021-df": 3.931, "in-the-wild": 7.456,
                "asvspoof5": 18.76,
            }),
        ),
    ),
    "ssl_antispoofing_la": PublicCheckpoint(
        "XLS-R + AASIST, LA_model.pth (Tak et al. 2022)",
        "xlsr_aasist_300m",
        (
            *_paper({"asvspoof2021-la": 0.82}),
            *_arena({
                "asvspoof2019-la": 0.224, "asvspoof2021-la": 8.113, "asvspoof2021-df": 8.318, "in-the-wild": 11.222,
                "asvspoof5": 16.25,
            }),
        ),
    ),
    "ssl_antispoofing_df": PublicCheckpoint(
        "XLS-R + AASIST, Best_LA_model_for_DF.pth (Tak et al. 2022)",
        "xlsr_aasist_300m",
        (*_paper({"asvspoof2021-df": 2.85}),),
    ),
    "xlsr_mamba_la": PublicCheckpoint(
        "XLSR-Mamba, the model for LA (Xiao, Das 2025)",
        "xlsr_mamba_300m",
        (*_paper({"asvspoof2021-la": 0.93}, clip=66_800), *_arena({"asvspoof2019-la": 0.42, "asvspoof2021-la": 6.40})),
    ),
    "xlsr_mamba_df": PublicCheckpoint(
        "XLSR-Mamba, the model for DF (Xiao, Das 2025)",
        "xlsr_mamba_300m",
        (
            *_paper({"asvspoof2021-df": 1.88, "in-the-wild": 6.71}, clip=66_800),
            *_arena({"asvspoof2019-la": 0.17, "asvspoof2021-la": 7.43}),
        ),
    ),
    "nes2net_x": PublicCheckpoint(
        "XLS-R + Nes2Net-X, one checkpoint (Liu et al. 2025)",
        "xlsr_nes2net_x_300m",
        (
            *_paper({"asvspoof2021-la": 1.73, "asvspoof2021-df": 1.65}),
            *_paper({"in-the-wild": 5.52}, clip=None),
            *_arena({
                "asvspoof2019-la": 0.128, "asvspoof2021-la": 6.141, "asvspoof2021-df": 3.614, "in-the-wild": 8.476,
                "asvspoof5": 22.25,
            }),
        ),
    ),
    "nes2net_x_mean3": PublicCheckpoint(
        "XLS-R + Nes2Net-X, mean of 3 checkpoints (Liu et al. 2025)",
        "xlsr_nes2net_x_300m",
        (*_paper({"asvspoof2021-la": 1.66, "asvspoof2021-df": 1.54}),),
    ),
    "nes2net_x_mean5": PublicCheckpoint(
        "XLS-R + Nes2Net-X, mean of 5 checkpoints (Liu et al. 2025)",
        "xlsr_nes2net_x_300m",
        (*_paper({"asvspoof2021-la": 1.88, "asvspoof2021-df": 1.49}), *_paper({"in-the-wild": 5.15}, clip=None)),
    ),
    "conformer_tcm": PublicCheckpoint(
        "XLS-R + Conformer + TCM, mean of 5 checkpoints (Truong et al. 2024)",
        "xlsr_conformer_tcm_300m",
        (*_paper({"asvspoof2021-la": 1.03, "asvspoof2021-df": 2.06, "in-the-wild": 7.79}, clip=66_800),),
    ),
    "aasist": PublicCheckpoint(
        "AASIST (Jung et al. 2022)",
        "aasist",
        (
            *_paper({"asvspoof2019-la": 0.83}),
            *_arena({
                "asvspoof2019-la": 0.829, "asvspoof2021-la": 12.346, "asvspoof2021-df": 17.040, "in-the-wild": 43.015,
            }),
        ),
    ),
    "aasist_l": PublicCheckpoint(
        "AASIST-L (Jung et al. 2022)",
        "aasist",
        (
            *_paper({"asvspoof2019-la": 0.99}),
            *_arena({"asvspoof2019-la": 0.99, "asvspoof2021-la": 13.15, "asvspoof2021-df": 15.96, "in-the-wild": 44.45}),
        ),
    ),
    "rawgat_st": PublicCheckpoint(
        "RawGAT-ST with multiplied graphs (Tak et al. 2021)", "rawgat_st", (*_paper({"asvspoof2019-la": 1.06}),)
    ),
    "oc_softmax": PublicCheckpoint(
        "LFCC + ResNet-18 + OC-Softmax (Zhang et al. 2021)", "oc_softmax", (*_paper({"asvspoof2019-la": 2.19}, clip=120_000),)
    ),
}  # fmt: skip
