"""ASVspoof 2019: the countermeasure protocols of logical (LA) and physical access (PA)."""

from collections.abc import Iterator
from pathlib import Path
from sys import intern

from .errors import DataError
from .recordings import with_recordings
from .text import read_lines
from .trial import LABELS, Trial


def read_trials(audio: Path, protocol: Path, allow_missing: bool = False) -> list[Trial]:
    """The trials of `ASVspoof2019.{LA,PA}.cm.{train.trn,dev.trl,eval.trl}.txt`, in its order.

    Facts: speaker, attack (`-` for bona fide, as in the file) and, in PA, environment.
    `audio` is the folder that holds the recordings or its parent, e.g. `LA/ASVspoof2019_LA_eval`.
    Raises DataError on the first line that is not a trial, and as `with_recordings` does.
    """
    return with_recordings(read_protocol(protocol), protocol, audio, allow_missing)


def read_protocol(protocol: Path) -> Iterator[Trial]:
    """The trials as the protocol lists them, without their recordings."""
    for number, line in enumerate(read_lines(protocol), start=1):
        columns = line.split()
        if len(columns) != 5:
            remedy = "a line is `SPEAKER UTTERANCE ENVIRONMENT|- ATTACK|- bonafide|spoof`"
            raise DataError(f"{protocol}:{number}: {len(columns)} columns instead of 5: {remedy}")
        speaker, name, environment, attack, label = columns
        if label not in LABELS:
            raise DataError(f"{protocol}:{number}: unknown label {label!r}: the last column is {' or '.join(LABELS)}")
        facts = {"speaker": intern(speaker), "attack": intern(attack)}
        if environment != "-":
            facts["environment"] = intern(environment)
        yield Trial(name, "", intern(label), facts=facts)
