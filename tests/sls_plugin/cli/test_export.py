"""`sls export`: exported detectors against their checkpoints, and without fairseq."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from detectors import waveforms, write_detector

from fairseq_ckpt.fingerprint import file_sha256
from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random
from protocols import DataError, SettingError, Trial, write_manifest
from sls_plugin.__main__ import main
from sls_plugin.inference import export
from sls_plugin.inference.load import LoadedDetector, load_detector
from sls_plugin.inference.onnx_detector import ExportedDetector
from sls_plugin.models.prosody_encoder import ProsodyEncoder
from sls_plugin.scores.score_file import read_scores

onnxruntime = pytest.importorskip("onnxruntime", reason="exported detectors need the packages of the extra `onnx`")
pytest.importorskip("onnxscript", reason="exporting needs the packages of the extra `onnx`")

XLSR_DETECTORS = dict.fromkeys(("sls_xlsr_300m", "xlsr_linear_300m", "xlsr_aasist_300m", "xlsr_nes2net_x_300m"), ())
XLSR_DETECTORS |= {"xlsr_conformer_tcm_300m": (), "xlsr_mhfa_300m": (), "xlsr_mamba_300m": ("--mamba-layers", "4")}
OTHERS = ("aasist_l", "rawgat_st", "rawnet2", "prosody_encoder")
N_SAMPLES = dict.fromkeys(XLSR_DETECTORS, 4000) | dict.fromkeys(OTHERS, 5200)
MODULES_OF_TRAINING = ("fairseq", "omegaconf", "hydra", "onnx", "onnxscript", "sls_plugin.tasks", "sls_plugin.models")
WITHOUT_TRAINING = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name in {MODULES_OF_TRAINING!r}:
            raise ImportError(f"{{name}} is not installed")

sys.meta_path.insert(0, Blocked())
from sls_plugin.__main__ import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings that are shorter and longer than the clips."""
    folder = tmp_path_factory.mktemp("corpus")
    trials = [Trial(f"t{number}", f"{number}.wav", "bonafide") for number in range(5)]
    for number, trial in enumerate(trials):
        soundfile.write(folder / trial.audio, waveforms(3000 + 700 * number, 1, seed=number)[0].numpy(), 16_000)
    write_manifest(folder / "eval.tsv", trials)
    return folder


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers: exporting takes a second for each."""
    path = tmp_path_factory.mktemp("backbone") / "two_layers.pt"
    make_random(TINY | {"encoder_layers": 2, "encoder_embed_dim": 64}, path)
    return path


def checkpoint(folder: Path, arch: str, backbone: Path | None = None, padding: str = "tile") -> tuple[Path, torch.nn.Module]:
    """A small random detector and its checkpoint."""
    options = ("--w2v-path", str(backbone), *XLSR_DETECTORS[arch]) if arch in XLSR_DETECTORS else ()
    model = write_detector(folder / f"{arch}.pt", arch, N_SAMPLES[arch], *options, padding=padding)
    return folder / f"{arch}.pt", model.eval()


@pytest.mark.parametrize("arch", N_SAMPLES)
def test_every_detector_exports_what_it_computes(arch: str, backbone: Path, tmp_path: Path) -> None:
    path, model = checkpoint(tmp_path, arch, backbone)
    assert main(["export", str(path), str(tmp_path / "detector.onnx")]) == 0
    session = onnxruntime.InferenceSession(tmp_path / "detector.onnx")
    for n_clips in (1, 2, 5):
        clips = waveforms(N_SAMPLES[arch], n_clips, seed=n_clips)
        logits, scores, ratios = session.run(["logits", "scores", "log_likelihood_ratios"], {"waveforms": clips.numpy()})
        with torch.no_grad():
            expected = model(clips)
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)
        np.testing.assert_allclose(scores, model.scores(expected), rtol=0, atol=1e-4)
        np.testing.assert_allclose(ratios, model.log_likelihood_ratios(expected), rtol=0, atol=1e-4)


@pytest.mark.parametrize("option", [None, "--llr"])
def test_scoring_without_fairseq_gives_the_scores_of_the_checkpoint(
    option: str | None, corpus: Path, exported: Path, tmp_path: Path
) -> None:
    inputs = [str(corpus / "eval.tsv"), "--num-workers", "1", "--batch-size", "2", *([option] if option else [])]
    score = [sys.executable, "-c", WITHOUT_TRAINING, "score", str(exported), *inputs, "--output", str(tmp_path / "exported.txt")]
    outcome = subprocess.run(score, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
    assert main(["score", str(exported.with_suffix(".pt")), *inputs, "--output", str(tmp_path / "checkpoint.txt")]) == 0
    expected = read_scores(tmp_path / "checkpoint.txt")
    assert read_scores(tmp_path / "exported.txt") == pytest.approx(expected, abs=1e-5)
    assert len(set(expected.values())) == 5


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small detector whose scores are probabilities, exported, beside its checkpoint; short clips end in silence."""
    path, _ = checkpoint(tmp_path_factory.mktemp("exported"), "prosody_encoder", padding="zero")
    assert main(["export", str(path), str(path.with_suffix(".onnx"))]) == 0
    return path.with_suffix(".onnx")


def test_the_file_tells_what_it_takes_and_gives(exported: Path) -> None:
    session = onnxruntime.InferenceSession(exported)
    about = session.get_modelmeta().custom_metadata_map
    assert about["architecture"] == "ProsodyEncoder"
    assert (about["n_samples"], about["sample_rate"], about["padding"]) == ("5200", "16000", "zero")
    assert about["checkpoint_sha256"] == file_sha256(exported.with_suffix(".pt"))
    (waveform,) = session.get_inputs()
    assert (waveform.name, waveform.shape) == ("waveforms", ["batch", 5200])


def test_torch_export(tmp_path: Path) -> None:
    path, model = checkpoint(tmp_path, "prosody_encoder")
    assert main(["export", str(path), str(tmp_path / "detector.pt2")]) == 0
    description = {"description.json": ""}
    program = torch.export.load(tmp_path / "detector.pt2", extra_files=description).module()
    assert json.loads(description["description.json"])["n_samples"] == "5200"
    for n_clips in (1, 2, 5):
        clips = waveforms(5200, n_clips)
        logits, scores, _ = program(clips)
        torch.testing.assert_close(logits, model(clips), rtol=0, atol=1e-4)
        torch.testing.assert_close(scores, model.scores(model(clips)), rtol=0, atol=1e-4)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What `sls` says in one line when it exits with 1."""
    assert main([str(argument) for argument in arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_file_that_computes_something_else_is_not_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = checkpoint(tmp_path, "prosody_encoder")
    (tmp_path / "detector.pt2").write_text("of an earlier run")
    forward = ProsodyEncoder.forward
    monkeypatch.setattr(ProsodyEncoder, "forward", lambda *of: forward(*of) + 2e-4 * torch.compiler.is_exporting())
    assert "differ from the checkpoint's by 2.0e-04" in refusal(capsys, "export", path, tmp_path / "detector.pt2", "--overwrite")
    assert (tmp_path / "detector.pt2").read_text() == "of an earlier run"
    assert {file.name for file in tmp_path.iterdir()} == {"prosody_encoder.pt", "detector.pt2"}


def test_windows_of_another_length_are_refused(
    exported: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score = ["score", exported, corpus / "eval.tsv", "--output", tmp_path / "scores.txt", "--windows", "0.25"]
    assert "clips of 4,000 samples: this exported detector takes 5,200" in refusal(capsys, *score)


def test_other_precision_is_refused(exported: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score = ["score", exported, corpus / "eval.tsv", "--output", tmp_path / "scores.txt", "--dtype", "bfloat16"]
    with pytest.raises(SystemExit, match="2"):
        main([str(argument) for argument in score])
    assert "float32: leave out --dtype" in capsys.readouterr().err


def test_cuda_is_refused_where_onnxruntime_has_none(exported: Path) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(SettingError, match="--device cuda:1: onnxruntime has no CUDA"):
        ExportedDetector(exported).to("cuda:1", torch.float32)


def test_it_is_a_detector_like_others(exported: Path) -> None:
    detector = ExportedDetector(exported)
    for arguments in (("cpu",), (torch.float32,), ("cpu", torch.float32)):
        assert detector.to(*arguments) is detector
    assert detector.to(device="cpu") is detector.eval()
    clips = waveforms(5200)
    logits, scores, ratios = detector.outputs(clips)
    output = detector(clips)
    assert torch.equal(output[:, :2], logits)
    assert torch.equal(detector.scores(output), scores)
    assert torch.equal(detector.log_likelihood_ratios(output), ratios)
    assert detector.forward_with_layer_weights(clips)[1] is None
    detector.pack_weights()
    assert torch.equal(detector(clips), output)


def test_a_file_that_is_there_is_kept(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = exported.read_bytes()
    assert "already exists: give --overwrite" in refusal(capsys, "export", exported.with_suffix(".pt"), exported)
    assert exported.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no graph at all", None])
def test_files_that_are_no_exported_detector_are_refused(
    content: bytes | None, exported: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "detector.onnx"
    path.write_bytes(exported.read_bytes()[:-100_000] if content is None else content)
    score = ["score", path, corpus / "eval.tsv", "--output", tmp_path / "scores.txt"]
    assert f"{path}: " in refusal(capsys, *score)
    assert not (tmp_path / "scores.txt").exists()


@pytest.mark.parametrize("metadata", [{}, {"n_samples": "4000", "padding": "tile"}])
def test_a_graph_of_something_else_is_refused(
    metadata: dict[str, str], corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info("waveforms", onnx.TensorProto.FLOAT, ["batch", 4000])
    result = onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["batch", 4000])
    node = onnx.helper.make_node("Identity", ["waveforms"], ["scores"])
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "identity", [value], [result]),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
        ir_version=9,
    )
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, tmp_path / "identity.onnx")
    score = ["score", tmp_path / "identity.onnx", corpus / "eval.tsv", "--output", tmp_path / "scores.txt"]
    assert "not written by `sls export`" in refusal(capsys, *score)


def test_an_exported_detector_is_not_exported_again(exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is already exported" in refusal(capsys, "export", exported, tmp_path / "again.onnx")


@pytest.mark.parametrize("name", ["detector", "detector.ONNX", "detector.pt"])
def test_the_suffix_chooses_the_format(name: str, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["export", str(exported), str(tmp_path / name)])
    assert "end its name in .onnx or .pt2" in capsys.readouterr().err


# Files that someone made to read other files, or to compute without end


def changed(exported: Path, tmp_path: Path, change: Callable) -> Path:
    """The exported file with a change of its protobuf."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(exported)
    change(onnx, model)
    (tmp_path / "detector.onnx").write_bytes(model.SerializeToString())
    return tmp_path / "detector.onnx"


def unloadable(path: Path) -> str:
    """Why a file is not loaded, in one printable line that names it."""
    with pytest.raises(DataError) as error:
        load_detector(path)
    assert str(error.value).isprintable()
    return str(error.value).removeprefix(f"{path}: ")


def external(onnx: ModuleType, tensor: Any) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def add_constant(onnx: ModuleType, model: Any) -> Any:
    constant = onnx.helper.make_node("Constant", [], ["c"], value=onnx.helper.make_tensor("t", 1, [1], [0.0]))
    model.graph.node.append(constant)
    return model.graph.node[-1].attribute[0].t


def add_node(onnx: ModuleType, model: Any, kind: str, **settings: Any) -> None:
    model.graph.node.append(onnx.helper.make_node(kind, [], ["c"], **settings))


def add_loop(onnx: ModuleType, model: Any, kind: str = "Loop", body: str = "body") -> None:
    add_node(onnx, model, kind, **{body: onnx.helper.make_graph([], "endless", [], [])})


def add_function(onnx: ModuleType, model: Any) -> None:
    model.functions.append(onnx.helper.make_function("own", "F", [], [], [], model.opset_import))


CRAFTED = {
    "weights in another file": (lambda onnx, model: external(onnx, model.graph.initializer[0]), "reads another file"),
    "only a place": (lambda onnx, model: model.graph.initializer[0].external_data.add(key="location", value="x"), "another file"),
    "a constant in another file": (lambda onnx, model: external(onnx, add_constant(onnx, model)), "reads another file"),
    "a loop": (add_loop, "graphs in its graph"),
    "a scan": (lambda onnx, model: add_loop(onnx, model, "Scan"), "graphs in its graph"),
    "a condition": (lambda onnx, model: add_loop(onnx, model, "If", "then_branch"), "graphs in its graph"),
    "a function": (add_function, "it has functions"),
    "training": (lambda onnx, model: model.training_info.add(), "it has functions"),
    "a sparse tensor": (lambda onnx, model: model.graph.sparse_initializer.add(), "sparse tensors"),
    "an operator of someone": (lambda onnx, model: add_node(onnx, model, "Run", domain="evil"), "not ONNX's own"),
    "an operator of Python": (lambda onnx, model: add_node(onnx, model, "PyOp", domain="ai.onnx.contrib"), "not ONNX's own"),
    "an unknown operator": (lambda onnx, model: add_node(onnx, model, "Nothing"), "cannot be read as ONNX"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_files(name: str, exported: Path, tmp_path: Path) -> None:
    change, reason = CRAFTED[name]
    assert reason in unloadable(changed(exported, tmp_path, change))


@pytest.mark.parametrize(
    "metadata",
    [
        {"n_samples": "-5"}, {"n_samples": "1e3"}, {"n_samples": "9" * 5000}, {"n_samples": "99999999"}, {"n_samples": "\u0665"},
        {"n_samples": ""}, {"padding": "reflect"}, {"padding": "\x1b[2J"}, {"n_samples": " 5200"},
    ],
    ids=range(9),
)  # fmt: skip
def test_odd_metadata(metadata: dict[str, str], exported: Path, tmp_path: Path) -> None:
    def change(onnx: ModuleType, model: Any) -> None:
        found = {entry.key: entry.value for entry in model.metadata_props}
        onnx.helper.set_model_props(model, found | metadata)

    path = changed(exported, tmp_path, change)
    assert unloadable(path) == "not written by `sls export`: export the checkpoint of a detector"


def test_a_name_that_writes_to_the_terminal(exported: Path, tmp_path: Path) -> None:
    def change(onnx: ModuleType, model: Any) -> None:
        model.metadata_props[0].value = "\x1b[2J"
        assert model.metadata_props[0].key == "architecture"

    assert load_detector(changed(exported, tmp_path, change)).card.name == "exported"


def test_a_clip_that_the_graph_does_not_take(exported: Path, tmp_path: Path) -> None:
    def change(onnx: ModuleType, model: Any) -> None:
        found = {entry.key: entry.value for entry in model.metadata_props}
        onnx.helper.set_model_props(model, found | {"n_samples": "4000"})

    path = changed(exported, tmp_path, change)
    with pytest.raises(DataError, match=r"detector\.onnx: cannot be computed \(.*\): export it again") as error:
        ExportedDetector(path).outputs(waveforms(4000))
    assert str(error.value).isprintable()


def test_outputs_of_other_shapes(exported: Path, tmp_path: Path) -> None:
    def change(onnx: ModuleType, model: Any) -> None:
        names = [output.name for output in model.graph.output]
        for node in model.graph.node:
            node.output[:] = [f"{name}_" if name in names else name for name in node.output]
            node.input[:] = [f"{name}_" if name in names else name for name in node.input]
        for name in names:
            model.graph.node.append(onnx.helper.make_node("Identity", [f"{names[0]}_"], [name]))
            model.graph.output.pop(0)
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, 1, ["batch", 2]))

    with pytest.raises(DataError, match="its outputs have other shapes"):
        ExportedDetector(changed(exported, tmp_path, change)).outputs(waveforms(5200))


@pytest.mark.parametrize(
    "content", [bytes(4) + b"ORTM" + bytes(100), b"\x3b" * 20, b"\xff" * 20, b"\x3a\xff\xff\xff\xff\x7f"], ids=range(4)
)
def test_what_is_no_onnx(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    line = unloadable(tmp_path / "a.onnx")
    assert line.startswith(("not written by `sls export` (in the format of onnxruntime", "cannot be read as ONNX"))


def test_a_checkpoint_that_is_replaced_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = checkpoint(tmp_path, "prosody_encoder")

    def load_and_replace(name: Path) -> LoadedDetector:
        detector = load_detector(name)
        os.replace(shutil.copy(path, tmp_path / "other"), path)
        with open(path, "ab") as file:
            file.write(b"x")
        return detector

    monkeypatch.setattr(export, "load_detector", load_and_replace)
    with pytest.raises(DataError, match=r"prosody_encoder\.pt: changed while it was exported: give the same command again"):
        export.export_detector(path, tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


def test_a_pipe_in_its_place(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.onnx")
    with pytest.raises(DataError, match="a folder, device or pipe"):
        ExportedDetector(tmp_path / "a.onnx")
    with pytest.raises(DataError, match="no such file"):
        ExportedDetector(tmp_path / "b.onnx")


def test_the_environment_does_not_reach_the_exported_file(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    content = torch.load(exported.with_suffix(".pt"))
    for section, name in (("task", "padding"), ("model", "_name"), ("model", "anything")):
        crafted = content | {"cfg": content["cfg"] | {section: content["cfg"][section] | {name: "${oc.env:SECRET}"}}}
        torch.save(crafted, tmp_path / "a.pt")
        assert "is an interpolation" in refusal(capsys, "export", tmp_path / "a.pt", tmp_path / "a.onnx")
    assert not list(tmp_path.glob("*.onnx"))


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_a_full_disk(suffix: str, tmp_path: Path) -> None:
    """In a process of its own: PyTorch's writer of .pt2 files aborts the process when a write fails."""
    path, _ = checkpoint(tmp_path, "prosody_encoder")
    program = (
        "import resource, signal, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from sls_plugin.__main__ import main; sys.exit(main())"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, "export", str(path), str(tmp_path / f"a{suffix}")]
    outcome = subprocess.run(command, capture_output=True, text=True)
    reason = "not written (File too large): free some space, or choose another folder"
    assert outcome.stderr.splitlines()[-1:] == [f"sls export: error: {tmp_path / f'a{suffix}'}: {reason}"]
    assert outcome.returncode == 1
    assert list(tmp_path.iterdir()) == [path]
