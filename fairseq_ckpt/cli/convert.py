"""`fairseq_ckpt convert`: from one layout to another."""

import argparse

HELP = "write a checkpoint in another layout; every tensor keeps its bits"
EXAMPLE = "checkpoint_best.pt model.safetensors --to safetensors"
# The keys of fairseq_ckpt.conversion.WRITERS, which is slow to import.
LAYOUTS = {
    "fairseq": "what this project's training writes, with its configuration",
    "original": "the original authors' state dict",
    "huggingface": "a folder with model.safetensors and config.json",
    "safetensors": "one file, with the configuration in its header",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="checkpoint of any known layout")
    parser.add_argument("output", metavar="OUT", help="file to write; a folder for huggingface")
    explained = "; ".join(f"{name}: {meaning}" for name, meaning in LAYOUTS.items())
    parser.add_argument("--to", choices=LAYOUTS, required=True, help=explained)


def run(args: argparse.Namespace) -> int:
    from fairseq_ckpt.conversion import convert  # slow to import: it brings torch
    from fairseq_ckpt.fingerprint import tensors_sha256

    checkpoint = convert(args.file, args.output, args.to)
    n_tensors, sha256 = len(checkpoint.tensors), tensors_sha256(checkpoint.tensors)
    print(f"{args.output}: {args.to}, {n_tensors:,} tensors, their SHA-256 {sha256}")
    return 0
