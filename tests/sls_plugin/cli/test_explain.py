"""`sls explain`: the layer weights of a detector against their definition."""

import numpy as np
import pytest
import soundfile
import torch
from detectors import build
from omegaconf import OmegaConf

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


def write_detector(path, name, model, **config):
    """A checkpoint as training writes it, as far as scoring needs it."""
    task = {"_name": "asvspoof", "data": "", "max_samples": MAX_SAMPLES, "padding": "tile"}
    torch.save({"cfg": {"task": task, "model": config | {"_name": name}}, "model": model.state_dict()}, path)


def sls(path, tiny_checkpoint, *options):
    """A small random SLS, and its checkpoint."""
    model = build("sls_xlsr_300m", "--w2v-path", str(tiny_checkpoint), "--max-samples", str(MAX_SAMPLES), *options)
    write_detector(path, "sls", model, **OmegaConf.to_container(model.cfg, enum_to_str=True))
    return model.eval()


def test_gates_are_averaged_class_by_class(corpus, tiny_checkpoint, tmp_path, capsys):
    model = sls(tmp_path / "sls.pt", tiny_checkpoint)
    explain = ["explain", str(tmp_path / "sls.pt"), str(corpus / "eval.tsv"), "--num-workers", "0", "--batch-size", "2"]
    assert main([*explain, "--output", str(tmp_path / "layers.tsv")]) == 0

    gates = []
    with torch.no_grad():
        for number in range(5):
            source = torch.from_numpy(read_audio(corpus / f"{number}.wav")).unsqueeze(0)
            layers = [layer[:, 0] for layer in model.ssl_model(source)]  # each T x C
            of_layers = [model.fc0.weight[0] @ layer.mean(dim=0) + model.fc0.bias[0] for layer in layers]
            gates.append([1 / (1 + np.exp(-float(logit))) for logit in of_layers])
    expected = np.array([np.mean([gates[0], gates[2]], axis=0), np.mean([gates[1], gates[3]], axis=0), gates[4]])
    header, *rows = (tmp_path / "layers.tsv").read_text().splitlines()
    assert header == "layer\tbonafide\tspoof\tunknown"
    table = np.array([row.split("\t") for row in rows], dtype=float)
    np.testing.assert_array_equal(table[:, 0], range(len(model.ssl_model.layers)))
    np.testing.assert_allclose(table[:, 1:].T, expected, atol=1e-6)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(table) + 1
    assert max(map(len, printed)) <= 100


def test_softmax_weights_are_the_same_for_all_and_sum_to_1(corpus, tiny_checkpoint, tmp_path):
    sls(tmp_path / "sls.pt", tiny_checkpoint, "--layer-fusion", "softmax")
    assert main(["explain", str(tmp_path / "sls.pt"), str(corpus), "--output", str(tmp_path / "layers.tsv")]) == 0
    table = np.loadtxt(tmp_path / "layers.tsv", skiprows=1)
    assert len(table) == 5  # four layers and the input of the first
    np.testing.assert_allclose(table[:, 1], 1 / 5, atol=1e-7)


def test_a_detector_without_layer_weights_is_told(corpus, tmp_path, capsys):
    write_detector(tmp_path / "aasist.pt", "aasist", build("aasist"))
    assert main(["explain", str(tmp_path / "aasist.pt"), str(corpus)]) == 1
    assert "AASIST weighs no layers: give a checkpoint of SLS" in capsys.readouterr().err
