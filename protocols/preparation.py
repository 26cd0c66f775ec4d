"""The trials of a corpus from its official files, compared with the published counts."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .corpus import Corpus, Reader
from .errors import DataError, SettingError
from .recordings import MissingRecordings
from .trial import Trial

OPTIONS = ("protocol", "keys", "label", "allow_missing")  # that readers may take, besides the folder of the recordings


def read_corpus(corpus: Corpus, audio: Path, options: Mapping[str, Any], check: bool = False) -> tuple[list[Trial], str]:
    """All trials of a corpus, and a note on how their number compares with the published one.

    `audio` is the folder of the recordings, `options` are those of `OPTIONS` that are set. Raises SettingError on options
    that the corpus does not take or lacks, and DataError on broken or missing files; with `check` also on other numbers of
    trials than the published ones.
    """
    _require_options(corpus.name, corpus.reader, options)
    listed_in = options.get("protocol") or options.get("keys") or audio
    published = corpus.published_count(audio, options.get("protocol"))
    if check and not published:
        raise SettingError(f"--check: no count is published of {corpus.name} as listed in {listed_in}")
    try:
        trials = corpus.reader.read(audio=audio, **options)
    except MissingRecordings as missing:
        if not published or missing.n_listed != published.n_trials:
            raise
        raise DataError(f"{missing}; {published.unpacking_fault(missing.n_missing)}") from None
    deviation = published.deviation(trials) if published else ""
    if check and deviation:
        raise DataError(f"{listed_in}: {deviation}: give the official list and all its recordings, or leave out --check")
    return trials, f" ({deviation})" if deviation else " (as published)" if check else ""


def first_of_each_class(trials: list[Trial], limit: int) -> list[Trial]:
    """The first `limit` trials of each label, in the order of the corpus; trials without a label are a class of their own."""
    taken: Counter[str] = Counter()
    first = []
    for trial in trials:
        if taken[trial.label] < limit:
            taken[trial.label] += 1
            first.append(trial)
    return first


def _require_options(name: str, reader: Reader, options: Mapping[str, Any]) -> None:
    for option in options:
        if option not in reader.options:
            raise SettingError(f"{name} takes no {_flag(option)}")
    for option in reader.required:
        if option not in options:
            raise SettingError(f"{name} needs {_flag(option)}")
    if reader.one_of and not options.keys() & set(reader.one_of):
        raise SettingError(f"{name} needs {', '.join(map(_flag, reader.one_of))} or both")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
