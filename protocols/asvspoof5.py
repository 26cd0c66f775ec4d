"""ASVspoof 5, track 1: the stand-alone countermeasure protocols."""

from collections.abc import Iterator
from pathlib import Path

from .columns import read_columns
from .recordings import numbered, with_recordings
from .trial import Trial

# The codec's seed names the utterance that was coded, another for almost every trial: no fact of ours.
COLUMNS = ("speaker", "id", "gender", "codec", "codec_q", "-", "attack_tag", "attack", "label", "-")

KEY_PLACES = (
    "ASVspoof5.eval.track_1.tsv",
    "ASVspoof5_protocols/ASVspoof5.eval.track_1.tsv",
    "ASVspoof5.dev.track_1.tsv",
    "ASVspoof5_protocols/ASVspoof5.dev.track_1.tsv",
)


def read_trials(audio: Path, protocol: Path, allow_missing: bool = False) -> list[Trial]:
    """The trials of `ASVspoof5.{train,dev.track_1,eval.track_1}.tsv`, in its order.

    `audio` is the folder that holds the recordings, or the parent of `flac_T`, `flac_D`, `flac_E_eval`.
    Raises DataError on the first line that is not a trial, and as `with_recordings` does.
    """
    return with_recordings(numbered(protocol, read_protocol(protocol)), audio, allow_missing)


def read_protocol(path: Path) -> Iterator[Trial]:
    """The trials as the protocol lists them, without their recordings.

    Facts: speaker, gender, codec (none when not coded), codec_q, attack_tag, attack (`bonafide` for bona fide, as in the file).
    """
    return read_columns(path, COLUMNS)
