"""`fairseq_ckpt convert`: from one layout to another."""

import argparse
from pathlib import Path

HELP = "write a checkpoint in another layout, with the same tensors to the last bit"
EXAMPLE = "python -m fairseq_ckpt convert checkpoint_best.pt model.safetensors --to safetensors"
# The keys of fairseq_ckpt.conversion.WRITERS, which is slow to import.
LAYOUTS = {
    "fairseq": "what this project's training writes, with its configuration",
    "original": "the original authors' state dict",
    "huggingface": "a folder with model.safetensors and config.json",
    "safetensors": "one file, with the configuration in its header",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    layouts = "\n".join(f"  {name:<13}{meaning}" for name, meaning in LAYOUTS.items())
    parser.epilog = f"layouts:\n{layouts}\n\nexample:\n  {EXAMPLE}"
    group = parser.add_argument_group("files")
    group.add_argument("file", metavar="FILE", help="checkpoint of any known layout")
    group.add_argument("output", metavar="OUT", help="file to write; a folder for huggingface")
    group.add_argument("--to", metavar="LAYOUT", choices=LAYOUTS, required=True, help=f"one of {', '.join(LAYOUTS)}")


def run(args: argparse.Namespace) -> int:
    if Path(args.output).resolve() == Path(args.file).resolve():
        raise argparse.ArgumentError(None, f"{args.output} is the checkpoint itself: name another file to write")

    from fairseq_ckpt.conversion import convert  # slow to import: it brings torch
    from fairseq_ckpt.fingerprint import tensors_sha256

    checkpoint = convert(args.file, args.output, args.to)
    n_tensors, sha256 = len(checkpoint.tensors), tensors_sha256(checkpoint.tensors)
    print(f"{args.output}: {args.to}, {n_tensors:,} tensors, their SHA-256 {sha256}")
    return 0
