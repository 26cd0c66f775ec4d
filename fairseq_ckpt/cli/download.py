"""`fairseq_ckpt download`: get a public checkpoint."""

import argparse

from fairseq_ckpt.errors import CheckpointError
from fairseq_ckpt.published import PAGES, PUBLISHED

HELP = "download a public checkpoint and check it; the same command resumes after a failure"
EXAMPLE = "python -m fairseq_ckpt download sls"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    listed = "\n".join(f"  {name:20} {file.title}" for name, file in PUBLISHED.items())
    by_hand = "\n".join(f"  {name:20} {page}" for name, (_, page) in PAGES.items())
    parser.epilog = f"names:\n{listed}\n\nto be downloaded by hand:\n{by_hand}\n\nexample:\n  {EXAMPLE}"
    group = parser.add_argument_group("files")
    group.add_argument("name", metavar="NAME", choices=[*PUBLISHED, *PAGES], help="one of the names below")
    group.add_argument("output", metavar="OUT", nargs="?", help="file to write (default: the published name, in this folder)")


def run(args: argparse.Namespace) -> int:
    if args.name in PAGES:
        title, page = PAGES[args.name]
        raise CheckpointError(f"{args.name}: {title}: download the file by hand from {page}, then `verify` it")
    from fairseq_ckpt.downloading import download  # slow to import: it brings torch

    file = PUBLISHED[args.name]
    output = args.output or file.file_name
    download(file, output)
    checked = "its SHA-256 is right" if file.sha256 else "no published hash to compare with: run `verify` on it"
    print(f"{output}: {file.title}; {checked}")
    return 0
