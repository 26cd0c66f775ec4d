"""XLS-R + MHFA: a pooling of speaker verification over all hidden states. No detector's checkpoint has been published."""

from fairseq_ckpt.published_detector import Card, PublishedDetector

DETECTOR = PublishedDetector(
    name="xlsr_mhfa",
    cards=(Card("xlsr_mhfa_300m", "XLS-R + MHFA", 318_706_516, 144.9, "any"),),
    citation="Peng, Plchot, Stafylakis, Mosner, Burget, Cernocky: An Attention-Based Backend Allowing Efficient Fine-Tuning of "
    "Transformer Models for Speaker Verification. SLT 2022",
    trained_on="ASVspoof 2019 LA",
)
