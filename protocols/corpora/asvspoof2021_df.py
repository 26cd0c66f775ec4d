"""ASVspoof 2021, deepfake (DF): more than a hundred spoofing systems under lossy compression."""

from collections.abc import Iterator
from pathlib import Path

from protocols.columns import read_columns
from protocols.corpus import Corpus, KeyLayout, Reader, ResultTable, Track
from protocols.published import Download, Part, PublishedCount, published_file, zenodo_file
from protocols.trial import Trial
from protocols.trial_list import keyed_reader

COLUMNS = (
    "speaker", "id", "codec", "source", "attack", "label", "trim", "phase", "vocoder",
    "task", "team", "gender_pair", "language",
)  # fmt: skip
PLACES = ("keys/DF/CM/trial_metadata.txt", "DF/CM/trial_metadata.txt", "CM/trial_metadata.txt", "trial_metadata.txt")


def read_key(path: Path) -> Iterator[Trial]:
    """The trials of the key, without recordings; facts: speaker, codec, source, attack, trim, phase, vocoder.

    Trials of the Voice Conversion Challenge 2020 also have task, team, gender_pair and language.
    The phase is progress, eval or hidden. Raises DataError on the first line that is not a trial.
    """
    return read_columns(path, COLUMNS, {8: "this is the key of LA: name that of DF"})


# Of the list `ASVspoof2021.DF.cm.eval.trl.txt`, of the key package (file or folder), or of both.
read_trials = keyed_reader(read_key, PLACES, "keys of ASVspoof 2021 DF")


CORPUS = Corpus(
    name="asvspoof2021-df",
    title="ASVspoof 2021, deepfake",
    aliases=("2021df",),
    reader=Reader(
        read_trials,
        "--protocol ASVspoof2021.DF.cm.eval.trl.txt, which has no labels, or --keys DIR, "
        "the unpacked key package (keys/DF/CM/trial_metadata.txt), or both",
        one_of=["protocol", "keys"],
        optional=["allow_missing"],
    ),
    keys=KeyLayout(
        PLACES,
        read_key,
        "keys/DF/CM/trial_metadata.txt",
        table=ResultTable(
            "vocoder",
            (
                "traditional_vocoder", "waveform_concatenation", "neural_vocoder_autoregressive",
                "neural_vocoder_nonautoregressive", "unknown",
            ),
            "codec",
            ("nocodec", "low_mp3", "high_mp3", "low_m4a", "high_m4a", "low_ogg", "high_ogg", "mp3m4a", "oggm4a"),
        ),
    ),
    counts={"": PublishedCount(22_617, 589_212, "ASVspoof2021_DF_eval_part*.tar.gz", 4)},
    track=Track("ASVspoof2021_DF_eval", keys="DF/CM/trial_metadata.txt"),
    download=Download(
        "https://zenodo.org/records/4835108",
        "ODC-By 1.0",
        {
            "DF": Part(
                34.5,
                [
                    zenodo_file(
                        4835108, "ASVspoof2021_DF_eval_part00.tar.gz", 8_637_050_238, "4f2cbae07cf3ede2a1dde3b8d2ee55ea"
                    ),
                    zenodo_file(
                        4835108, "ASVspoof2021_DF_eval_part01.tar.gz", 8_624_944_890, "1578c89ab433c2b60b1dce93bdf8fbec"
                    ),
                    zenodo_file(
                        4835108, "ASVspoof2021_DF_eval_part02.tar.gz", 8_616_337_195, "5497a35f0126e94a1d7a7d26db57b4f7"
                    ),
                    # Copies of its MD5 differ by a digit: the one on the page could not be looked up.
                    zenodo_file(4835108, "ASVspoof2021_DF_eval_part03.tar.gz", 8_656_151_261),
                    published_file(
                        "https://www.asvspoof.org/asvspoof2021/DF-keys-full.tar.gz", md5="dabbc5628de4fcef53036c99ac7ab93a"
                    ),
                ],
                ["--audio ./ASVspoof2021_DF_eval --keys ./keys --check"],
            )
        },
    ),
)  # fmt: skip
