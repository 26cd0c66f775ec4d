"""In-the-Wild: recordings of public figures, bona fide and spoofed."""

from collections.abc import Iterator
from pathlib import Path

from protocols.columns import read_columns, read_table
from protocols.corpus import Corpus, KeyLayout, Reader, Track
from protocols.files import find_file, table_suffix
from protocols.published import Download, Part, PublishedCount, published_file
from protocols.trial import Trial
from protocols.trial_list import keyed_reader

PLACES = ("meta.csv", "in_the_wild_key.txt", "release_in_the_wild/meta.csv", "keys/in_the_wild_key.txt")


def read_key(path: Path) -> Iterator[Trial]:
    """The trials of the corpus's `meta.csv` (fact: speaker) or of the SLS authors' `in_the_wild_key.txt`, without recordings.

    The id is the recording's file name with its suffix. Raises DataError on the first line that is not a trial.
    """
    if table_suffix(path) == ".csv":
        return read_table(path, {"file": "id", "speaker": "speaker", "label": "label"})
    return read_columns(path, ("-", "id", "-", "-", "-", "label"))


def read_trials(
    audio: Path, protocol: Path | None = None, keys: Path | None = None, allow_missing: bool = False
) -> list[Trial]:
    """The trials of the list `in_the_wild.eval.txt`, of a key (file or folder), or of both; by default of `meta.csv` in `audio`.

    With a list alone the labels are unknown. Raises DataError as `keyed_reader` says.
    """
    if not (keys or protocol):
        keys = find_file(audio, ("meta.csv",), "key of In-the-Wild")
    return keyed_reader(read_key, PLACES, "keys of In-the-Wild")(audio, protocol, keys, allow_missing)


CORPUS = Corpus(
    name="in-the-wild",
    title="In-the-Wild",
    reader=Reader(
        read_trials,
        "meta.csv beside the recordings; or else --keys FILE (meta.csv or the SLS authors' in_the_wild_key.txt), "
        "--protocol in_the_wild.eval.txt, or both",
        optional=["protocol", "keys", "allow_missing"],
    ),
    keys=KeyLayout(
        PLACES, read_key, "meta.csv, or the SLS authors' in_the_wild_key.txt", phase_from_id=True, arena_prefix="ITW_"
    ),
    counts={"": PublishedCount(19_963, 11_816, "release_in_the_wild.zip")},
    track=Track("release_in_the_wild", keys="release_in_the_wild/meta.csv"),
    download=Download(
        "https://deepfake-total.com/in_the_wild",
        "CC BY-SA 4.0",
        {
            "release": Part(
                8.2,
                [
                    published_file(
                        "https://huggingface.co/datasets/mueller91/In-The-Wild/resolve/main/release_in_the_wild.zip"
                    )
                ],
                ["--audio ./release_in_the_wild --check"],
            )
        },
    ),
)
