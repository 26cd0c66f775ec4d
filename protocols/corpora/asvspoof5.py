"""ASVspoof 5, track 1: stand-alone detection of crowdsourced speech and its deepfakes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from protocols.columns import named_columns, parse_columns, parse_table, read_columns
from protocols.corpus import Corpus, KeyLayout, Reader, ResultTable, Track
from protocols.files import read_lines
from protocols.published import Download, Part, PublishedCount, zenodo_file
from protocols.recordings import with_line_numbers, with_recordings
from protocols.trial import Trial

# The codec's seed, which names the utterance that was coded, is ignored: it differs for almost every trial.
COLUMNS = ("speaker", "id", "gender", "codec", "codec_q", "-", "attack_tag", "attack", "label", "-")
PLACES = (
    "ASVspoof5.eval.track_1.tsv",
    "ASVspoof5_protocols/ASVspoof5.eval.track_1.tsv",
    "ASVspoof5.dev.track_1.tsv",
    "ASVspoof5_protocols/ASVspoof5.dev.track_1.tsv",
)


def read_protocol(path: Path) -> Iterator[Trial]:
    """The trials of a protocol, without their recordings.

    Facts: speaker, gender, codec (none when not coded), codec_q, attack_tag, attack (`bonafide` for bona fide, as in the
    file). Raises DataError on the first line that is not a trial.
    """
    return read_columns(path, COLUMNS)


def read_key(path: Path) -> Iterator[Trial]:
    """The trials of a protocol, or of a key of the organisers' evaluation package, which has a header `filename cm-label`."""
    lines = read_lines(path)
    columns, delimiter = named_columns(lines[0], "id", "label")
    return parse_table(path, lines, columns, delimiter) if columns else parse_columns(path, lines, COLUMNS)


def read_trials(audio: Path, protocol: Path, allow_missing: bool = False) -> list[Trial]:
    """The trials of `ASVspoof5.{train,dev.track_1,eval.track_1}.tsv`, in its order.

    `audio` is the folder that holds the recordings, or the parent of `flac_T`, `flac_D`, `flac_E_eval`.
    Raises DataError as `read_protocol` and `with_recordings` do.
    """
    return with_recordings(with_line_numbers(protocol, read_protocol(protocol)), audio, allow_missing)


def _part(split: str, letter: str, gigabytes: float, protocol: str, audio: str, md5s: Sequence[str]) -> Part:
    archives = [zenodo_file(14498691, f"flac_{letter}_a{'abcdefghij'[index]}.tar", md5=md5) for index, md5 in enumerate(md5s)]
    protocols = zenodo_file(14498691, "ASVspoof5_protocols.tar.gz", md5="865d0e894ea9f686f0f37e5ae3ae3616")
    manifest = f"--audio ./{audio} --protocol ./**/{protocol} --split {split} --check"
    return Part(gigabytes, [protocols, *archives], [manifest])


CORPUS = Corpus(
    name="asvspoof5",
    title="ASVspoof 5, track 1",
    reader=Reader(
        read_trials,
        "--protocol ASVspoof5.{train,dev.track_1,eval.track_1}.tsv",
        required=["protocol"],
        optional=["allow_missing"],
    ),
    keys=KeyLayout(
        PLACES,
        read_key,
        "ASVspoof5.{dev,eval}.track_1.tsv, or a key with a header `filename cm-label`",
        phase_from_id=True,
        table=ResultTable("attack", (), "codec", ()),  # dev and eval have other attacks
    ),
    counts={  # the README of the corpus
        "ASVspoof5.train.tsv": PublishedCount(18_797, 163_560, "flac_T_*.tar", 5),
        "ASVspoof5.dev.track_1.tsv": PublishedCount(31_334, 109_616, "flac_D_*.tar", 3),
        "ASVspoof5.eval.track_1.tsv": PublishedCount(138_688, 542_086, "flac_E_*.tar", 10),
    },
    track=Track("flac_E_eval", protocol="ASVspoof5.eval.track_1.tsv"),
    download=Download(
        "https://zenodo.org/records/14498691",
        "ODC-By 1.0; its bona fide speech CC BY 4.0",
        {
            "train": _part(
                "train", "T", 37, "ASVspoof5.train.tsv", "flac_T",
                [
                    "b0cc86b14826a7701b52aad4f53daf9c", "d05be3f4be7a343fdbdd0ed29fdff2e1",
                    "70d1ba4ad75a20aef3dae541fbd321e3", "c9bb56af2cc410d98338d74babcb95c9",
                    "a3969816982f3e52300d6147ad796df7",
                ],
            ),
            "dev": _part(
                "dev", "D", 20, "ASVspoof5.dev.track_1.tsv", "flac_D",
                [
                    "df0be44957623991028cce59792beb17", "1e8cd685d89b64502692f1bcf1a13db3",
                    "5e0031f08c30e4bdbf0c59f91b2d662b",
                ],
            ),
            "eval": _part(
                "eval", "E", 85, "ASVspoof5.eval.track_1.tsv", "flac_E_eval",
                [
                    "a8c800766f3d4ef87971e2b4f29663e2", "c35064188f54f07c87aba58de22534a0",
                    "ed7cbcd1b2847998b72472ddf6b445e3", "626a080e994b05df49c577d7b3dede8d",
                    "05f19a5e64fa556714ae1b38eb2ea70b", "2ca2f52a3bbf827f7ec155ecb47e85d6",
                    "671200b5de2fc1e74a563b07b057af8f", "eaf885b1299a61eb07f71e82e96dba37",
                    "b2625683bf440abae2af901a45542ad9", "c50281c8233af6f3b0899604d21ade44",
                ],
            ),
        },
        folder="ASVspoof5",
    ),
)  # fmt: skip
