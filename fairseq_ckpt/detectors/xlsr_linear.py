"""Two-stage XLS-R: the last hidden state, pooled by attention, and a small classifier. Its authors published no checkpoint."""

from fairseq_ckpt.published_detector import Card, PublishedDetector

DETECTOR = PublishedDetector(
    name="xlsr_linear",
    cards=(Card("xlsr_linear_300m", "XLS-R + attention pooling, two stages", 317_784_835, 144.9, "any; 80,000"),),
    citation="github.com/hhuydaugg/wav2vec2",
    trained_on="ASVspoof 2019 LA",
)
