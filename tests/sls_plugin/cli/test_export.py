"""`sls export`: exported detectors against their checkpoints, and without fairseq."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from detectors import waveforms, write_detector

from fairseq_ckpt.fingerprint import file_sha256
from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random
from protocols import SettingError, Trial, write_manifest
from sls_plugin.__main__ import main
from sls_plugin.inference.onnx_detector import ExportedDetector
from sls_plugin.models.prosody_encoder import ProsodyEncoder
from sls_plugin.scores.score_file import read_scores

onnxruntime = pytest.importorskip("onnxruntime", reason="exported detectors need the packages of the extra `onnx`")
pytest.importorskip("onnxscript", reason="exporting needs the packages of the extra `onnx`")

XLSR_DETECTORS = {"sls_xlsr_300m": (), "xlsr_linear_300m": (), "xlsr_aasist_300m": (), "xlsr_mamba_300m": ("--mamba-layers", "4")}
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
    make_random(TINY | {"encoder_layers": 2}, path)
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
