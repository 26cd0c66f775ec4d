"""ASVspoof 2021, logical access (LA) and deepfake (DF): trial lists, and the key package that has their labels."""

from collections.abc import Iterator
from pathlib import Path

from .columns import read_columns
from .places import find_file
from .trial import Trial
from .trial_list import read_keyed_trials

LA_COLUMNS = ("speaker", "id", "codec", "transmission", "attack", "label", "trim", "phase")
DF_COLUMNS = (
    "speaker", "id", "codec", "source", "attack", "label", "trim", "phase", "vocoder",
    "task", "team", "gender_pair", "language",
)  # fmt: skip

# The key package unpacks to `keys/TRACK/CM/trial_metadata.txt`.
LA_KEY_PLACES = ("keys/LA/CM/trial_metadata.txt", "LA/CM/trial_metadata.txt", "CM/trial_metadata.txt", "trial_metadata.txt")
DF_KEY_PLACES = ("keys/DF/CM/trial_metadata.txt", "DF/CM/trial_metadata.txt", "CM/trial_metadata.txt", "trial_metadata.txt")


def read_la_key(path: Path) -> Iterator[Trial]:
    """The trials of the LA key, without recordings; facts: speaker, codec, transmission, attack, trim, phase.

    The phase is progress, eval or hidden. Raises DataError on the first line that is not a trial.
    """
    return read_columns(path, LA_COLUMNS, {len(DF_COLUMNS): "this is the key of DF: name that of LA"})


def read_df_key(path: Path) -> Iterator[Trial]:
    """The trials of the DF key, without recordings; facts: speaker, codec, source, attack, trim, phase, vocoder.

    Trials of the Voice Conversion Challenge 2020 also have task, team, gender_pair and language.
    The phase is progress, eval or hidden. Raises DataError on the first line that is not a trial.
    """
    return read_columns(path, DF_COLUMNS, {len(LA_COLUMNS): "this is the key of LA: name that of DF"})


def read_la_trials(
    audio: Path, protocol: Path | None = None, keys: Path | None = None, allow_missing: bool = False
) -> list[Trial]:
    """The trials of the list `ASVspoof2021.LA.cm.eval.trl.txt`, of the key package (file or folder), or of both.

    Without keys the labels are unknown. Raises DataError as `read_keyed_trials` and `find_file` do.
    """
    key = keys and find_file(keys, LA_KEY_PLACES, "keys of ASVspoof 2021 LA")
    return read_keyed_trials(audio, protocol, key, read_la_key, allow_missing)


def read_df_trials(
    audio: Path, protocol: Path | None = None, keys: Path | None = None, allow_missing: bool = False
) -> list[Trial]:
    """The trials of the list `ASVspoof2021.DF.cm.eval.trl.txt`, of the key package (file or folder), or of both.

    Without keys the labels are unknown. Raises DataError as `read_keyed_trials` and `find_file` do.
    """
    key = keys and find_file(keys, DF_KEY_PLACES, "keys of ASVspoof 2021 DF")
    return read_keyed_trials(audio, protocol, key, read_df_key, allow_missing)
