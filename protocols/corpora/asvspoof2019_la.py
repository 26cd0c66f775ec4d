"""ASVspoof 2019, logical access (LA): text to speech and voice conversion."""

from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from protocols.columns import read_columns
from protocols.corpus import ASVRates, ASVSystem, Corpus, KeyLayout, Reader, Track
from protocols.published import Download, Part, PublishedCount, published_file
from protocols.recordings import with_line_numbers, with_recordings
from protocols.speaker_verification import ASVScores, find_beside, read_asv_2019
from protocols.trial import Trial

COLUMNS = ("speaker", "id", "environment", "attack", "label")


def read_protocol(protocol: Path) -> Iterator[Trial]:
    """The trials of a countermeasure protocol of LA or PA, without their recordings.

    Facts: speaker, attack (`-` for bona fide, as in the file) and, in PA, environment.
    Raises DataError on the first line that is not a trial.
    """
    return read_columns(protocol, COLUMNS)


def read_trials(audio: Path, protocol: Path, allow_missing: bool = False) -> list[Trial]:
    """The trials of `ASVspoof2019.{LA,PA}.cm.{train.trn,dev.trl,eval.trl}.txt`, in its order.

    `audio` is the folder that holds the recordings or its parent, e.g. `LA/ASVspoof2019_LA_eval`.
    Raises DataError as `read_protocol` and `with_recordings` do.
    """
    return with_recordings(with_line_numbers(protocol, read_protocol(protocol)), audio, allow_missing)


def find_asv_scores(access: str, protocol: Path, phases: Collection[str]) -> ASVScores | None:
    """The ASV scores of the same subset of LA or PA, beside the protocol or in a folder beside its folder."""
    if len(phases) != 1:
        return None
    name = f"ASVspoof2019.{access}.asv.{next(iter(phases))}.gi.trl.scores.txt"
    scores = find_beside(protocol, (name, f"ASVspoof2019_{access}_asv_scores/{name}"))
    return read_asv_2019(scores) if scores else None


def key_places(access: str) -> tuple[str, ...]:
    """Where the protocol of the evaluation subset of LA or PA lies."""
    name, folder = f"ASVspoof2019.{access}.cm.eval.trl.txt", f"ASVspoof2019_{access}_cm_protocols"
    return (name, f"{folder}/{name}", f"{access}/{folder}/{name}")


def _manifest(split: str, protocol: str) -> str:
    protocol = f"./LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{protocol}.txt"
    return f"--audio ./LA/ASVspoof2019_LA_{split} --protocol {protocol} --split {split} --check"


CORPUS = Corpus(
    name="asvspoof2019-la",
    title="ASVspoof 2019, logical access",
    aliases=("2019la", "asvspoof2019"),
    reader=Reader(
        read_trials,
        "--protocol ASVspoof2019.LA.cm.{train.trn,dev.trl,eval.trl}.txt",
        required=["protocol"],
        optional=["allow_missing"],
    ),
    keys=KeyLayout(
        key_places("LA"),
        read_protocol,
        "the protocol of a subset; ASV scores in LA/ASVspoof2019_LA_asv_scores",
        phase_from_id=True,
        asv=ASVSystem(
            partial(find_asv_scores, "LA"),
            tdcf_form=2019,
            # At the EER threshold of the organisers' system, -5.680051.
            published_rates=ASVRates(
                ids="LA_E_", miss=132 / 5370, false_acceptance=820 / 33327, spoof_acceptance=48592 / 63882
            ),
        ),
    ),
    # Wang et al., "ASVspoof 2019: a large-scale public database of synthesized, converted and replayed speech" (2020).
    counts={
        "ASVspoof2019.LA.cm.train.trn.txt": PublishedCount(2_580, 22_800, "LA.zip"),
        "ASVspoof2019.LA.cm.dev.trl.txt": PublishedCount(2_548, 22_296, "LA.zip"),
        "ASVspoof2019.LA.cm.eval.trl.txt": PublishedCount(7_355, 63_882, "LA.zip"),
    },
    track=Track("ASVspoof2019_LA_eval", protocol="ASVspoof2019.LA.cm.eval.trl.txt"),
    download=Download(
        "https://datashare.ed.ac.uk/handle/10283/3336",
        "ODC-By 1.0",
        {
            "LA": Part(
                7.6,
                [
                    published_file(
                        "https://datashare.ed.ac.uk/server/api/core/bitstreams/a9f87c35-f055-4015-80e2-2fdff0d46269/content",
                        7_640_952_520,
                        "30c98f11d8b2bc21f2c257bfd78bb5c5",
                        "LA.zip",
                    )
                ],
                [_manifest("train", "train.trn"), _manifest("dev", "dev.trl"), _manifest("eval", "eval.trl")],
            )
        },
    ),
)
