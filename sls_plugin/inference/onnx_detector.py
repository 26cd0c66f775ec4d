"""Detectors that `sls export` wrote as ONNX, run by onnxruntime: without fairseq and without the checkpoint."""

import re
import textwrap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairseq_ckpt.published_detector import LONGEST_CLIP, PADDINGS
from protocols import DataError, SettingError, UserError
from protocols.files import open_regular_file
from sls_plugin.data.clip_dataset import Segment
from sls_plugin.inference.onnx_file import OnnxRefusedError, require_plain_onnx
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
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # fatal errors: others are raised
        options.intra_op_num_threads = torch.get_num_threads()  # by itself it would take no heed of OMP_NUM_THREADS
        options.add_session_config_entry("session.load_model_format", "ONNX")
        self.has_cuda = CUDA in onnxruntime.get_available_providers()
        try:
            with open_regular_file(path) as file:
                require_plain_onnx(file)
                self.session = onnxruntime.InferenceSession(f"/dev/fd/{file.fileno()}", options, providers=[CPU])
        except FileNotFoundError:
            raise DataError(f"{path}: no such file: correct the path") from None
        except UserError:
            raise
        except OnnxRefusedError as error:
            raise DataError(f"{path}: not written by `sls export` ({error}): do not trust this file") from None
        except Exception as error:  # onnxruntime raises many unrelated classes
            raise DataError(f"{path}: cannot be read as ONNX ({_first_line(error)}): export it again") from None
        self.path = path
        self.about = self.session.get_modelmeta().custom_metadata_map
        self.min_samples = _clip_length(self.session, self.about, path)

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
        try:
            outputs = tuple(map(torch.from_numpy, self.session.run(OUTPUTS, {INPUT: source.cpu().numpy()})))
        except Exception as error:  # onnxruntime raises many unrelated classes
            raise DataError(f"{self.path}: cannot be computed ({_first_line(error)}): export it again") from None
        n_clips = len(source)
        if [tuple(output.shape) for output in outputs] != [(n_clips, 2), (n_clips,), (n_clips,)]:
            raise DataError(f"{self.path}: its outputs have other shapes than those of a detector: export it again")
        return outputs

    def require_samples(self, n_samples: int) -> None:
        if n_samples != self.min_samples:
            raise DataError(f"clips of {n_samples:,} samples: this exported detector takes {self.min_samples:,}")


def load_exported(path: str | Path) -> tuple[ExportedDetector, Segment]:
    """A detector that `sls export` wrote as ONNX, and the part of an utterance that it takes."""
    detector = ExportedDetector(path)
    return detector, Segment(detector.min_samples, "start", detector.about["padding"])


def _clip_length(session: Any, about: dict[str, str], path: str | Path) -> int:
    """The length of a clip, in samples; DataError unless inputs, outputs and metadata are those of an exported detector."""
    tensors = [(tensor.name, tensor.type) for tensor in (*session.get_inputs(), *session.get_outputs())]
    length, padding = about.get("n_samples", ""), about.get("padding")
    known = re.fullmatch("[1-9][0-9]{0,7}", length) and int(length) <= LONGEST_CLIP and padding in PADDINGS
    if tensors != [(name, "tensor(float)") for name in (INPUT, *OUTPUTS)] or not known:
        raise DataError(f"{path}: not written by `sls export`: export the checkpoint of a detector")
    return int(length)


def _first_line(error: Exception) -> str:
    text = "".join(character for character in str(error).partition("\n")[0] if character.isprintable())
    return textwrap.shorten(text, 150)
