"""Detectors that `sls export` wrote as ONNX, run by onnxruntime: without fairseq and without the checkpoint."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from protocols import DataError, SettingError
from sls_plugin.data.clip_dataset import Segment
from sls_plugin.modules.countermeasure import Countermeasure

SUFFIX = ".onnx"
INPUT = "waveforms"  # B x samples
OUTPUTS = ("logits", "scores", "log_likelihood_ratios")  # B x 2 (spoof, bona fide), B, B
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class ExportedDetector(Countermeasure):
    """A detector in an ONNX file; its outputs are on the CPU.

    Raises DataError when the file is damaged or was not written by `sls export`.
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
        except Exception as error:  # onnxruntime raises many unrelated classes
            raise DataError(f"{path}: cannot be read as ONNX ({str(error).splitlines()[0]}): export it again") from None
        self.about = self.session.get_modelmeta().custom_metadata_map
        tensors = [tensor.name for tensor in (*self.session.get_inputs(), *self.session.get_outputs())]
        if tensors != [INPUT, *OUTPUTS] or not {"n_samples", "padding"} <= self.about.keys():
            raise DataError(f"{path}: not written by `sls export`: export the checkpoint of a detector")
        self.min_samples = int(self.about["n_samples"])

    def to(self, *args: Any, **kwargs: Any) -> "ExportedDetector":
        """As nn.Module.to. The file fixes the precision: any other than float32 raises SettingError."""
        device, dtype, *_ = torch._C._nn._parse_to(*args, **kwargs)  # as nn.Module.to reads its arguments
        if dtype not in (None, torch.float32):
            raise SettingError("an exported detector computes in float32: leave out --dtype, or score the checkpoint itself")
        if device is not None and device.type == "cuda":
            if not self.has_cuda:
                raise SettingError(f"--device {device}: onnxruntime has no CUDA: use --device cpu, or install onnxruntime-gpu")
            self.session.set_providers([(CUDA, {"device_id": device.index or 0}), CPU])
        return self

    def forward(self, source: Tensor) -> Tensor:
        """Logits (B x 2: spoof, bona fide) and, in a third column, the scores that the file computes; B x 3."""
        logits, scores, _ = self.outputs(source)
        return torch.cat([logits, scores.unsqueeze(1)], dim=1)

    def scores(self, output: Tensor) -> Tensor:
        return output[:, 2]

    def outputs(self, source: Tensor) -> tuple[Tensor, ...]:
        """The outputs of the file for waveforms, B x samples: logits (B x 2), scores (B), log-likelihood ratios (B)."""
        self.require_samples(source.shape[1])
        return tuple(map(torch.from_numpy, self.session.run(OUTPUTS, {INPUT: source.cpu().numpy()})))

    def require_samples(self, n_samples: int) -> None:
        if n_samples != self.min_samples:
            raise DataError(f"clips of {n_samples:,} samples: this exported detector takes {self.min_samples:,}")


def load_exported(path: str | Path) -> tuple[ExportedDetector, Segment]:
    """A detector that `sls export` wrote as ONNX, and the part of an utterance that it takes."""
    detector = ExportedDetector(path)
    return detector, Segment(int(detector.about["n_samples"]), "start", detector.about["padding"])
