"""The corpora, one file each: a file with a `CORPUS` in this folder is all that a new corpus needs.

>>> find_corpus("2021la").name
'asvspoof2021-la'
"""

import pkgutil
from importlib import import_module

from protocols.corpus import Corpus
from protocols.errors import SettingError


def _load_corpora() -> dict[str, Corpus]:
    """The corpus of every file in this folder, by its name."""
    files = [file.name for file in pkgutil.iter_modules(__path__) if not file.name.startswith("_")]
    corpora = [import_module(f"{__name__}.{name}").CORPUS for name in files]
    return {corpus.name: corpus for corpus in corpora}


CORPORA = _load_corpora()


def canonical_name(name: str) -> str:
    """The name of the corpus that has this alias; any other name as it is."""
    return next((corpus.name for corpus in CORPORA.values() if name in corpus.aliases), name)


def find_corpus(name: str) -> Corpus:
    """The corpus of that name or alias. Raises SettingError when there is none."""
    try:
        return CORPORA[canonical_name(name)]
    except KeyError:
        raise SettingError(f"unknown corpus {name!r}: choose from {', '.join(CORPORA)}") from None
