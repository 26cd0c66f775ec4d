"""ASVspoof 2019, physical access (PA): simulated replay. Its files have the columns of LA.

`PA.zip` (17.7 GB) is on https://datashare.ed.ac.uk/handle/10283/3336, which has no permanent link to it.
"""

from functools import partial

from protocols.corpus import ASVSystem, Corpus, KeyLayout, Reader, Track
from protocols.published import PublishedCount

from .asvspoof2019_la import find_asv_scores, key_places, read_protocol, read_trials

CORPUS = Corpus(
    name="asvspoof2019-pa",
    title="ASVspoof 2019, physical access",
    reader=Reader(
        read_trials,
        "--protocol ASVspoof2019.PA.cm.{train.trn,dev.trl,eval.trl}.txt",
        required=["protocol"],
        optional=["allow_missing"],
    ),
    keys=KeyLayout(
        key_places("PA"),
        read_protocol,
        "the protocol of a subset; ASV scores in PA/ASVspoof2019_PA_asv_scores",
        phase_from_id=True,
        asv=ASVSystem(partial(find_asv_scores, "PA"), tdcf_form=2019),
    ),
    # Wang et al., "ASVspoof 2019: a large-scale public database of synthesized, converted and replayed speech" (2020).
    counts={
        "ASVspoof2019.PA.cm.train.trn.txt": PublishedCount(5_400, 48_600, "PA.zip"),
        "ASVspoof2019.PA.cm.dev.trl.txt": PublishedCount(5_400, 24_300, "PA.zip"),
        "ASVspoof2019.PA.cm.eval.trl.txt": PublishedCount(18_090, 116_640, "PA.zip"),
    },
    track=Track("ASVspoof2019_PA_eval", protocol="ASVspoof2019.PA.cm.eval.trl.txt"),
)
