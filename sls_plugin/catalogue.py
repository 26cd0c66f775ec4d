"""The detectors of the plugin, for those who have to choose one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Detector:
    """One architecture at its published size; `eer` as published, in percent, None where the authors give none.

    GFLOP count a multiplication and an addition as two, for one clip of 64,600 samples. `clips` are the lengths that the
    published model takes, in samples at 16 kHz.
    """

    arch: str
    title: str
    n_parameters: int
    gflop: float
    clips: str
    eer_2019_la: float | None = None
    eer_2021_la: float | None = None
    eer_2021_df: float | None = None
    eer_in_the_wild: float | None = None


# Trained on ASVspoof 2019 LA, phase eval; the figures are those of the papers, not of this project.
DETECTORS = (
    Detector(
        "sls_xlsr_300m", "XLS-R + SLS", 340_790_021, 145.5, "64,400-65,359",
        eer_2021_la=2.87, eer_2021_df=1.92, eer_in_the_wild=7.46,
    ),
    Detector(
        "xlsr_aasist_300m", "XLS-R + AASIST", 317_837_834, 146.8, "any",
        eer_2021_la=0.82, eer_2021_df=2.85, eer_in_the_wild=10.46,
    ),
    Detector(
        "xlsr_mamba_300m", "XLSR-Mamba", 319_327_542, 146.1, "any; 66,800",
        eer_2021_la=0.93, eer_2021_df=1.88, eer_in_the_wild=6.71,
    ),
    Detector("xlsr_linear_300m", "XLS-R + pooling", 317_784_835, 145.5, "any; 80,000"),
    Detector("aasist", "AASIST", 297_866, 19.1, "any", eer_2019_la=0.83),
    Detector("aasist_l", "AASIST-L", 85_306, 13.2, "any", eer_2019_la=0.99),
    Detector("rawgat_st", "RawGAT-ST", 437_034, 37.0, "64,600"),
    Detector("rawnet2", "RawNet2", 17_621_410, 4.2, "any"),
    Detector("prosody_encoder", "Prosody encoder", 5_035_970, 8.2, "any; 64,000"),
)  # fmt: skip
