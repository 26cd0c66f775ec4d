"""The detectors of the plugin, for those who have to choose one."""

from dataclasses import dataclass

from fairseq_ckpt.layouts import LAYOUTS


@dataclass(frozen=True, slots=True)
class Entry:
    """One architecture at its published size; `eer` as published, in percent, None where the authors give none.

    GFLOP count a multiplication and an addition as two, for one clip of 64,600 samples. `clips` are the lengths that the
    published model takes, in samples at 16 kHz.
    """

    arch: str
    n_parameters: int
    gflop: float
    clips: str
    eer_2019_la: float | None = None
    eer_2021_la: float | None = None
    eer_2021_df: float | None = None
    eer_in_the_wild: float | None = None

    @property
    def layout(self) -> str | None:
        """The layout of the original authors' checkpoints of it, as fairseq_ckpt names it; None where none were published."""
        names = (layout.name for layout in LAYOUTS if self.arch in (layout.name, *layout.architectures))
        return next(names, None)


# Trained on ASVspoof 2019 LA, phase eval; the figures are those of the papers, not of this project.
DETECTORS = (
    Entry("sls_xlsr_300m", 340_790_021, 144.9, "64,400-65,359", eer_2021_la=2.87, eer_2021_df=1.92, eer_in_the_wild=7.46),
    Entry("xlsr_aasist_300m", 317_837_834, 146.2, "any", eer_2021_la=0.82, eer_2021_df=2.85, eer_in_the_wild=10.46),
    Entry("xlsr_mamba_300m", 319_327_542, 145.5, "any; 66,800", eer_2021_la=0.93, eer_2021_df=1.88, eer_in_the_wild=6.71),
    Entry("xlsr_linear_300m", 317_784_835, 144.9, "any; 80,000"),
    Entry("aasist", 297_866, 19.1, "any", eer_2019_la=0.83),
    Entry("aasist_l", 85_306, 13.2, "any", eer_2019_la=0.99),
    Entry("rawgat_st", 437_034, 37.0, "64,600"),
    Entry("rawnet2", 17_621_410, 4.2, "any"),
    Entry("prosody_encoder", 5_035_970, 8.2, "any; 64,000"),
)
