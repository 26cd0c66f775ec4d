"""`sls explain`: the layer weights of a detector against their definition."""

import numpy as np
import pytest
import soundfile
import torch
from detectors import write_detector

from protocols import Trial, write_manifest
from sls_plugin.__main__ import main
from sls_plugin.data.audio import read_audio

MAX_SAMPLES = 4000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Five recordings of one clip's length, two of them bona fide, two spoof, one unknown."""
    folder = tmp_path_factory.mktemp("corpus")
    rng, trials = np.random.default_rng(0), []
    for number, label in enumerate(("bonafide", "spoof", "bonafide", "spoof", "")):
        soundfile.write(folder / f"{number}.wav", rng.uniform(-0.5, 0.5, MAX_SAMPLES), 16_000)
        trials.append(Trial(f"t{number}", f"{number}.wav", label))
    write_manifest(folder / "eval.tsv", trials)
    return folder


def sls(path, tiny_checkpoint, *options, gate_bias=None):
    """A small random SLS, and its checkpoint."""
    model = write_detector(path, "sls_xlsr_300m", MAX_SAMPLES, "--w2v-path", str(tiny_checkpoint), *options)
    if gate_bias is not None:
        checkpoint = torch.load(path)
        checkpoint["model"]["fc0.bias"].fill_(gate_bias)
        torch.save(checkpoint, path)
    return model.eval()


def test_gates_are_averaged_class_by_class(corpus, tiny_checkpoint, tmp_path, capsys):
    model = sls(tmp_path / "sls.pt", tiny_checkpoint)
    explain = ["explain", str(tmp_path / "sls.pt"), str(corpus / "eval.tsv"), "--num-workers", "0", "--batch-size", "2"]
    assert main([*explain, "--output", str(tmp_path / "layers.tsv")]) == 0

    gates = []
    with torch.no_grad():
        for number in range(5):
            source = torch.from_numpy(read_audio(corpus / f"{number}.wav")).unsqueeze(0)
            layers = [layer[:, 0] for layer in model.ssl_model.layer_outputs(source)]  # each T x C
            of_layers = [model.fc0.weight[0] @ layer.mean(dim=0) + model.fc0.bias[0] for layer in layers]
            gates.append([1 / (1 + np.exp(-float(logit))) for logit in of_layers])
    expected = np.array([np.mean([gates[0], gates[2]], axis=0), np.mean([gates[1], gates[3]], axis=0), gates[4]])
    header, *rows = (tmp_path / "layers.tsv").read_text().splitlines()
    assert header == "layer\tbonafide\tspoof\tunknown"
    table = np.array([row.split("\t") for row in rows], dtype=float)
    np.testing.assert_array_equal(table[:, 0], range(len(model.ssl_model.layers)))
    np.testing.assert_allclose(table[:, 1:].T, expected, atol=1e-6)
    trials, columns, *lines = capsys.readouterr().out.splitlines()
    assert trials == "mean weights over 2 bonafide, 2 spoof, 1 unknown trials"
    assert columns.split() == header.split("\t")
    for line, row in zip(lines, table, strict=True):
        *numbers, bar = line.split()
        np.testing.assert_allclose(np.array(numbers, dtype=float), row, atol=5e-7)
        assert len(bar) == round(40 * max(row[1:]) / table[:, 1:].max())
        assert len(line) <= 100


def test_softmax_weights_are_the_same_for_all_and_sum_to_1(corpus, tiny_checkpoint, tmp_path):
    sls(tmp_path / "sls.pt", tiny_checkpoint, "--layer-fusion", "softmax")
    assert main(["explain", str(tmp_path / "sls.pt"), str(corpus), "--output", str(tmp_path / "layers.tsv")]) == 0
    table = np.loadtxt(tmp_path / "layers.tsv", skiprows=1)
    assert len(table) == 5  # four layers and the input of the first
    np.testing.assert_allclose(table[:, 1], 1 / 5, atol=1e-7)


@pytest.mark.parametrize("fusion", ["last", "sum"])
def test_a_fusion_without_weights_is_reported(corpus, tiny_checkpoint, tmp_path, capsys, fusion):
    sls(tmp_path / "sls.pt", tiny_checkpoint, "--layer-fusion", fusion)
    assert main(["explain", str(tmp_path / "sls.pt"), str(corpus), "--output", str(tmp_path / "layers.tsv")]) == 1
    refusal = "this SLS has no layer weights: give a checkpoint of SLS with --layer-fusion gate or softmax"
    assert capsys.readouterr().err == f"sls explain: error: {refusal}\n"
    assert not (tmp_path / "layers.tsv").exists()


@pytest.mark.parametrize(("arch", "name"), [("aasist", "AASIST"), ("xlsr_linear_300m", "XLSRLinear")])
def test_a_detector_without_layer_weights_is_reported(corpus, tiny_checkpoint, tmp_path, capsys, arch, name):
    options = () if arch == "aasist" else ("--w2v-path", str(tiny_checkpoint))
    write_detector(tmp_path / "other.pt", arch, MAX_SAMPLES, *options)
    assert main(["explain", str(tmp_path / "other.pt"), str(corpus)]) == 1
    refusal = f"this {name} has no layer weights: give a checkpoint of SLS with --layer-fusion gate or softmax"
    assert capsys.readouterr().err == f"sls explain: error: {refusal}\n"


def test_weights_that_are_no_numbers_name_the_first_trial(corpus, tiny_checkpoint, tmp_path, capsys):
    sls(tmp_path / "sls.pt", tiny_checkpoint)
    checkpoint = torch.load(tmp_path / "sls.pt")
    largest = torch.finfo(torch.float32).max
    checkpoint["model"]["fc0.weight"].copy_(largest * torch.tensor([1.0, -1.0]).repeat(24))  # infinity less infinity
    checkpoint["model"]["ssl_model.model.encoder.layers.0.fc2.bias"].fill_(1e3)
    torch.save(checkpoint, tmp_path / "sls.pt")
    explain = ["explain", str(tmp_path / "sls.pt"), str(corpus / "eval.tsv"), "--output", str(tmp_path / "layers.tsv")]
    assert main(explain) == 1
    outcome = capsys.readouterr()
    assert outcome.out == ""
    assert f"{corpus / '0.wav'}: trial t0: the layer weights are NaN" in outcome.err
    assert not (tmp_path / "layers.tsv").exists()


def test_closed_gates_have_no_bars(corpus, tiny_checkpoint, tmp_path, capsys):
    sls(tmp_path / "sls.pt", tiny_checkpoint, gate_bias=-200)  # in single precision its sigmoid is 0
    assert main(["explain", str(tmp_path / "sls.pt"), str(corpus)]) == 0
    _, columns, *lines = capsys.readouterr().out.splitlines()
    assert columns.split() == ["layer", "unknown"]  # a folder tells no labels
    assert [line.split() for line in lines] == [[str(layer), "0.000000"] for layer in range(4)]


def test_an_empty_manifest_is_reported(corpus, tmp_path, capsys):
    header, *_ = (corpus / "eval.tsv").read_text().splitlines(keepends=True)
    (tmp_path / "empty.tsv").write_text(header)
    assert main(["explain", "sls.pt", str(tmp_path / "empty.tsv")]) == 1
    assert "empty.tsv:1: no trial after the header" in capsys.readouterr().err


def test_no_input_is_replaced(corpus, capsys):
    before = (corpus / "eval.tsv").read_bytes()
    with pytest.raises(SystemExit) as usage:
        main(["explain", "sls.pt", str(corpus / "eval.tsv"), "--output", str(corpus / "eval.tsv")])
    assert usage.value.code == 2
    assert "is an input: name another file to write" in capsys.readouterr().err
    assert (corpus / "eval.tsv").read_bytes() == before
