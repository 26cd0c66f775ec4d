from pathlib import Path

import pytest

from protocols import Trial
from protocols.corpora import CORPORA, find_corpus
from protocols.published import PublishedCount

COUNT = PublishedCount(100, 900, "part*.tar.gz", 4)


def trials(n_bonafide, n_spoof, n_unknown=0):
    labels = ["bonafide"] * n_bonafide + ["spoof"] * n_spoof + [""] * n_unknown
    return [Trial(str(number), "x", label) for number, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("listed", "deviation"),
    [
        (trials(100, 900), ""),
        (trials(100, 899), "999 trials instead of the 1,000 published"),
        (trials(101, 900), "1,001 trials instead of the 1,000 published"),
        (trials(900, 100), "900 bona fide trials instead of the 100 published"),
        (trials(0, 0, 1000), ""),
        (trials(99, 900, 1), ""),
    ],
)
def test_how_trials_differ_from_what_is_published(listed, deviation):
    assert COUNT.deviation(listed) == deviation


@pytest.mark.parametrize(
    ("n_missing", "fault"),
    [
        (1000, "as many as 4 of the 4 archives part*.tar.gz hold: unpack all of them"),
        (500, "as many as 2 of the 4 archives part*.tar.gz hold: unpack all of them"),
        (249, "as many as 1 of the 4 archives part*.tar.gz hold: unpack all of them"),
        (3, "one of part*.tar.gz was probably not unpacked to its end"),
    ],
)
def test_missing_recordings_are_told_in_archives(n_missing, fault):
    assert COUNT.unpacking_fault(n_missing) == fault


def test_a_corpus_in_one_archive():
    assert PublishedCount(2, 3, "LA.zip").unpacking_fault(5) == "LA.zip was probably not unpacked to its end"


@pytest.mark.parametrize(
    ("corpus", "audio", "protocol", "n_trials"),
    [
        ("asvspoof2019-la", "LA", "x/ASVspoof2019.LA.cm.train.trn.txt", 25_380),
        ("asvspoof2019-la", "LA", "x/ASVspoof2019.LA.cm.dev.trl.txt", 24_844),
        ("asvspoof2019-la", "LA", "x/ASVspoof2019.LA.cm.eval.trl.txt", 71_237),
        ("asvspoof2019-pa", "PA", "x/ASVspoof2019.PA.cm.train.trn.txt", 54_000),
        ("asvspoof2019-pa", "PA", "x/ASVspoof2019.PA.cm.dev.trl.txt", 29_700),
        ("asvspoof2019-pa", "PA", "x/ASVspoof2019.PA.cm.eval.trl.txt", 134_730),
        ("asvspoof2021-la", "flac", None, 181_566),
        ("asvspoof2021-la", "flac", "ASVspoof2021.LA.cm.eval.trl.txt", 181_566),
        ("asvspoof2021-df", "flac", None, 611_829),
        ("asvspoof5", "flac_T", "ASVspoof5.train.tsv", 182_357),
        ("asvspoof5", "flac_D", "ASVspoof5.dev.track_1.tsv", 140_950),
        ("asvspoof5", "flac_E_eval", "ASVspoof5.eval.track_1.tsv", 680_774),
        ("in-the-wild", "release_in_the_wild", None, 31_779),
        ("librispeech", "LibriSpeech/test-clean", None, 2_620),
    ],
)
def test_the_totals_that_the_organisers_publish(corpus, audio, protocol, n_trials):
    assert find_corpus(corpus).published_count(Path(audio), protocol and Path(protocol)).n_trials == n_trials


def test_all_of_librispeech_and_its_960_hours_of_training():
    counts = CORPORA["librispeech"].counts
    assert sum(count.n_trials for subset, count in counts.items() if subset.startswith("train")) == 281_241
    assert sum(count.n_trials for count in counts.values()) == 292_367


@pytest.mark.parametrize(
    ("corpus", "audio", "protocol"),
    [
        ("folder", "test-clean", None),
        ("mlaad", "MLAAD", None),
        ("asvspoof2019-la", "PA", "ASVspoof2019.PA.cm.train.trn.txt"),
        ("asvspoof2019-la", "LA", "mine.txt"),
        ("librispeech", "LibriSpeech", None),
    ],
)
def test_lists_of_which_nothing_is_published(corpus, audio, protocol):
    assert find_corpus(corpus).published_count(Path(audio), protocol and Path(protocol)) is None


def test_the_subset_is_known_from_inside_it(tmp_path, monkeypatch):
    (tmp_path / "test-clean").mkdir()
    monkeypatch.chdir(tmp_path / "test-clean")
    assert CORPORA["librispeech"].published_count(Path(), None).n_trials == 2_620
