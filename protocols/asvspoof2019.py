"""ASVspoof 2019: the countermeasure protocols of logical (LA) and physical access (PA)."""

from collections.abc import Iterator
from pathlib import Path

from .columns import read_columns
from .recordings import numbered, with_recordings
from .trial import Trial

COLUMNS = ("speaker", "id", "environment", "attack", "label")


def read_trials(audio: Path, protocol: Path, allow_missing: bool = False) -> list[Trial]:
    """The trials of `ASVspoof2019.{LA,PA}.cm.{train.trn,dev.trl,eval.trl}.txt`, in its order.

    Facts: speaker, attack (`-` for bona fide, as in the file) and, in PA, environment.
    `audio` is the folder that holds the recordings or its parent, e.g. `LA/ASVspoof2019_LA_eval`.
    Raises DataError on the first line that is not a trial, and as `with_recordings` does.
    """
    return with_recordings(numbered(protocol, read_protocol(protocol)), audio, allow_missing)


def read_protocol(protocol: Path) -> Iterator[Trial]:
    """The trials as the protocol lists them, without their recordings."""
    return read_columns(protocol, COLUMNS)
