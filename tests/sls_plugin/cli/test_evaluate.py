"""`sls evaluate` from the command line."""

import gzip
import json
import math
import subprocess
import sys
import tarfile

import numpy as np
import pytest

from protocols import Trial, write_manifest
from sls_plugin.__main__ import main

LABELS = "a bonafide\nb spoof\nc bona-fide\nd spoof\n"
SYSTEMS = (
    "itw/yash_v1", "itw/yash_v2", "la19_eval/RawGAT_ST_mul", "la19_eval/RawGAT_ST_add", "la19_eval/ocsoftmax",
    "la19_eval/ocsoftmax_test_results", "la19_eval/softmax",
)  # fmt: skip
FIGURES = {
    "n_bonafide": "n_bona", "n_spoof": "n_spoof",
    "eer": "eer", "eer_threshold": "eer_threshold", "eer_tie_aware": "eer_unique_thr",
    "min_tdcf": "min_tdcf_2021", "min_tdcf_2019": "min_tdcf_legacy",
    "min_dcf": "a5_minDCF", "act_dcf": "a5_actDCF", "cllr": "a5_cllr",
}  # fmt: skip
SCORES = "a 0.1\nb -2.5\nc 3\nd 0.25\n"  # the lower bona fide below the higher spoof: EER 50 %


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "labels.txt").write_text(LABELS)
    (tmp_path / "scores.txt").write_text(SCORES)
    return tmp_path


def run(folder, *options):
    scores, keys = folder / "scores.txt", folder / "labels.txt"
    return main(["evaluate", "labels", str(scores), "--keys", str(keys), *options])


def test_prints_a_table_and_writes_full_precision(folder, capsys):
    assert run(folder, "--json", str(folder / "new" / "result.json")) == 0
    result = json.loads((folder / "new" / "result.json").read_text())
    cllr = sum(math.log2(1 + math.exp(loss)) / 4 for loss in (-0.1, -3, -2.5, 0.25))
    assert result.pop("cllr") == pytest.approx(cllr, abs=1e-12)
    # At the Bayes threshold of -0.64 no bona fide trial is rejected and one of two spoofs accepted: 0.5 x 0.5 / 0.5.
    assert result == {
        "corpus": "labels", "phase": "all", "n_bonafide": 2, "n_spoof": 2, "n_missing": 0, "negated": False,
        "eer": 0.5, "eer_threshold": 0.1, "eer_tie_aware": 0.5, "eer_ci": None, "min_tdcf": None, "min_tdcf_2019": None,
        "tdcf_form": None, "min_dcf": 0.5, "act_dcf": 0.5, "per_attack": {}, "per_condition": {}, "table": None, "warnings": [],
    }  # fmt: skip
    output = capsys.readouterr()
    assert "EER       50.000 % at threshold 0.1\n" in output.out
    assert "phase     all\n" in output.out
    assert output.err == ""


def test_manifest_with_attacks_and_phases(tmp_path, capsys):
    facts = {"b1": ("", "eval"), "s1": ("A1", "eval"), "s2": ("A2", "eval"), "p": ("A1", "progress")}
    trials = [
        Trial(name, f"{name}.wav", "bonafide" if name == "b1" else "spoof", facts={"attack": attack, "phase": phase})
        for name, (attack, phase) in facts.items()
    ]
    write_manifest(tmp_path / "eval.tsv", trials)
    (tmp_path / "scores.txt").write_text("b1 1\ns1 0\ns2 2\np 3\n")
    evaluate = ["evaluate", "labels", str(tmp_path / "scores.txt"), "--keys", str(tmp_path)]
    assert main([*evaluate, "--json", str(tmp_path / "r.json")]) == 0
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["phase"], result["n_spoof"], result["per_attack"]) == ("eval", 2, {"A1": 0.0, "A2": 1.0})
    assert main([*evaluate, "--phase", "all"]) == 0
    output = capsys.readouterr()
    assert "phase     all\ntrials    4: 1 bona fide, 3 spoof" in output.out
    assert "warning: the phases eval, progress are pooled: published figures are those of --phase eval" in output.err
    assert main([*evaluate, "--phase", "hidden"]) == 1
    assert "no trial of phase hidden" in capsys.readouterr().err


def test_allow_missing_says_so_in_every_output(folder, capsys):
    (folder / "scores.txt").write_text("a 3\nb 1\n")
    assert run(folder) == 1
    assert "2 trials of the keys have no score ('c', 'd')" in capsys.readouterr().err
    assert run(folder, "--allow-missing", "--json", str(folder / "r.json")) == 0
    assert "left out  2 trials" in capsys.readouterr().out
    result = json.loads((folder / "r.json").read_text())
    assert result["n_missing"] == 2
    assert "2 trials of the keys have no score and are left out" in result["warnings"][0]


def test_negated_scores_are_told(folder, capsys):
    (folder / "scores.txt").write_text("a -3\nb 1\nc -4\nd 2\n")
    assert run(folder) == 0
    output = capsys.readouterr()
    assert "EER       100.000 %" in output.out
    assert output.err.startswith("sls evaluate: warning: the EER of 100.00 % is above 50 %")
    assert run(folder, "--negate") == 0
    output = capsys.readouterr()
    assert "scores.txt (negated)" in output.out
    assert "EER       0.000 % at threshold -1\n" in output.out
    assert output.err == ""


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ("a 1\nb 2\nc 3\n", "1 trial of the keys has no score ('d')"),
        (SCORES + "x 1\n", "1 id is not in the keys ('x')"),
        (SCORES + "a 0.1\n", "1 repeated id (line 5: 'a' with the same score)"),
        (SCORES + "a 7\n", "1 repeated id (line 5: 'a' with another score)"),
        (SCORES.replace("3", "nan"), "1 score that is NaN or infinite (line 3: 'c' nan)"),
        (SCORES.replace("3", "-inf"), "1 score that is NaN or infinite (line 3: 'c' -inf)"),
        (SCORES.replace(" 3", ""), "1 malformed line (line 3: 'c')"),
        ("", "the file is empty"),
    ],
)
def test_bad_scores_are_one_line_and_no_figure(folder, capsys, scores, message):
    (folder / "scores.txt").write_text(scores)
    assert run(folder, "--json", str(folder / "r.json")) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert message in output.err
    assert "scores.txt" in output.err
    assert output.err.count("\n") == 1
    assert not (folder / "r.json").exists()


def test_absent_files_are_one_line(folder, capsys):
    (folder / "labels.txt").unlink()
    assert run(folder) == 1
    output = capsys.readouterr()
    assert "labels.txt" in output.err
    assert output.err.count("\n") == 1


def test_wrong_usage_exits_2(folder):
    for options in (["--phase", "development"], ["--bootstrap"], ["--bootstrap", "many"], ["--bootstrap", "9"], ["--by-speaker"]):
        with pytest.raises(SystemExit) as stop:
            run(folder, *options)
        assert stop.value.code == 2


@pytest.fixture(scope="module")
def organisers(shared, tmp_path_factory):
    """A folder with the real keys of 2019 LA and In-the-Wild and those in the layout of 2021, as they are unpacked."""
    source, folder = shared / "data/scores", tmp_path_factory.mktemp("organisers")
    files = {
        "LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt": "la19_eval/cm_key.txt.gz",
        "LA/ASVspoof2019_LA_asv_scores/ASVspoof2019.LA.asv.eval.gi.trl.scores.txt": "la19_eval/asv_scores.txt.gz",
        "in_the_wild_key.txt": "itw/key.txt.gz",
    }
    for name, packed in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(gzip.decompress((source / packed).read_bytes()))
    with tarfile.open(source / "keys21/keysB.tar.gz") as package:
        package.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.3 and older have none
        package.extractall(folder)
    return folder


def published_scores(shared, system, path):
    """Write the scores of a published system as `id score`, the lines in the reverse order."""
    with gzip.open(shared / f"data/scores/{system}.txt.gz", "rt") as file:
        rows = [line.split() for line in file]
    path.write_text("".join(f"{row[0]} {row[-1]}\n" for row in reversed(rows)))
    return str(path)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_figure_of_published_scores(shared, organisers, system, tmp_path, capsys):
    expected = json.loads((shared / "data/scores/expected.json").read_text())[system]
    scores, json_file = published_scores(shared, system, tmp_path / "scores.txt"), tmp_path / "r.json"
    corpus = "in-the-wild" if system.startswith("itw") else "2019la"
    assert main(["evaluate", corpus, scores, "--keys", str(organisers), "--json", str(json_file)]) == 0
    result = json.loads(json_file.read_text())
    assert result["phase"] == "eval"
    # The scores are read in another order, and where trials tie the order within a class does not matter.
    for name, reference in FIGURES.items():
        if reference in expected:
            assert result[name] == pytest.approx(expected[reference], abs=1e-12)
        else:
            assert result[name] is None
    assert result["per_attack"] == pytest.approx(expected.get("eer_per_attack", {}), abs=1e-12)
    output = capsys.readouterr()
    assert max(map(len, output.out.splitlines())) <= 100
    assert ("many ties" in output.err) == (max(expected["bona_tied_with_spoof"], expected["spoof_tied_with_bona"]) > 700)
    assert ("--negate" in output.err) == (expected["eer"] > 0.5)
    if corpus == "2019la":
        compared = f"min t-DCF {expected['min_tdcf_legacy']:.4f} (2019 form, which papers on this corpus report), "
        assert f"{compared}{expected['min_tdcf_2021']:.4f} (2021 form)\n" in output.out
        assert result["tdcf_form"] == 2019


def test_2019la_without_asv_scores_takes_the_published_rates(shared, tmp_path, capsys):
    expected = json.loads((shared / "data/scores/expected.json").read_text())["la19_eval/softmax"]
    scores, keys = published_scores(shared, "la19_eval/softmax", tmp_path / "scores.txt"), tmp_path / "key.txt"
    keys.write_bytes(gzip.decompress((shared / "data/scores/la19_eval/cm_key.txt.gz").read_bytes()))
    assert main(["evaluate", "2019la", scores, "--keys", str(keys), "--json", str(tmp_path / "r.json")]) == 0
    assert "the published error rates of the organisers' system: no ASV scores beside the keys" in capsys.readouterr().out
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["min_tdcf"] == pytest.approx(expected["min_tdcf_2021"], abs=1e-12)
    assert result["min_tdcf_2019"] == pytest.approx(expected["min_tdcf_legacy"], abs=1e-12)


@pytest.mark.parametrize("phase", ["eval", "progress", "hidden"])
@pytest.mark.parametrize("corpus", ["2021la", "2021df"])
def test_tables_of_the_2021_package(shared, organisers, corpus, phase, tmp_path, capsys):
    tables = json.loads((shared / "data/scores/keys21/expected_RawGAT_ST_mul.json").read_text())
    expected = tables[f"B|{corpus[-2:].upper()}|{phase}|RawGAT_ST_mul"]
    scores, json_file = published_scores(shared, "la19_eval/RawGAT_ST_mul", tmp_path / "scores.txt"), tmp_path / "r.json"
    evaluate = ["evaluate", corpus, scores, "--keys", str(organisers / "keysB"), "--json", str(json_file)]
    assert main([*evaluate, "--phase", phase]) == 0
    result = json.loads(json_file.read_text())
    table = result["table"]
    for name, reference in (("eer", "eer"), ("min_tdcf", "mintdcf")):
        if reference in expected:
            wanted = np.array(expected[reference], dtype=float)  # None becomes NaN
            np.testing.assert_allclose(np.array(table[name], dtype=float), wanted, atol=1e-9, rtol=0, equal_nan=True)
        else:
            assert table[name] is None
    assert table["eer"][-1][-1] == result["eer"]
    assert result["per_condition"] == pytest.approx(dict(zip(table["columns"][:-1], table["eer"][-1], strict=False)))
    if corpus == "2021la":
        assert table["min_tdcf"][-1][-1] == pytest.approx(result["min_tdcf"], abs=1e-12)
        assert result["tdcf_form"] == 2021
    output = capsys.readouterr().out
    assert ("(2021 form, which papers on this corpus report)" in output) == (corpus == "2021la")
    assert f"phase     {phase}\n" in output
    assert max(map(len, output.splitlines())) <= 100
    assert next(line for line in output.splitlines() if line.startswith("pooled")).endswith(f"{100 * result['eer']:.2f}")


def test_2021la_without_asv_scores_has_error_rates_only(tmp_path, capsys):
    keys = tmp_path / "keys/LA/CM/trial_metadata.txt"
    keys.parent.mkdir(parents=True)
    keys.write_text(
        "LA_1 LA_E_1 alaw ita_tx bonafide bonafide notrim eval\nLA_2 LA_E_2 alaw ita_tx A07 spoof notrim eval\n"
        "LA_1 LA_E_3 none - A08 spoof notrim eval\nLA_2 LA_E_4 none - A08 spoof only_speech hidden_track\n"
    )
    (tmp_path / "scores.txt").write_text("LA_E_1 1\nLA_E_2 0\nLA_E_3 2\nLA_E_4 0\n")
    evaluate = ["evaluate", "2021la", str(tmp_path / "scores.txt"), "--keys", str(tmp_path)]
    assert main([*evaluate, "--json", str(tmp_path / "r.json")]) == 0
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["n_bonafide"], result["n_spoof"], result["min_tdcf"]) == (1, 2, None)
    assert result["per_attack"] == {"A07": 0.0, "A08": 1.0}
    assert result["per_condition"] == {"alaw": 0.0, "none": None}  # no bona fide trial without a codec
    assert result["table"]["min_tdcf"] is None
    assert "min t-DCF" not in capsys.readouterr().out


def test_intervals_by_trial_and_by_speaker(folder, capsys):
    rng = np.random.default_rng(0)
    rows = [(f"u{i}", f"s{i % 6}", ("spoof", "bonafide")[i % 2], rng.normal(i % 2 + i % 6 / 3)) for i in range(300)]
    (folder / "keys.tsv").write_text(
        "id\taudio\tn_frames\tlabel\tspeaker\n" + "".join(f"{row[0]}\tx\t0\t{row[2]}\t{row[1]}\n" for row in rows)
    )
    (folder / "scores.txt").write_text("".join(f"{row[0]} {row[3]}\n" for row in rows))
    evaluate = ["evaluate", "labels", str(folder / "scores.txt"), "--keys", str(folder / "keys.tsv")]
    intervals = []
    for options in (["--bootstrap", "300"], ["--bootstrap", "300"], ["--bootstrap", "300", "--by-speaker"]):
        assert main([*evaluate, *options, "--json", str(folder / "r.json")]) == 0
        result = json.loads((folder / "r.json").read_text())
        assert result["eer_ci"][0] < result["eer"] < result["eer_ci"][1]
        intervals.append(result["eer_ci"])
    assert intervals[0] == intervals[1]
    assert intervals[0] != intervals[2]
    output = capsys.readouterr().out
    assert "% from 300 resamples of trials within each class\n" in output
    assert "% from 300 resamples of speakers\n" in output


def write_keys(folder, rows):
    """A manifest with the speaker of each trial as keys."""
    lines = [f"{name}\tx\t0\t{label}\t{speaker}\n" for name, label, speaker in rows]
    (folder / "labels.txt").write_text("id\taudio\tn_frames\tlabel\tspeaker\n" + "".join(lines))


def test_intervals_that_say_too_little_are_refused_or_told(folder, capsys):
    labels = {"a": "bonafide", "b": "spoof", "c": "bonafide", "d": "spoof"}
    write_keys(folder, [(name, label, f"speaker {label}") for name, label in labels.items()])
    assert run(folder, "--bootstrap", "100", "--by-speaker") == 1
    assert "a class has only one speaker: resample trials instead" in capsys.readouterr().err
    write_keys(folder, [(name, label, f"speaker {name}") for name, label in labels.items()])
    assert run(folder, "--bootstrap", "100", "--by-speaker") == 0
    printed = capsys.readouterr().err
    wider = "the true interval is wider than the one shown"
    assert f"only about 1 trials of the smaller class are in error: {wider}" in printed
    assert f"a class has only 2 speakers: {wider}" in printed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LA_1 PA_E_1 aaa - bonafide\nLA_2 PA_E_2 aaa AA spoof\n", "eval"),
        ("LA_1 PA_D_1 aaa - bonafide\nLA_2 PA_D_2 aaa AA spoof\n", "all"),
        ("LA_1 MINI_E_1 - - bonafide\nLA_2 MINI_E_2 - A07 spoof\n", "eval"),
    ],
)
def test_the_asv_system_of_2019la_says_nothing_of_other_corpora(tmp_path, text, expected, capsys):
    (tmp_path / "key.txt").write_text(text)
    names = [line.split()[1] for line in text.splitlines()]
    (tmp_path / "scores.txt").write_text(f"{names[0]} 1\n{names[1]} 0\n")
    evaluate = ["evaluate", "2019la", str(tmp_path / "scores.txt"), "--keys", str(tmp_path / "key.txt")]
    assert main([*evaluate, "--json", str(tmp_path / "r.json")]) == 0
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["min_tdcf"], result["min_tdcf_2019"], result["phase"]) == (None, None, expected)
    assert "no min t-DCF: the organisers' ASV scores are not beside the keys" in capsys.readouterr().err


def test_trials_outside_the_official_table_are_told(tmp_path, capsys):
    (tmp_path / "trial_metadata.txt").write_text(
        "LA_1 LA_E_1 none - bonafide bonafide notrim eval\nLA_2 LA_E_2 none - A07 spoof notrim eval\n"
        "LA_2 LA_E_3 none - A20 spoof notrim eval\nLA_2 LA_E_4 evs - A07 spoof notrim eval\n"
    )
    (tmp_path / "scores.txt").write_text("LA_E_1 1\nLA_E_2 0\nLA_E_3 2\nLA_E_4 0\n")
    assert main(["evaluate", "2021la", str(tmp_path / "scores.txt"), "--keys", str(tmp_path)]) == 0
    assert "2 trials have no row or column in the official table" in capsys.readouterr().err


def test_outputs_that_would_replace_something_are_refused(folder, capsys):
    (folder / "folder").mkdir()
    assert run(folder, "--json", str(folder / "folder")) == 1
    output = capsys.readouterr()
    assert "folder: is a folder: name a file to write" in output.err
    assert output.out == ""
    with pytest.raises(SystemExit) as stop:
        run(folder, "--json", str(folder / "folder" / ".." / "scores.txt"))
    assert stop.value.code == 2
    assert (folder / "scores.txt").read_text() == SCORES


def test_a_closed_pipe_is_no_traceback(folder):
    arguments = ["evaluate", "labels", folder / "scores.txt", "--keys", folder / "labels.txt"]
    process = subprocess.Popen(
        [sys.executable, "-m", "sls_plugin", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 1


def test_a_bootstrap_by_speaker_needs_speakers(folder, capsys):
    assert run(folder, "--bootstrap", "100", "--by-speaker") == 1
    assert "the speaker of 4 of 4 trials is unknown: resample trials instead" in capsys.readouterr().err


def test_evaluates_without_torch(folder):
    code = (
        "import sys; from sls_plugin.__main__ import main; status = main(sys.argv[1:]); "
        "print({'torch', 'fairseq', 'matplotlib', 'librosa'} & set(sys.modules)); sys.exit(status)"
    )
    arguments = ["evaluate", "labels", folder / "scores.txt", "--keys", folder / "labels.txt"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")
