"""How many trials the organisers of a corpus publish, to tell whether a download is whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .trial import Trial


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
        """How trials differ in number from the published ones, class by class where all are labelled; empty when not."""
        if len(trials) != self.n_trials:
            return f"{len(trials):,} trials instead of the {self.n_trials:,} published"
        n_bonafide = sum(trial.label == "bonafide" for trial in trials)
        if n_bonafide != self.n_bonafide and all(trial.label for trial in trials):
            return f"{n_bonafide:,} bona fide trials instead of the {self.n_bonafide:,} published"
        return ""

    def unpacking_fault(self, n_missing: int) -> str:
        """What probably happened to the archives when this many recordings are missing; they are of about one size."""
        n_whole = round(n_missing * self.n_archives / self.n_trials)
        if self.n_archives > 1 and n_whole:
            return f"as many as {n_whole} of the {self.n_archives} archives {self.archives} hold: unpack all of them"
        return f"{'one of ' if self.n_archives > 1 else ''}{self.archives} was probably not unpacked to its end"


# Corpus to official list to count. A list is named by its file; in LibriSpeech by the folder of the subset; by nothing
# where the corpus has one list only. Sources: the papers of the corpora, the READMEs of ASVspoof 5 and LibriSpeech.
PUBLISHED_COUNTS = {
    "asvspoof2019": {
        "ASVspoof2019.LA.cm.train.trn.txt": PublishedCount(2_580, 22_800, "LA.zip"),
        "ASVspoof2019.LA.cm.dev.trl.txt": PublishedCount(2_548, 22_296, "LA.zip"),
        "ASVspoof2019.LA.cm.eval.trl.txt": PublishedCount(7_355, 63_882, "LA.zip"),
    },
    "asvspoof2021-la": {"": PublishedCount(18_452, 163_114, "ASVspoof2021_LA_eval.tar.gz")},
    "asvspoof2021-df": {"": PublishedCount(22_617, 589_212, "ASVspoof2021_DF_eval_part*.tar.gz", 4)},
    "asvspoof5": {
        "ASVspoof5.train.tsv": PublishedCount(18_797, 163_560, "flac_T_*.tar", 5),
        "ASVspoof5.dev.track_1.tsv": PublishedCount(31_334, 109_616, "flac_D_*.tar", 3),
        "ASVspoof5.eval.track_1.tsv": PublishedCount(138_688, 542_086, "flac_E_*.tar", 10),
    },
    "in-the-wild": {"": PublishedCount(19_963, 11_816, "release_in_the_wild.zip")},
    "librispeech": {
        "train-clean-100": PublishedCount(28_539, 0, "train-clean-100.tar.gz"),
        "train-clean-360": PublishedCount(104_014, 0, "train-clean-360.tar.gz"),
        "train-other-500": PublishedCount(148_688, 0, "train-other-500.tar.gz"),
        "dev-clean": PublishedCount(2_703, 0, "dev-clean.tar.gz"),
        "dev-other": PublishedCount(2_864, 0, "dev-other.tar.gz"),
        "test-clean": PublishedCount(2_620, 0, "test-clean.tar.gz"),
        "test-other": PublishedCount(2_939, 0, "test-other.tar.gz"),
    },
}


def published_count(corpus: str, audio: Path, protocol: Path | None) -> PublishedCount | None:
    """The count of the official list that `sls prepare` is given; None where nothing is published of it."""
    lists = PUBLISHED_COUNTS.get(corpus, {})
    return lists.get("") or lists.get((protocol or audio.absolute()).name)
