"""ASVspoof 2021, logical access (LA): the attacks of 2019 over telephone codecs."""

from collections.abc import Collection, Iterator
from pathlib import Path

from protocols.columns import read_columns
from protocols.corpus import ASVSystem, Corpus, KeyLayout, Reader, ResultTable, Track
from protocols.published import Download, Part, PublishedCount, published_file, zenodo_file
from protocols.speaker_verification import ASVScores, find_beside, read_asv_2021
from protocols.trial import Trial
from protocols.trial_list import keyed_reader

COLUMNS = ("speaker", "id", "codec", "transmission", "attack", "label", "trim", "phase")
PLACES = ("keys/LA/CM/trial_metadata.txt", "LA/CM/trial_metadata.txt", "CM/trial_metadata.txt", "trial_metadata.txt")


def read_key(path: Path) -> Iterator[Trial]:
    """The trials of the key, without recordings; facts: speaker, codec, transmission, attack, trim, phase.

    The phase is progress, eval or hidden. Raises DataError on the first line that is not a trial.
    """
    return read_columns(path, COLUMNS, {13: "this is the key of DF: name that of LA"})


# Of the list `ASVspoof2021.LA.cm.eval.trl.txt`, of the key package (file or folder), or of both.
read_trials = keyed_reader(read_key, PLACES, "keys of ASVspoof 2021 LA")


def find_asv_scores(key: Path, phases: Collection[str]) -> ASVScores | None:
    """The ASV scores and their key in the folder ASV beside CM."""
    score_file, key_file = find_beside(key, ["ASV/ASVTorch_Kaldi/score.txt"]), find_beside(key, ["ASV/trial_metadata.txt"])
    return read_asv_2021(score_file, key_file) if score_file and key_file else None


CORPUS = Corpus(
    name="asvspoof2021-la",
    title="ASVspoof 2021, logical access",
    aliases=("2021la",),
    reader=Reader(
        read_trials,
        "--protocol ASVspoof2021.LA.cm.eval.trl.txt, which has no labels, or --keys DIR, "
        "the unpacked key package (keys/LA/CM/trial_metadata.txt), or both",
        one_of=["protocol", "keys"],
        optional=["allow_missing"],
    ),
    keys=KeyLayout(
        PLACES,
        read_key,
        "keys/LA/CM/trial_metadata.txt; ASV scores in keys/LA/ASV",
        asv=ASVSystem(find_asv_scores, tdcf_form=2021),
        table=ResultTable(
            "attack",
            ("A07", "A08", "A09", "A10", "A11", "A12", "A13", "A14", "A15", "A16", "A17", "A18", "A19"),
            "codec",
            ("none", "alaw", "pstn", "g722", "ulaw", "gsm", "opus"),
        ),
    ),
    counts={"": PublishedCount(18_452, 163_114, "ASVspoof2021_LA_eval.tar.gz")},
    track=Track("ASVspoof2021_LA_eval", keys="LA/CM/trial_metadata.txt"),
    download=Download(
        "https://zenodo.org/records/4837263",
        "ODC-By 1.0",
        {
            "LA": Part(
                7.8,
                [
                    zenodo_file(4837263, "ASVspoof2021_LA_eval.tar.gz", md5="2abee34d8b0b91159555fc4f016e4562"),
                    published_file(
                        "https://www.asvspoof.org/asvspoof2021/LA-keys-full.tar.gz", md5="037592a0515971bbd0fa3bff2bad4abc"
                    ),
                ],
                ["--audio ./ASVspoof2021_LA_eval --keys ./keys --check"],
            )
        },
    ),
)
