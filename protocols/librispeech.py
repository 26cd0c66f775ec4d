"""LibriSpeech: read audio books, all bona fide."""

import re
from pathlib import Path

from .errors import DataError
from .folder import find_audio
from .trial import Trial

_UTTERANCE = re.compile(r"(?P<speaker>\d+)/(?P<chapter>\d+)/(?P<id>(?P=speaker)-(?P=chapter)-\d+)\.flac")


def read_trials(audio: Path) -> list[Trial]:
    """The utterances `SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac` of a subset such as `test-clean`; facts: speaker, chapter.

    Raises DataError on a recording that lies or is named otherwise, and as `find_audio` does.
    """
    return [_trial(audio, path) for path in find_audio(audio)]


def _trial(subset: Path, path: Path) -> Trial:
    """The utterance that a recording of the subset holds, told from its path."""
    utterance = _UTTERANCE.fullmatch(path.relative_to(subset).as_posix())
    if not utterance:
        remedy = "give the folder of a subset, such as test-clean, and nothing else in it"
        raise DataError(f"{path}: not SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac below {subset}: {remedy}")
    facts = utterance.groupdict()
    return Trial(facts.pop("id"), str(path.absolute()), "bonafide", facts=facts)
