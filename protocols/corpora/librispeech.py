"""LibriSpeech: read audio books, all bona fide."""

import re
from pathlib import Path

from protocols.corpus import Corpus, Reader
from protocols.errors import DataError
from protocols.published import Download, Part, PublishedCount, published_file
from protocols.recordings import find_audio
from protocols.trial import Trial

_UTTERANCE = re.compile(r"(?P<speaker>\d+)/(?P<chapter>\d+)/(?P<id>(?P=speaker)-(?P=chapter)-\d+)\.flac")


def read_trials(audio: Path) -> list[Trial]:
    """The utterances `SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac` of a subset such as `test-clean`; facts: speaker, chapter.

    Raises DataError on a recording with another path, and as `find_audio` does.
    """
    return [_trial(audio, path) for path in find_audio(audio)]


def _trial(subset: Path, path: Path) -> Trial:
    """The utterance of a recording, from its path below the subset."""
    utterance = _UTTERANCE.fullmatch(path.relative_to(subset).as_posix())
    if not utterance:
        remedy = "give the folder of a subset, such as test-clean, and nothing else in it"
        raise DataError(f"{path}: not SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac below {subset}: {remedy}")
    facts = utterance.groupdict()
    return Trial(facts.pop("id"), str(path.absolute()), "bonafide", facts=facts)


def _part(subset: str, gigabytes: float, md5: str) -> Part:
    archive = published_file(f"https://www.openslr.org/resources/12/{subset}.tar.gz", md5=md5)
    return Part(gigabytes, [archive], [f"--audio ./LibriSpeech/{subset} --split {subset} --check"])


CORPUS = Corpus(
    name="librispeech",
    title="LibriSpeech",
    reader=Reader(read_trials, "SPEAKER/CHAPTER/*.flac below --audio, the folder of a subset such as test-clean"),
    counts={  # the README of the corpus
        "train-clean-100": PublishedCount(28_539, 0, "train-clean-100.tar.gz"),
        "train-clean-360": PublishedCount(104_014, 0, "train-clean-360.tar.gz"),
        "train-other-500": PublishedCount(148_688, 0, "train-other-500.tar.gz"),
        "dev-clean": PublishedCount(2_703, 0, "dev-clean.tar.gz"),
        "dev-other": PublishedCount(2_864, 0, "dev-other.tar.gz"),
        "test-clean": PublishedCount(2_620, 0, "test-clean.tar.gz"),
        "test-other": PublishedCount(2_939, 0, "test-other.tar.gz"),
    },
    download=Download(
        "https://www.openslr.org/12",
        "CC BY 4.0",
        {
            "train-clean-100": _part("train-clean-100", 6.4, "2a93770f6d5c6c964bc36631d331a522"),
            "train-clean-360": _part("train-clean-360", 23.0, "c0e676e450a7ff2f54aeade5171606fa"),
            "train-other-500": _part("train-other-500", 30.6, "d1a0fd59409feb2c614ce4d30c387708"),
            "dev-clean": _part("dev-clean", 0.3, "42e2234ba48799c1f50f24a7926300a1"),
            "dev-other": _part("dev-other", 0.3, "c8d0bcc9cca99d4f8b62fcc847357931"),
            "test-clean": _part("test-clean", 0.3, "32fa31d27d2e1cad72775fee3f4849a9"),
            "test-other": _part("test-other", 0.3, "fb5a50374b501bb3bac4815ee91d3135"),
        },
    ),
)
