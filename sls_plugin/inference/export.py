"""A detector as one file for other programs: ONNX, or PyTorch's own exported program."""

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from fairseq_ckpt.fingerprint import file_sha256
from fairseq_ckpt.reading import checkpoint_file
from protocols import DataError, SettingError
from protocols.audio_format import SAMPLE_RATE
from protocols.files import replacing
from sls_plugin.inference.load import load_detector
from sls_plugin.inference.onnx_detector import INPUT, OUTPUTS, SUFFIX, ExportedDetector
from sls_plugin.modules.countermeasure import Countermeasure

OPSET = 18  # of ONNX: the oldest that PyTorch's exporter writes, for the most runtimes
LARGEST_ONNX = 2**31 - 1  # bytes; larger models need external data
BATCH_SIZES = (1, 2, 5)  # on which outputs are compared
TOLERANCE = 1e-4
Outputs = Callable[[Tensor], tuple[Tensor, ...]]  # waveforms to logits, scores and log-likelihood ratios


@dataclass(frozen=True)
class Description:
    """The metadata in an exported file."""

    architecture: str
    n_samples: int  # of a clip
    padding: str
    checkpoint_sha256: str
    written_by: str = f"sls-plugin {version('sls-plugin')}"
    sample_rate: int = SAMPLE_RATE
    logits: str = "B x 2: spoof, bona fide; log-probabilities or cosines where the detector gives such"
    scores: str = "what the detector's authors write; higher means more bona fide"
    log_likelihood_ratios: str = "logit of bona fide minus logit of spoof, natural logarithm, uncalibrated"


class WithScores(nn.Module):
    """What an exported file computes: waveforms (B x samples) to logits (B x 2), scores (B) and log-likelihood ratios (B)."""

    def __init__(self, detector: Countermeasure) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        output = self.detector(waveforms)
        return output, self.detector.scores(output), self.detector.log_likelihood_ratios(output)


@torch.no_grad()
def export_detector(checkpoint: str | Path, path: Path) -> float:
    """Write the detector of a checkpoint as `.onnx` or `.pt2`; returns the largest difference from the checkpoint's outputs.

    The file takes any number of clips of the checkpoint's length. It is written only if its outputs agree within 1e-4.
    Raises SettingError on another suffix.
    """
    if path.suffix not in FORMATS:
        raise SettingError(f"{path}: end its name in {' or '.join(FORMATS)}")
    write, read = FORMATS[path.suffix]
    if write is _write_onnx:
        _require_packages(path)
    sha256 = file_sha256(checkpoint_file(checkpoint))
    loaded = load_detector(checkpoint)
    if file_sha256(checkpoint_file(checkpoint)) != sha256:
        raise DataError(f"{checkpoint}: changed while it was exported: give the same command again")
    model, segment = loaded.model, loaded.segment
    if isinstance(model, ExportedDetector):
        raise DataError(f"{checkpoint}: is already exported: name its checkpoint")
    detector = WithScores(model).eval()
    example = _clips(2, segment.n_samples)
    with _quietly():
        program = torch.export.export(detector, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False)
    description = Description(type(model).__name__, segment.n_samples, segment.padding, sha256)
    with replacing(path) as temporary:
        try:
            with _quietly():
                write(program, temporary, {name: str(value) for name, value in asdict(description).items()})
        except OSError as error:
            raise DataError(f"{path}: not written ({error.strerror}): free some space, or choose another folder") from None
        exported = read(temporary)
        difference = max(_difference(detector, exported, _clips(size, segment.n_samples)) for size in BATCH_SIZES)
        if not difference <= TOLERANCE:
            raise DataError(f"{path}: not written: its outputs differ from the checkpoint's by {difference:.1e}")
    return difference


def _write_onnx(program: torch.export.ExportedProgram, path: Path, metadata: dict[str, str]) -> None:
    size = sum(tensor.nbytes for tensor in program.state_dict.values())
    if size > LARGEST_ONNX:
        raise DataError(f"{path}: an ONNX file holds 2 GiB, and the detector has {size / 2**30:.1f}: export it as .pt2")
    exported = torch.onnx.export(
        program,
        input_names=[INPUT],
        output_names=list(OUTPUTS),
        dynamic_shapes=({0: "batch"},),  # for its name
        opset_version=OPSET,
        external_data=False,
        verbose=False,
    )
    exported.model.metadata_props.update(metadata)
    exported.save(path, external_data=False)


def _read_onnx(path: Path) -> Outputs:
    return ExportedDetector(path).outputs


def _write_program(program: torch.export.ExportedProgram, path: Path, metadata: dict[str, str]) -> None:
    content = io.BytesIO()  # PyTorch's writer aborts the process when it cannot write to a file
    torch.export.save(program, content, extra_files={"description.json": json.dumps(metadata, indent=2)})
    path.write_bytes(content.getbuffer())


def _read_program(path: Path) -> Outputs:
    with open(path, "rb") as file:
        return torch.export.load(file).module()


FORMATS = {SUFFIX: (_write_onnx, _read_onnx), ".pt2": (_write_program, _read_program)}  # by the suffix of the file


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence the exporters, which log hundreds of lines; the exported outputs are compared instead."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _require_packages(path: Path) -> None:
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise DataError(f"{path}: writing it needs {', '.join(missing)}: pip install {' '.join(missing)}")


def _clips(n_clips: int, n_samples: int) -> Tensor:
    """Noise that is the same at every call; B x samples."""
    return 0.1 * torch.randn(n_clips, n_samples, generator=torch.Generator().manual_seed(n_clips))


def _difference(detector: Outputs, exported: Outputs, clips: Tensor) -> float:
    """The largest absolute difference between the outputs of two detectors."""
    return max((ours - theirs).abs().max().item() for ours, theirs in zip(detector(clips), exported(clips), strict=True))
