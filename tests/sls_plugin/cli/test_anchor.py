"""`sls anchor` on made scores that have a published error rate, or one that a known reason explains, and on published scores."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fairseq_ckpt.detectors import DETECTORS
from fairseq_ckpt.published import PUBLISHED
from protocols import Trial, write_manifest
from protocols.corpora import find_corpus
from sls_plugin.__main__ import main
from sls_plugin.evaluation.anchors import CHECKPOINTS, N_TRIALS, PAPER
from sls_plugin.scores.run_metadata import write_metadata
from sls_plugin.scores.score_file import read_scores

WILD = 19_963, 11_816  # bona fide and spoofed trials
PHASES_2021 = {"progress": (1_676, 14_788), "eval": (14_816, 133_360), "hidden": (1_960, 14_966)}  # eval and the sum are real


def scores_with(eer: float, n_bonafide: int, n_spoof: int) -> np.ndarray:
    """Scores, bona fide first, of which this percentage of each class is on the wrong side of 0."""
    rng = np.random.default_rng(5)
    scores = np.concatenate([rng.uniform(0, 1, n_bonafide), rng.uniform(-1, 0, n_spoof)])
    scores[: round(eer / 100 * n_bonafide)] *= -1
    scores[n_bonafide : n_bonafide + round(eer / 100 * n_spoof)] *= -1
    return scores


@pytest.fixture(scope="module")
def keys_of_the_wild(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "in_the_wild_key.txt"
    labels = ["bona-fide"] * WILD[0] + ["spoof"] * WILD[1]
    path.write_text("".join(f"- {number} - - - {label}\n" for number, label in enumerate(labels)))
    return path


@pytest.fixture
def wild(keys_of_the_wild: Path, tmp_path: Path) -> Callable[..., int]:
    """Writes scores of In-the-Wild and compares them."""

    def run(name: str, scores: np.ndarray, keep: slice = slice(None)) -> int:
        lines = [f"{number} {score:.9g}\n" for number, score in enumerate(scores)]
        (tmp_path / "scores.txt").write_text("".join(lines[keep]))
        return anchor(name, tmp_path / "scores.txt", "in-the-wild", keys_of_the_wild)

    return run


def anchor(name: str, scores: Path, corpus: str, keys: Path) -> int:
    return main(["anchor", name, str(scores), "--corpus", corpus, "--keys", str(keys), "--bootstrap", "100"])


def fitting(printed: str) -> set[str]:
    """The reasons that fit."""
    return set(re.findall(r"^  (\w+) +YES ", printed, re.MULTILINE))


def test_the_published_figure_is_recognised(wild, capsys) -> None:
    assert wild("sls", scores_with(7.46, *WILD)) == 0
    printed = capsys.readouterr().out
    assert printed.count(" the same\n") == 2  # of the paper, and of the Arena
    assert "verdict  the same up to rounding" in printed
    assert "known reasons" not in printed


def test_another_figure_differs_without_a_reason(wild, capsys) -> None:
    assert wild("sls", scores_with(10.5, *WILD)) == 1
    printed = capsys.readouterr().out
    assert printed.count(" differs\n") == 2
    assert fitting(printed) == set()
    assert "verdict  differs, and no known reason fits\nnext     compare the hash" in printed
    assert max(map(len, printed.splitlines())) <= 100


def test_a_figure_within_the_interval_is_doubted(wild, capsys) -> None:
    assert wild("sls", scores_with(7.6, *WILD)) == 0
    printed = capsys.readouterr().out
    assert printed.count(" within the interval\n") == 2
    assert "the same file on the same trials\n         should give the same figure\nnext" in printed


def test_the_sign(wild, capsys) -> None:
    assert wild("sls", -scores_with(7.46, *WILD)) == 1
    printed = capsys.readouterr().out
    assert fitting(printed) == {"sign"}
    assert re.search(r"with the other sign the EER is 7.4[56] %, as published", printed)
    assert "next     sign: negate the scores" in printed


def test_a_part_of_the_trials(wild, capsys) -> None:
    """The first bona fide trials are those in error."""
    assert wild("sls", scores_with(7.46, *WILD), keep=slice(2_000, None)) == 1
    printed = capsys.readouterr().out
    assert fitting(printed) == {"trials"}
    assert "29,779 trials of phase eval, and the figure is of 31,779" in printed


def test_other_clips(wild, capsys) -> None:
    """Of Nes2Net-X the paper scored whole utterances, the Arena 64,600 samples: scores can have one figure only."""
    assert wild("nes2net_x", scores_with(8.476, *WILD)) == 0
    printed = capsys.readouterr().out
    assert fitting(printed) == {"clips"}
    assert "8.476 % is the figure of 64,600 samples, 5.52 % of whole utterances" in printed
    assert "verdict  the same up to rounding" in printed
    assert "score whole utterances to get the other" in printed


def test_the_mean_of_checkpoints(wild, capsys) -> None:
    assert wild("nes2net_x", scores_with(5.15, *WILD)) == 1
    printed = capsys.readouterr().out
    assert fitting(printed) == {"checkpoint"}
    assert "5.15 % is the figure of nes2net_x_mean5" in printed


def test_ties(wild, capsys) -> None:
    """Equal scores at the threshold: the official EER rejects the bona fide ones first, and comes to 12.92 %."""
    shares = {"bonafide": (0.02, 0.15), "spoof": (1 - 0.1292, 0.1292)}  # with score -1, and 0; the rest has 1
    scores = []
    for size, (low, tied) in zip(WILD, shares.values(), strict=True):
        n_low, n_tied = round(low * size), round(tied * size)
        scores.append(np.repeat([-1.0, 0.0, 1.0], [n_low, n_tied, size - n_low - n_tied]))
    assert wild("sls", np.concatenate(scores)) == 1
    printed = capsys.readouterr().out
    assert " 12.92" in printed
    assert fitting(printed) == {"ties"}
    assert "with equal scores rejected together the EER is 7.46 %, as published" in printed


def test_the_record_of_the_run(wild, tmp_path, capsys) -> None:
    wild("sls", scores_with(9, *WILD))
    assert "settings    ?    no record of `sls score` beside the score file" in capsys.readouterr().out
    usual = {"checkpoint": PUBLISHED["sls"].sha256, "dtype": "float32", "windows": None, "hop": None}
    for changed, seen in {
        "": None,
        "checkpoint": "a checkpoint that is not the published MMpaper_model.pth",
        "dtype": "dtype bfloat16",
        "channel": "channel codec:gsm",
    }.items():
        value = seen and seen.rpartition(" ")[2]
        write_metadata(tmp_path / "scores.txt", usual | ({changed: value} if changed else {}))
        wild("sls", scores_with(9, *WILD))
        printed = capsys.readouterr().out
        assert fitting(printed) == ({"settings"} if seen else set())
        assert (seen or "those by default, and the published file") in printed


def test_recordings_are_scored_first_and_the_record_says_that_the_checkpoint_is_another(checkpoint, tmp_path, capsys) -> None:
    rng, trials = np.random.default_rng(1), []
    for number in range(12):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * rng.standard_normal(4_000), 16_000)
        trials.append(Trial(f"{number}.wav", f"{number}.wav", "spoof" if number % 2 else "bonafide"))
    write_manifest(tmp_path / "eval.tsv", trials)
    keys = tmp_path / "in_the_wild_key.txt"
    keys.write_text("".join(f"- {trial.id} - - - {trial.label.replace('bonafide', 'bona-fide')}\n" for trial in trials))
    scores = tmp_path / "scores.txt"
    options = ["--corpus", "in-the-wild", "--keys", str(keys), "--bootstrap", "100", "--device", "cpu", "--num-workers", "0"]
    for _ in range(2):  # again: nothing is left to score
        status = main(["anchor", "sls", str(scores), *options, "--score", str(checkpoint), str(tmp_path / "eval.tsv")])
        assert status in (0, 1)  # by chance the EER may agree
        assert {"trials", "settings"} <= fitting(capsys.readouterr().out)
        assert len(read_scores(scores)) == 12
    with pytest.raises(SystemExit, match="2"):
        main(["anchor", "sls", str(keys), *options, "--score", str(checkpoint), str(tmp_path / "eval.tsv")])
    assert "is an input" in capsys.readouterr().err


@pytest.fixture(scope="module")
def keys_of_2021(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_keys_of_2021(tmp_path_factory.mktemp("keys"), {phase: phase for phase in PHASES_2021})


def write_keys_of_2021(folder: Path, spellings: dict[str, str]) -> Path:
    lines = []
    for phase, (n_bonafide, n_spoof) in PHASES_2021.items():
        for number in range(n_bonafide + n_spoof):
            kind = "bonafide bonafide" if number < n_bonafide else "A07 spoof"
            lines.append(f"p LA_E_{phase}{number} none loc_tx {kind} notrim {spellings[phase]}\n")
    (folder / "trial_metadata.txt").write_text("".join(lines))
    return folder


def write_scores_of_2021(path: Path, eers: dict[str, float]) -> Path:
    lines = []
    for phase, eer in eers.items():
        lines += [f"LA_E_{phase}{number} {score:.9g}\n" for number, score in enumerate(scores_with(eer, *PHASES_2021[phase]))]
    path.write_text("".join(lines))
    return path


PUBLISHED_2021 = {"progress": 26.19, "eval": 2.87, "hidden": 26.19}  # of all phases together 7.39


def test_every_phase_has_its_figure(keys_of_2021, tmp_path, capsys) -> None:
    scores = write_scores_of_2021(tmp_path / "scores.txt", PUBLISHED_2021)
    assert anchor("sls", scores, "asvspoof2021-la", keys_of_2021) == 0
    rows = re.findall(r"^(\w+) +([\d,]+) +([\d.]+) .* (the same)$", capsys.readouterr().out, re.MULTILINE)
    assert [row[:2] for row in rows] == [("eval", "148,176"), ("all", "181,566")]
    assert [float(row[2]) for row in rows] == [pytest.approx(2.87, abs=0.02), pytest.approx(7.392, abs=0.02)]


def test_eval_alone_is_compared_with_its_own_figure(keys_of_2021, tmp_path, capsys) -> None:
    scores = write_scores_of_2021(tmp_path / "scores.txt", {"eval": 2.87})
    assert anchor("sls", scores, "asvspoof2021-la", keys_of_2021) == 0
    printed = capsys.readouterr().out
    assert printed.count("the same\n") == 1
    assert "\nall " not in printed


def test_keys_that_call_every_trial_eval(tmp_path, capsys) -> None:
    """The EER of all phases is mistaken for that of phase eval."""
    keys = write_keys_of_2021(tmp_path, dict.fromkeys(PHASES_2021, "eval"))
    scores = write_scores_of_2021(tmp_path / "scores.txt", PUBLISHED_2021)
    assert anchor("sls", scores, "asvspoof2021-la", keys) == 1
    printed = capsys.readouterr().out
    assert fitting(printed) == {"phase", "trials"}
    assert "7.392 % is the figure of phase all, and the keys say eval" in printed


def test_progress_alone_has_no_figure(keys_of_2021, tmp_path, capsys) -> None:
    scores = write_scores_of_2021(tmp_path / "scores.txt", {"progress": 3.0})
    assert anchor("sls", scores, "asvspoof2021-la", keys_of_2021) == 1
    assert "no figure of sls is of phase progress: score the trials of phase all, eval" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["none", "s.txt", "--corpus", "in-the-wild"], "invalid choice: 'none'"),
        (["rawgat_st", "s.txt", "--corpus", "in-the-wild"], "no figure of rawgat_st on in-the-wild is published"),
        (["sls", "s.txt", "--corpus", "mlaad"], "invalid choice: 'mlaad'"),
        (["sls", "s.txt", "--corpus", "in-the-wild", "--bootstrap", "0"], "--bootstrap 0: give at least 100"),
    ],
)
def test_wrong_usage_exits_2(arguments, problem, keys_of_the_wild, tmp_path, capsys) -> None:
    arguments[1] = str(tmp_path / arguments[1])
    with pytest.raises(SystemExit) as stop:
        main(["anchor", *arguments, "--keys", str(keys_of_the_wild)])
    assert stop.value.code == 2
    assert problem in capsys.readouterr().err


def test_scores_of_another_corpus_are_one_line(keys_of_the_wild, tmp_path, capsys) -> None:
    (tmp_path / "scores.txt").write_text("LA_E_1 1\n")
    assert anchor("sls", tmp_path / "scores.txt", "in-the-wild", keys_of_the_wild) == 1
    assert "1 id is not in the keys ('LA_E_1')" in capsys.readouterr().err


# The table


def test_figures_of_papers_are_those_of_the_cards() -> None:
    """Where the card of a detector has a figure, some checkpoint of it has the same."""
    corpora = {"asvspoof2019-la": "eer_2019_la", "asvspoof2021-la": "eer_2021_la", "asvspoof2021-df": "eer_2021_df"}
    cards = {card.arch: card for detector in DETECTORS for card in detector.cards}
    for arch in {checkpoint.detector for checkpoint in CHECKPOINTS.values()} & cards.keys():
        for corpus, field in corpora.items():
            figures = {
                anchor.eer
                for checkpoint in CHECKPOINTS.values() if checkpoint.detector == arch
                for anchor in checkpoint.anchors if (anchor.corpus, anchor.source) == (corpus, PAPER)
            }  # fmt: skip
            if (figure := getattr(cards[arch], field)) is not None:
                assert figure in figures, (arch, corpus)


def test_counts_of_trials_are_those_of_the_corpora() -> None:
    for corpus, phases in N_TRIALS.items():
        counts = {count.n_trials for count in find_corpus(corpus).counts.values()}
        assert phases.get("all", phases["eval"]) in counts
    assert sum(PHASES_2021["eval"]) == N_TRIALS["asvspoof2021-la"]["eval"]


def test_every_figure_is_of_a_phase_with_a_count() -> None:
    anchors = [anchor for checkpoint in CHECKPOINTS.values() for anchor in checkpoint.anchors]
    assert all(anchor.phase in N_TRIALS[anchor.corpus] and 0 < anchor.eer < 50 for anchor in anchors)


# Published score files


@pytest.mark.parametrize(
    ("file", "name", "status", "seen"),
    [
        ("RawGAT_ST_mul", "rawgat_st", 0, "the same up to rounding"),
        ("ocsoftmax_test_results", "oc_softmax", 0, "the same up to rounding"),
        ("ocsoftmax", "oc_softmax", 1, "with the other sign the EER is 2.18 %, as published"),
        ("softmax", "oc_softmax", 1, "no known reason fits"),
    ],
)
def test_published_scores(shared, tmp_path, capsys, file, name, status, seen) -> None:
    source = shared / "data/scores/la19_eval"
    rows = [line.split() for line in gzip.decompress((source / f"{file}.txt.gz").read_bytes()).decode().splitlines()]
    (tmp_path / "scores.txt").write_text("".join(f"{row[0]} {row[-1]}\n" for row in rows))
    assert anchor(name, tmp_path / "scores.txt", "asvspoof2019-la", source / "cm_key.txt.gz") == status
    assert seen in capsys.readouterr().out
