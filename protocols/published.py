"""What the organisers of a corpus publish: files to download, and the numbers of their trials.

Sizes and hashes are those that the publishers name; where none stands here, none is published or none could be confirmed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .trial import Trial


@dataclass(frozen=True)
class Published:
    """A file that its authors, or someone for them, offer for download; its size and hashes where they are known."""

    title: str
    url: str
    file_name: str
    n_bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None


@dataclass(frozen=True)
class Part:
    """Files that make a usable part of a corpus, and the arguments of `sls prepare` that write and check its manifests.

    An argument that begins with `./` is a path below the folder of the corpus, with the wildcards of a glob.
    """

    gigabytes: float  # to download, rounded
    files: Sequence[Published]
    manifests: Sequence[str] = ()


@dataclass(frozen=True)
class Download:
    """A corpus of archives; `page` describes it, and links its files should they have moved."""

    page: str
    licence: str
    parts: Mapping[str, Part]
    folder: str = "."  # below --dest


@dataclass(frozen=True)
class HubDownload:
    """A dataset on the Hugging Face Hub, whose parts are folders such as `fake/en`."""

    repository: str
    licence: str
    gigabytes: float
    folder: str
    parts_folder: str
    manifests: Sequence[str] = ()

    @property
    def page(self) -> str:
        """The page on which its terms are accepted."""
        return f"https://huggingface.co/datasets/{self.repository}"


@dataclass(frozen=True)
class PublishedCount:
    """The trials of one official list, and the archives that hold their recordings."""

    n_bonafide: int
    n_spoof: int
    archives: str  # their name, or the pattern of their names
    n_archives: int = 1

    @property
    def n_trials(self) -> int:
        """All trials, of both classes."""
        return self.n_bonafide + self.n_spoof

    def deviation(self, trials: Sequence[Trial]) -> str:
        """How trials differ in number from the published ones, class by class where all have labels; empty if they do not.

        >>> PublishedCount(1, 2, "audio.zip").deviation([Trial("a", "a.wav", "spoof")])
        '1 trials instead of the 3 published'
        """
        if len(trials) != self.n_trials:
            return f"{len(trials):,} trials instead of the {self.n_trials:,} published"
        n_bonafide = sum(trial.label == "bonafide" for trial in trials)
        if n_bonafide != self.n_bonafide and all(trial.label for trial in trials):
            return f"{n_bonafide:,} bona fide trials instead of the {self.n_bonafide:,} published"
        return ""

    def unpacking_fault(self, n_missing: int) -> str:
        """What probably happened to the archives, which are of about one size, when this many recordings are missing."""
        n_whole = round(n_missing * self.n_archives / self.n_trials)
        if self.n_archives > 1 and n_whole:
            return f"as many as {n_whole} of the {self.n_archives} archives {self.archives} hold: unpack all of them"
        return f"{'one of ' if self.n_archives > 1 else ''}{self.archives} was probably not unpacked to its end"


def published_file(url: str, n_bytes: int | None = None, md5: str | None = None, name: str = "") -> Published:
    """A file under its own name, by default the last part of its URL."""
    name = name or url.rpartition("/")[2]
    return Published(name, url, name, n_bytes, md5=md5)


def zenodo_file(record: int, name: str, n_bytes: int | None = None, md5: str | None = None) -> Published:
    """A file of a record on Zenodo."""
    return published_file(f"https://zenodo.org/records/{record}/files/{name}", n_bytes, md5)
