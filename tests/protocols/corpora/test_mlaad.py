import logging

import pytest

from protocols import DataError, Trial
from protocols.corpora.mlaad import read_trials

HEADER = "path|original_file|language|is_original_language|duration|training_data|model_name|architecture|transcript"


@pytest.fixture
def corpus(tmp_path):
    """Two models of one language each; one transcript holds a quoted delimiter, another a line break."""
    write_model(tmp_path, "en/parler", '|x.wav|en|True|3.2|LJ|parler_tts/mini|Parler|"one | two"', "2.wav", "10.wav")
    write_model(tmp_path, "de/griffin_lim", '|y.wav|de|True|1.0|-|Griffin Lim|griffin_lim|"""eins""\nzwei"', "1.wav")
    return tmp_path


def write_model(root, folder, rest, *names):
    model = root / "fake" / folder
    model.mkdir(parents=True)
    for name in names:
        (model / name).touch()
    lines = [HEADER, *(f"./fake/{folder}/{name}{rest}" for name in names)]
    (model / "meta.csv").write_text("\n".join(lines) + "\n")


def test_every_model_is_read_with_its_facts(corpus):
    parler = {"language": "en", "attack": "parler_tts/mini", "architecture": "Parler"}
    griffin_lim = {"language": "de", "attack": "Griffin Lim", "architecture": "griffin_lim"}
    assert read_trials(corpus) == [
        Trial(name, str(corpus / name), "spoof", facts=facts)
        for name, facts in (
            ("fake/de/griffin_lim/1.wav", griffin_lim),
            ("fake/en/parler/2.wav", parler),
            ("fake/en/parler/10.wav", parler),
        )
    ]


def test_the_folder_fake_itself_gives_the_same_trials(corpus, monkeypatch):
    expected = read_trials(corpus)
    assert read_trials(corpus / "fake") == expected
    monkeypatch.chdir(corpus / "fake")
    assert read_trials(".") == expected


def test_missing_recordings_are_counted_over_all_models(corpus, caplog):
    (corpus / "fake/de/griffin_lim/1.wav").unlink()
    (corpus / "fake/en/parler/10.wav").unlink()
    with pytest.raises(DataError, match=r"griffin_lim/meta\.csv:2: no recording for 2 of 3 trials \(fake/de/.*, fake/en/.*\)"):
        read_trials(corpus)
    with caplog.at_level(logging.WARNING):
        assert [trial.id for trial in read_trials(corpus, allow_missing=True)] == ["fake/en/parler/2.wav"]
    assert "no recording for 2 of 3 trials" in caplog.text


def test_an_id_repeated_in_another_model_is_found(corpus):
    table = corpus / "fake/en/parler/meta.csv"
    table.write_text(f"{HEADER}\n./fake/de/griffin_lim/1.wav|x|en|True|1|-|m|a|t\n")
    with pytest.raises(DataError, match=r"parler/meta\.csv:2: repeated id 'fake/de/griffin_lim/1\.wav'"):
        read_trials(corpus)


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(DataError, match=r": no meta\.csv below this folder: give the folder that holds fake/"):
        read_trials(tmp_path)


def test_transcripts_may_begin_with_a_quotation_mark(tmp_path):
    write_model(tmp_path, "de/xtts", '|y.wav|de|True|1.0|-|"XTTS v2"|xtts|"Hallo", sagte er', "1.wav", "2.wav")
    assert [(trial.id, trial.facts["attack"]) for trial in read_trials(tmp_path)] == [
        ("fake/de/xtts/1.wav", "XTTS v2"), ("fake/de/xtts/2.wav", "XTTS v2"),
    ]  # fmt: skip
