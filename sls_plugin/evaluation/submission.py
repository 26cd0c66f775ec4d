"""Score files in the formats of leaderboards, complete and with the right sign, as their own checks want them.

Sources: Speech DF Arena (github.com/Speech-Arena/speech_df_arena, README and utils/metrics.py); Speech Anti-Spoofing Arena
(github.com/lab260ru/speech_spoof_bench, submission schema 4 and `reproduce`); ASVspoof 5, track 1 (the page for submissions and
the evaluation package of github.com/asvspoof-challenge/asvspoof5).
"""

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from protocols import DataError, SettingError
from protocols.corpora import find_corpus
from protocols.files import replacing
from sls_plugin.evaluation.anchors import N_TRIALS
from sls_plugin.evaluation.scored_trials import AUDIO_SUFFIXES, ScoredTrials
from sls_plugin.metrics.dcf import act_dcf, cllr, min_dcf
from sls_plugin.metrics.det import equal_error_rate, interpolated_equal_error_rate, tie_aware_equal_error_rate

ARENA_OWNER = "SpeechAntiSpoofingBenchmarks"  # of the datasets of the Speech Anti-Spoofing Arena


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """What a leaderboard takes.

    `sets` are its names of corpora; `phase` is whose trials they hold, None for the usual one. `files` gives the contents
    of all files of a set by their paths. `figures` are what it ranks by, as text, and `next_step` says what is left to do.
    """

    title: str
    sets: Mapping[str, str]
    phase: str | None
    files: Callable[[ScoredTrials, str], dict[str, bytes]]
    figures: Callable[[ScoredTrials], str]
    next_step: str

    def set_name(self, corpus: str, name: str | None) -> str:
        """This name, by default that of the corpus; SettingError where it has none, or no file can be named so."""
        if name is None and corpus not in self.sets:
            raise SettingError(f"{self.title} has no set for the corpus {corpus}: name it with --set, or give another --corpus")
        if name and not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
            raise SettingError(f"--set {name}: a name has letters, digits, points, _ and -")
        return name or self.sets[corpus]

    def n_trials(self, set_name: str) -> int | None:
        """The number of trials of a set; None where it is not known."""
        for corpus, name in self.sets.items():
            if name == set_name:
                return N_TRIALS[corpus].get(self.phase or "eval", N_TRIALS[corpus]["eval"])
        return None


def submission_files(leaderboard: Leaderboard, scored: ScoredTrials, set_name: str) -> dict[str, bytes]:
    """The contents of all files by their paths below a folder; DataError on an id that they cannot hold."""
    for trial in scored.trials:
        if re.search(r'[\s",]', trial.id):
            what = "its id has a blank, comma or quotation mark, which the leaderboard's tables cannot hold"
            raise DataError(f"{scored.keys.path}: trial {trial.id!r}: {what}: rename it")
    return leaderboard.files(scored, set_name)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder, each whole or not at all."""
    for name, content in files.items():
        with replacing(folder / name) as temporary:
            temporary.write_bytes(content)


def require_right_sign(path: Path, scored: ScoredTrials, negated: bool) -> None:
    """DataError where the scores separate the classes better with the other sign."""
    eer = tie_aware_equal_error_rate(scored.bonafide, scored.spoof)[0]
    other = tie_aware_equal_error_rate(-scored.bonafide, -scored.spoof)[0]
    if eer > 0.5 > other:
        what = f"the EER is {100 * eer:.2f} %, with the other sign {100 * other:.2f} %: higher must mean more bona fide"
        raise DataError(f"{path}: {what}: {'leave out' if negated else 'give'} --negate")


def _rows(scored: ScoredTrials, spelling: Callable[[str], str] = str, separator: str = " ") -> str:
    """A line for each trial, with all digits of its score."""
    scores = zip(scored.trials, scored.scores.tolist(), strict=True)
    return "".join(f"{spelling(trial.id)}{separator}{score!r}\n" for trial, score in scores)


def _speech_df_arena(scored: ScoredTrials, name: str) -> dict[str, bytes]:
    """The scores, and the labels under the same names: its toolkit takes both."""
    labels = "".join(f"{trial.id},{trial.label}\n" for trial in scored.trials)
    return {f"{name}.txt": _rows(scored).encode(), f"{name}.csv": f"file_name,label\n{labels}".encode()}


def _anti_spoofing_arena(scored: ScoredTrials, name: str) -> dict[str, bytes]:
    """The scores under the Arena's ids, and the description of the submission; what only its authors know is empty."""
    scores = _rows(scored, arena_id(scored.keys.corpus)).encode()
    eer = 100 * interpolated_equal_error_rate(scored.bonafide, scored.spoof)
    description = f"""\
schema_version: 4
system:
  name: ""
  slug: ""  # of small letters, digits and -
  description: ""
  code: ""  # address
  checkpoint: ""  # address
  # where there are: paper (with arxiv_id, url, bibtex), params_millions
dataset:
  id: {ARENA_OWNER}/{name}
  revision: ""  # commit of the dataset
  split: test
scores:
  eer_percent: {eer!r}
  n_trials: {len(scored.trials)}
  n_skipped: 0
artifact:
  scores_url: ""  # https://huggingface.co/OWNER/MODEL/resolve/COMMIT/.eval_results/{ARENA_OWNER}/{name}/scores.txt
  scores_sha256: "{sha256(scores).hexdigest()}"
  bench_version: ""  # of speech-spoof-bench
submitter:
  hf_username: ""
  contact: ""
submitted_at: ""  # year-month-day
"""
    return {f"{name}/scores.txt": scores, f"{name}/submission.yaml": description.encode()}


def arena_id(corpus: str) -> Callable[[str], str]:
    """How the Speech Anti-Spoofing Arena spells the ids of a corpus."""
    prefix = find_corpus(corpus).keys.arena_prefix

    def spelling(name: str) -> str:
        if not prefix:
            return name
        suffix = next((suffix for suffix in AUDIO_SUFFIXES if name.endswith(suffix)), "")
        return prefix + name.removesuffix(suffix)

    return spelling


def _asvspoof5(scored: ScoredTrials, name: str) -> dict[str, bytes]:
    """The table, and the archive that is uploaded."""
    table = ("filename\tcm-score\n" + _rows(scored, separator="\t")).encode()
    archive = io.BytesIO()
    with ZipFile(archive, "w", ZIP_DEFLATED) as file:
        file.writestr(ZipInfo("score.tsv"), table, ZIP_DEFLATED)  # its date is fixed: the same scores give the same bytes
    return {"score.tsv": table, "submission.zip": archive.getvalue()}


def _official_eer(scored: ScoredTrials) -> str:
    return f"EER {100 * equal_error_rate(scored.bonafide, scored.spoof)[0]:.3f} %"


def _arena_eer(scored: ScoredTrials) -> str:
    eer = interpolated_equal_error_rate(scored.bonafide, scored.spoof)
    return f"EER {100 * eer:.3f} % (interpolated, as the Arena computes it)"


def _costs(scored: ScoredTrials) -> str:
    classes = scored.bonafide, scored.spoof
    costs = f"minDCF {min_dcf(*classes)[0]:.4f}, actDCF {act_dcf(*classes):.4f}, Cllr {cllr(*classes):.4f}"
    return f"{costs}, {_official_eer(scored)}"


LEADERBOARDS = {
    "speech-df-arena": Leaderboard(
        "Speech DF Arena",
        {
            "asvspoof2019-la": "asvspoof_2019",
            "asvspoof2021-la": "asvspoof_2021_la",
            "asvspoof2021-df": "asvspoof_2021_df",
            "asvspoof5": "asvspoof_2024",
            "in-the-wild": "in_the_wild",
        },
        None,
        _speech_df_arena,
        _official_eer,
        "send the .txt of every set with the form Req.pdf of github.com/Speech-Arena/speech_df_arena",
    ),
    "anti-spoofing-arena": Leaderboard(
        "Speech Anti-Spoofing Arena",
        {
            "asvspoof2019-la": "ASVspoof2019_LA",
            "asvspoof2021-la": "ASVspoof2021_LA",
            "asvspoof2021-df": "ASVspoof2021_DF",
            "asvspoof5": "ASVspoof5",
            "in-the-wild": "InTheWild",
        },
        "all",
        _anti_spoofing_arena,
        _arena_eer,
        "upload scores.txt to your model's repository, then fill in what is empty in submission.yaml "
        f"and propose it as submissions/SLUG.yaml to the dataset {ARENA_OWNER}/SET",
    ),
    "asvspoof5": Leaderboard(
        "ASVspoof 5, track 1",
        {"asvspoof5": "eval"},
        None,
        _asvspoof5,
        _costs,
        "upload submission.zip to the challenge; actDCF and Cllr take scores as log-likelihood ratios (`sls calibrate`)",
    ),
}
