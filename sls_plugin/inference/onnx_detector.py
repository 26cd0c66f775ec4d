"""Detectors that `sls export` wrote as ONNX, run by onnxruntime: without fairseq and without the checkpoint."""

from pathlib import Path

import torch
from torch import Tensor, nn

from protocols import DataError, SettingError
from sls_plugin.data.clip_dataset import Segment

SUFFIX = ".onnx"
INPUT = "waveforms"  # B x samples
OUTPUTS = ("logits", "scores", "log_likelihood_ratios")  # B x 2 (spoof, bona fide), B, B
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class ExportedDetector(nn.Module):
    """A detector in an ONNX file: waveforms (B x samples, float32, 16 kHz) to its outputs, which are on the CPU.

    Raises DataError when the file is damaged or not one that `sls export` wrote.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        try:
            import onnxruntime
        except ImportError:
            raise DataError(f"{path}: scoring it needs onnxruntime: pip install onnxruntime") from None
        if not Path(path).is_file():
            raise DataError(f"{path}: no such file: correct the path")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        options.intra_op_num_threads = torch.get_num_threads()  # by itself it would take no heed of OMP_NUM_THREADS
        self.has_cuda = CUDA in onnxruntime.get_available_providers()
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=[CPU])
        except Exception as error:  # onnxruntime has a class of its own for each of many faults, below RuntimeError and Exception
            raise DataError(f"{path}: cannot be read as ONNX ({str(error).splitlines()[0]}): export it again") from None
        self.about = self.session.get_modelmeta().custom_metadata_map
        tensors = [tensor.name for tensor in (*self.session.get_inputs(), *self.session.get_outputs())]
        if tensors != [INPUT, *OUTPUTS] or not {"n_samples", "padding"} <= self.about.keys():
            raise DataError(f"{path}: not written by `sls export`: export the checkpoint of a detector")

    def to(self, device: str, dtype: torch.dtype) -> "ExportedDetector":
        """The same detector on a device; the file has chosen the precision."""
        if dtype != torch.float32:
            raise DataError("an exported detector computes in float32: leave out --dtype, or score the checkpoint itself")
        kind, _, number = device.partition(":")
        if kind == "cuda":
            if not self.has_cuda:
                raise SettingError(f"--device {device}: onnxruntime has no CUDA: use --device cpu, or install onnxruntime-gpu")
            self.session.set_providers([(CUDA, {"device_id": int(number or 0)}), CPU])
        return self

    def forward(self, source: Tensor) -> tuple[Tensor, ...]:
        """All outputs of the file: logits (B x 2: spoof, bona fide), scores (B), log-likelihood ratios (B)."""
        n_samples, taken = source.shape[1], int(self.about["n_samples"])
        if n_samples != taken:
            raise DataError(f"clips of {n_samples:,} samples: this exported detector takes {taken:,}")
        return tuple(map(torch.from_numpy, self.session.run(OUTPUTS, {INPUT: source.cpu().numpy()})))

    def scores(self, output: tuple[Tensor, ...]) -> Tensor:
        """What the authors write as a trial's score; B."""
        return output[1]

    def log_likelihood_ratios(self, output: tuple[Tensor, ...]) -> Tensor:
        """Logit of bona fide minus logit of spoof, uncalibrated; B."""
        return output[2]


def load_exported(path: str | Path) -> tuple[ExportedDetector, Segment]:
    """A detector that `sls export` wrote as ONNX, and the part of an utterance that it takes."""
    detector = ExportedDetector(path)
    return detector, Segment(int(detector.about["n_samples"]), "start", detector.about["padding"])
