"""What is known of a corpus: how to prepare, evaluate, check and download it. Each file of `corpora` describes one."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .published import Download, HubDownload, PublishedCount
from .speaker_verification import ASVScores
from .trial import Trial


@dataclass(frozen=True)
class Reader:
    """How `sls prepare` reads the trials of a corpus from its official files.

    `read` takes the folder `audio` and, as keyword arguments, options of `sls prepare`: those that it needs, at least one
    of `one_of`, and optional ones. `files` says in words what lists the trials.
    """

    read: Callable[..., list[Trial]]
    files: str
    required: Sequence[str] = ()
    one_of: Sequence[str] = ()
    optional: Sequence[str] = ()

    @property
    def options(self) -> Sequence[str]:
        """All options that it takes."""
        return (*self.required, *self.one_of, *self.optional)


@dataclass(frozen=True)
class ResultTable:
    """The official table of results: a row per attack or vocoder, a column per codec, named by facts of the trials.

    Without names of rows and columns it has those of the trials; a trial that was not coded is in the column "none".
    """

    row_fact: str
    rows: Sequence[str]
    column_fact: str
    columns: Sequence[str]


@dataclass(frozen=True)
class ASVRates:
    """Published error rates of an ASV system on evaluation trials, whose ids all begin with `ids`."""

    ids: str
    miss: float
    false_acceptance: float
    spoof_acceptance: float


@dataclass(frozen=True)
class ASVSystem:
    """The organisers' ASV system, which the min t-DCF needs.

    `find_scores` finds its scores beside the keys, from the path of these and their phases. `published_rates` are for
    evaluation without scores. `tdcf_form` is the year whose form of the t-DCF papers report: 2019 or 2021.
    """

    find_scores: Callable[[Path, Collection[str]], ASVScores | None]
    tdcf_form: int
    published_rates: ASVRates | None = None


@dataclass(frozen=True)
class KeyLayout:
    """Where the keys of a corpus lie below a folder, the likeliest place first, and how they are read.

    `files` says in words what `--keys` takes. `phase_from_id`: the keys have no column for the phase of a trial, but its
    id says it: train for ids such as LA_T_1000137, dev for LA_D_1000265, otherwise eval. `arena_prefix` is what the Speech
    Anti-Spoofing Arena puts before the ids, whose suffix it leaves out.
    """

    places: Sequence[str]
    read: Callable[[Path], Iterable[Trial]]
    files: str
    phase_from_id: bool = False
    arena_prefix: str = ""
    asv: ASVSystem | None = None
    table: ResultTable | None = None


@dataclass(frozen=True)
class Track:
    """What a recipe scores: the folder of the recordings, and the protocol or key file that has their labels.

    Each is the end of a path below the folder of the unpacked corpora.
    """

    audio: str
    protocol: str = ""
    keys: str = ""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A corpus under its one name, with what each command needs to know of it; None where it has no use for a command.

    `counts` maps each official list to the number of its trials. A list is named by its file, or by the folder of the
    recordings when the corpus has no list; a corpus with a single list leaves the name empty.
    """

    name: str
    title: str
    aliases: Sequence[str] = ()
    reader: Reader | None = None  # sls prepare
    keys: KeyLayout | None = None  # sls evaluate, calibrate and report
    counts: Mapping[str, PublishedCount] = field(default_factory=dict)  # sls prepare --check
    track: Track | None = None  # recipes
    download: Download | HubDownload | None = None  # recipes/data/download.sh

    def published_count(self, audio: Path, protocol: Path | None) -> PublishedCount | None:
        """The count of the list that `sls prepare` is given; None where none is published."""
        return self.counts.get("") or self.counts.get((protocol or audio.absolute()).name)
