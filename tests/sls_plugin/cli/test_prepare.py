import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sls_plugin
from fairseq_ckpt.errors import CheckpointError
from protocols import DataError, Trial, read_manifest
from protocols.corpora import CORPORA
from protocols.published import PublishedCount
from sls_plugin.__main__ import COMMANDS, main

COMMAND_NAMES = list(COMMANDS)


@pytest.fixture
def corpus(tmp_path):
    """An ASVspoof 2019 corpus: half a second at 16 kHz bona fide, a quarter at 8 kHz spoof."""
    (tmp_path / "flac").mkdir()
    soundfile.write(tmp_path / "flac" / "E_1.flac", np.zeros(8000), 16000)
    soundfile.write(tmp_path / "flac" / "E_2.flac", np.zeros(2000), 8000)
    (tmp_path / "eval.trl.txt").write_text("p1 E_1 - - bonafide\np2 E_2 - A07 spoof\n")
    return tmp_path


def prepare(corpus, *options, protocol="eval.trl.txt"):
    """Exit status of `sls prepare asvspoof2019-la` into the folder DATA of the corpus."""
    paths = ["--audio", corpus, "--protocol", corpus / protocol, "--dest", corpus / "DATA"]
    return main(["prepare", "asvspoof2019-la", *map(str, [*paths, *options])])


def test_prepare_writes_a_manifest_and_sums_it_up(corpus, capsys):
    assert prepare(corpus) == 0
    manifest = corpus / "DATA" / "eval.tsv"
    assert read_manifest(manifest) == [
        Trial("E_1", str(corpus / "flac" / "E_1.flac"), "bonafide", 8000, {"speaker": "p1", "attack": "-"}),
        Trial("E_2", str(corpus / "flac" / "E_2.flac"), "spoof", 4000, {"speaker": "p2", "attack": "A07"}),
    ]
    captured = capsys.readouterr()
    assert captured.out == f"2 trials, 1 bona fide, 1 spoof, 0 unknown, 0.00 hours: {manifest}\n"
    assert captured.err == ""


def test_hours_are_those_of_the_recordings(corpus, capsys):
    soundfile.write(corpus / "flac" / "E_1.flac", np.zeros(100 * 8000, dtype="int16"), 8000)
    assert prepare(corpus) == 0
    assert " 0.03 hours: " in capsys.readouterr().out


def test_split_names_the_manifest(corpus):
    assert prepare(corpus, "--split", "train") == 0
    assert [path.name for path in (corpus / "DATA").iterdir()] == ["train.tsv"]


def test_no_durations_opens_no_recording(corpus, capsys):
    (corpus / "flac" / "E_1.flac").write_bytes(b"not opened")
    assert prepare(corpus, "--no-durations") == 0
    assert [trial.n_frames for trial in read_manifest(corpus / "DATA" / "eval.tsv")] == [0, 0]
    assert "(2 of unknown length)" in capsys.readouterr().out


def test_a_folder_is_prepared_with_labels_of_its_subfolders(corpus, capsys):
    for label in ("bonafide", "spoof"):
        (corpus / "calls" / label).mkdir(parents=True)
        soundfile.write(corpus / "calls" / label / "1.wav", np.zeros(160), 16000)
    assert main(["prepare", "folder", "--audio", str(corpus / "calls"), "--dest", str(corpus / "DATA")]) == 0
    assert [(trial.id, trial.label) for trial in read_manifest(corpus / "DATA" / "eval.tsv")] == [
        ("bonafide/1.wav", "bonafide"),
        ("spoof/1.wav", "spoof"),
    ]
    assert "2 trials, 1 bona fide, 1 spoof, 0 unknown" in capsys.readouterr().out


def test_a_folder_has_unknown_labels_or_the_one_given(corpus, capsys):
    command = ["prepare", "folder", "--audio", str(corpus / "flac"), "--dest", str(corpus / "DATA")]
    assert main(command) == 0
    assert "2 trials, 0 bona fide, 0 spoof, 2 unknown" in capsys.readouterr().out
    assert main([*command, "--label", "spoof"]) == 0
    assert "2 trials, 0 bona fide, 2 spoof, 0 unknown" in capsys.readouterr().out


def test_missing_recordings_stop_or_are_left_out(corpus, capsys):
    (corpus / "flac" / "E_2.flac").unlink()
    assert prepare(corpus) == 1
    assert not (corpus / "DATA").exists()
    assert "eval.trl.txt:2: no recording for 1 of 2 trials (E_2)" in capsys.readouterr().err
    assert prepare(corpus, "--allow-missing") == 0
    assert [trial.id for trial in read_manifest(corpus / "DATA" / "eval.tsv")] == ["E_1"]


@pytest.fixture
def published(monkeypatch):
    """A function that publishes the numbers of the corpus's list, whose recordings come in two archives."""

    def publish(n_bonafide, n_spoof):
        count = PublishedCount(n_bonafide, n_spoof, "part*.tar.gz", 2)
        corpus = replace(CORPORA["asvspoof2019-la"], counts={"eval.trl.txt": count})
        monkeypatch.setitem(CORPORA, corpus.name, corpus)

    return publish


def test_check_says_that_the_numbers_are_the_published_ones(corpus, capsys, published):
    published(1, 1)
    assert prepare(corpus, "--check") == 0
    assert "0 unknown, 0.00 hours (as published): " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("n_bonafide", "n_spoof", "deviation"),
    [(1, 4, "2 trials instead of the 5 published"), (0, 2, "1 bona fide trials instead of the 0 published")],
)
def test_check_refuses_other_numbers_which_are_noted_without_it(corpus, capsys, published, n_bonafide, n_spoof, deviation):
    published(n_bonafide, n_spoof)
    assert prepare(corpus, "--check") == 1
    message = f"sls prepare: error: {corpus / 'eval.trl.txt'}: {deviation}: give the official list and all its recordings"
    assert capsys.readouterr().err.startswith(message)
    assert not (corpus / "DATA").exists()
    assert prepare(corpus) == 0
    assert f" hours ({deviation}): " in capsys.readouterr().out


def test_recordings_left_out_do_not_pass_the_check(corpus, capsys, published):
    published(1, 1)
    (corpus / "flac" / "E_2.flac").unlink()
    assert prepare(corpus, "--check", "--allow-missing") == 1
    assert "eval.trl.txt: 1 trials instead of the 2 published" in capsys.readouterr().err
    assert prepare(corpus, "--check") == 1
    assert "(E_2) in " in (message := capsys.readouterr().err)
    assert message.endswith("; as many as 1 of the 2 archives part*.tar.gz hold: unpack all of them\n")


def test_a_list_of_another_length_says_nothing_of_archives(corpus, capsys, published):
    published(5, 5)
    (corpus / "flac" / "E_2.flac").unlink()
    assert prepare(corpus) == 1
    assert capsys.readouterr().err.endswith("or leave them out with --allow-missing\n")


def test_limit_takes_the_first_trials_of_each_class_in_order(corpus):
    labels = ["spoof", "spoof", "bonafide"] * 3
    (corpus / "long.txt").write_text("".join(f"p U_{number} - - {label}\n" for number, label in enumerate(labels)))
    for number in range(len(labels)):
        soundfile.write(corpus / "flac" / f"U_{number}.flac", np.zeros(16), 16000)
    assert prepare(corpus, "--limit", "3", protocol="long.txt") == 0
    assert [trial.id for trial in read_manifest(corpus / "DATA" / "eval.tsv")] == ["U_0", "U_1", "U_2", "U_3", "U_5", "U_8"]


def test_limit_takes_the_first_trials_where_labels_are_unknown_and_reads_no_others(corpus, capsys):
    (corpus / "flac" / "E_2.flac").write_bytes(b"not opened")
    command = ["prepare", "folder", "--audio", str(corpus / "flac"), "--dest", str(corpus / "DATA"), "--limit"]
    assert main([*command, "1"]) == 0
    assert [trial.id for trial in read_manifest(corpus / "DATA" / "eval.tsv")] == ["E_1.flac"]
    assert main([*command, "2"]) == 1
    assert "E_2.flac: its header cannot be read" in capsys.readouterr().err


def test_the_check_is_of_the_whole_corpus_although_only_some_is_taken(corpus, capsys, published):
    published(1, 3)
    lines = "p1 E_1 - - bonafide\np2 E_2 - A07 spoof\np3 E_3 - A07 spoof\np4 E_4 - A07 spoof\n"
    (corpus / "eval.trl.txt").write_text(lines)
    for name in ("E_3", "E_4"):
        soundfile.write(corpus / "flac" / f"{name}.flac", np.zeros(16), 16000)
    assert prepare(corpus, "--check", "--limit", "1") == 0
    assert "2 trials, 1 bona fide, 1 spoof, 0 unknown, 0.00 hours (as published): " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("break_it", "problem"),
    [
        (lambda corpus: (corpus / "eval.trl.txt").write_text("p1 E_1 - - genuine\n"), "eval.trl.txt:1: unknown label"),
        (lambda corpus: (corpus / "eval.trl.txt").unlink(), "eval.trl.txt: No such file or directory"),
        (lambda corpus: (corpus / "flac" / "E_2.flac").write_bytes(b""), "E_2.flac: its header cannot be read"),
        (lambda corpus: (corpus / "DATA").touch(), "DATA: File exists"),
    ],
)
def test_a_problem_with_the_data_is_one_line_and_leaves_no_manifest(corpus, capsys, break_it, problem):
    break_it(corpus)
    assert prepare(corpus) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("sls prepare: error: ")
    assert problem in captured.err
    assert captured.err.count("\n") == 1
    assert not list(corpus.glob("DATA/*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["asvspoof2019-la", "--audio", "A", "--dest", "D"], "asvspoof2019-la needs --protocol"),
        (["asvspoof2019", "--audio", "A", "--dest", "D"], "asvspoof2019-la needs --protocol"),
        (["asvspoof2019-pa", "--audio", "A", "--dest", "D"], "asvspoof2019-pa needs --protocol"),
        (["asvspoof2019-la", "--audio", "A", "--dest", "D", "--protocol", "P", "--label", "spoof"], "takes no --label"),
        (["folder", "--audio", "A", "--dest", "D", "--protocol", "P"], "folder takes no --protocol"),
        (["folder", "--audio", "A", "--dest", "D", "--allow-missing"], "folder takes no --allow-missing"),
        (["folder", "--audio", "A", "--dest", "D", "--label", "fake"], "argument --label: invalid choice: 'fake'"),
        (["folder", "--audio", "A", "--dest", "D", "--keys", "K"], "folder takes no --keys"),
        (["asvspoof2021-la", "--audio", "A", "--dest", "D"], "asvspoof2021-la needs --protocol, --keys or both"),
        (["asvspoof2021-df", "--audio", "A", "--dest", "D"], "asvspoof2021-df needs --protocol, --keys or both"),
        (["asvspoof5", "--audio", "A", "--dest", "D"], "asvspoof5 needs --protocol"),
        (["asvspoof5", "--audio", "A", "--dest", "D", "--protocol", "P", "--keys", "K"], "asvspoof5 takes no --keys"),
        (["list", "--audio", "A", "--dest", "D"], "list needs --protocol"),
        (["mlaad", "--audio", "A", "--dest", "D", "--protocol", "P"], "mlaad takes no --protocol"),
        (["librispeech", "--audio", "A", "--dest", "D", "--allow-missing"], "librispeech takes no --allow-missing"),
        (["mlaad", "--audio", "A", "--dest", "D", "--check"], "--check: no count is published of mlaad as listed in A"),
        (
            ["asvspoof2019-la", "--audio", "A", "--dest", "D", "--protocol", "mine.txt", "--check"],
            "--check: no count is published of asvspoof2019-la as listed in mine.txt",
        ),
        (["folder", "--audio", "A", "--dest", "D", "--limit", "0"], "argument --limit: 0 is not a whole number of at least 1"),
        (["folder", "--dest", "D"], "the following arguments are required: --audio"),
        (["folder", "--audio", "A"], "the following arguments are required: --dest"),
        (["labels", "--audio", "A", "--dest", "D"], "invalid choice: 'labels'"),
        (["asvspoof1999", "--audio", "A", "--dest", "D"], "invalid choice: 'asvspoof1999'"),
    ],
)
def test_wrong_usage_exits_2_with_the_usage_of_the_command(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        main(["prepare", *arguments])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("usage: sls prepare ")
    assert "sls prepare: error: " in error
    assert message in error


def test_the_help_says_what_each_corpus_needs(capsys):
    with pytest.raises(SystemExit):
        main(["prepare", "--help"])
    lines = capsys.readouterr().out.splitlines()
    needs = lines[lines.index("what lists the trials of each CORPUS, besides --audio:") + 1 :]
    named = [line.split()[0] for line in needs[: needs.index("")] if not line.startswith("   ")]
    assert named == [name for name, corpus in CORPORA.items() if corpus.reader]


@pytest.mark.parametrize(
    ("fault", "status", "message"),
    [
        (DataError("eval.tsv:3: repeated id: list each trial once"), 1, "error: eval.tsv:3: repeated id"),
        (CheckpointError("model.pt: no model in it"), 1, "error: model.pt: no model in it"),
        (PermissionError(13, "Permission denied", "DATA/eval.tsv"), 1, "error: DATA/eval.tsv: Permission denied"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_any_command_that_fails_says_so_in_one_line(monkeypatch, capsys, corpus, name, fault, status, message):
    def fail(args):
        raise fault

    class Failing:
        HELP = COMMANDS[name].HELP
        add_arguments = staticmethod(lambda parser: None)
        run = staticmethod(fail)

    monkeypatch.setitem(COMMANDS, name, Failing)
    assert main([name]) == status
    assert capsys.readouterr().err.startswith(f"sls {name}: {message}")


def test_a_bug_is_not_dressed_up_as_a_problem_with_the_data(monkeypatch, corpus):
    def fail(args):
        raise OSError("no file is named")

    monkeypatch.setattr(COMMANDS["prepare"], "run", fail)
    with pytest.raises(OSError, match="no file is named"):
        prepare(corpus)


def run_python(*arguments):
    """What a fresh interpreter prints, and its exit status, when it is started beside the packages."""
    checkout = Path(sls_plugin.__file__).parents[1]
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=checkout, capture_output=True, text=True)


def test_nothing_heavy_is_loaded_to_prepare(corpus):
    program = (
        "import sys, sls_plugin.__main__ as sls\n"
        "status = sls.main(sys.argv[1:])\n"
        "print(status, {'torch', 'fairseq', 'librosa', 'matplotlib', 'scipy'} & set(sys.modules))"
    )
    done = run_python("-c", program, "prepare", "folder", "--audio", corpus / "flac", "--dest", corpus / "DATA")
    assert done.stdout.splitlines()[-1] == "0 set()", done.stderr


def test_the_package_runs_as_a_module(corpus):
    done = run_python("-m", "sls_plugin", "prepare", "folder", "--audio", corpus / "flac", "--dest", corpus / "DATA")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"2 trials, 0 bona fide, 0 spoof, 2 unknown, 0.00 hours: {corpus / 'DATA' / 'eval.tsv'}\n"
