"""`fairseq_ckpt verify`: whether a checkpoint is whole."""

import argparse
import re

HELP = "check that a checkpoint is complete and finite, and name the parts that were never trained"
EXAMPLE = "python -m fairseq_ckpt verify MMpaper_model.pth"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"example:\n  {EXAMPLE}"
    files = parser.add_argument_group("files")
    files.add_argument("file", metavar="FILE", help="checkpoint of any known layout")
    checks = parser.add_argument_group("checks")
    checks.add_argument("--sha256", metavar="HEX", help="SHA-256 that the file must have")


def run(args: argparse.Namespace) -> int:
    if args.sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", args.sha256):
        raise argparse.ArgumentError(None, "--sha256: give 64 hexadecimal digits")
    from fairseq_ckpt.verification import verify  # slow to import: it brings torch

    verdict = verify(args.file, args.sha256)
    checkpoint = verdict.checkpoint
    for note, names in verdict.notes.items():
        print(f"{checkpoint.path}: {note}: {', '.join(names)}")
    for problem in verdict.problems:
        print(f"{checkpoint.path}: {problem}")
    outcome = f"{len(verdict.problems):,} problems" if verdict.problems else "complete, finite, as its layout requires"
    print(f"{checkpoint.path}: {checkpoint.layout.name}, {outcome}; tensors' SHA-256 {verdict.tensors_sha256}")
    return 1 if verdict.problems else 0
