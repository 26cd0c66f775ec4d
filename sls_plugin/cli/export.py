"""`sls export`: a checkpoint to a file that needs no fairseq."""

import argparse
from pathlib import Path

from sls_plugin.scores.outputs import refuse_inputs, require_free

HELP = "export a trained detector as ONNX or for torch.export"

EPILOG = """\
examples:
  sls export checkpoint_best.pt detector.onnx
  sls score detector.onnx recordings/ --output scores.txt

The ONNX file (opset 18, float32) takes `waveforms`, B x samples at 16 kHz in [-1, 1], any number
of clips of the checkpoint's length. Its outputs are `logits` (B x 2: spoof, bona fide;
log-probabilities for SLS and RawNet2), `scores` (B: what `sls score` writes) and
`log_likelihood_ratios` (B: what it writes with --llr). Its metadata give the length of a clip, the
padding of shorter ones, and the SHA-256 of the checkpoint. `sls score` takes the file in place of
a checkpoint, and then needs no fairseq. A .pt2 file, for torch.export.load, has the same input and
outputs.

Before the file is written, its outputs are compared with the checkpoint's on batches of 1, 2 and 5
clips of noise: they must agree within 1e-4.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls export`."""
    parser.epilog = EPILOG
    files = parser.add_argument_group("files")
    files.add_argument("checkpoint", metavar="CKPT", help="detector: checkpoint of this project, or the authors' .pth")
    files.add_argument("output", metavar="FILE", type=Path, help="file to write: .onnx, or .pt2 for torch.export")
    files.add_argument("--overwrite", action="store_true", help="replace the file if it exists")


def run(args: argparse.Namespace) -> int:
    """Write the file and print how closely it agrees with the checkpoint."""
    refuse_inputs(args.output, [Path(args.checkpoint)])
    require_free(args.output, args.overwrite)

    from sls_plugin.inference.export import export_detector  # slow to import

    difference = export_detector(args.checkpoint, args.output)
    print(f"{args.output}: outputs within {difference:.1e} of the checkpoint's")
    return 0
