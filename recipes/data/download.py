"""Downloads, checks and unpacks a corpus, and writes its manifests: see `download.sh`."""

import argparse
import gzip
import http.client
import shlex
import shutil
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from corpora import CORPORA, Corpus, HubCorpus
from tqdm import tqdm

from fairseq_ckpt.errors import CheckpointError
from fairseq_ckpt.published import Published
from protocols import DataError, UserError
from protocols.recordings import shortened
from sls_plugin.__main__ import leave_closed_pipe
from sls_plugin.__main__ import main as sls

ARCHIVES = (".zip", ".tar", ".tar.gz")
BLOCK = 1 << 20  # bytes


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 on success, 1 on a problem, told in one line; exits 2 on wrong usage."""
    parser = argparse.ArgumentParser(
        prog="download.sh", description="Download, check and unpack a corpus, and write its manifests.", epilog=table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("corpus", metavar="CORPUS", nargs="?", choices=CORPORA, help="one of those below")
    parser.add_argument("parts", metavar="PART", nargs="*", help="its parts; in mlaad languages such as en (default: all)")
    parser.add_argument("--dest", metavar="DIR", type=Path, help="folder of all corpora; manifests go to DIR/manifests/CORPUS")
    parser.add_argument("--list", action="store_true", help="print what there is, and nothing else")
    args = parser.parse_intermixed_args(argv)
    if args.list:
        try:
            print(table(), flush=True)
        except BrokenPipeError:
            return leave_closed_pipe()
        return 0
    if not (args.corpus and args.dest):
        parser.error("give a CORPUS and --dest, or --list")
    corpus = CORPORA[args.corpus]
    if isinstance(corpus, Corpus) and (unknown := set(args.parts) - set(corpus.parts)):
        parser.error(f"{args.corpus} has no part {min(unknown)}: choose from {', '.join(corpus.parts)}")
    try:
        return download(args.corpus, args.parts, args.dest.absolute())
    except UserError as error:
        problem = str(error)
    except OSError as error:
        if error.filename is None and error.strerror is None:
            raise
        problem = f"{error.filename or args.dest}: {error.strerror}"
    except KeyboardInterrupt:
        print("download.sh: interrupted: give the same command again to go on", file=sys.stderr)
        return 130
    print(f"download.sh: error: {problem}", file=sys.stderr)
    return 1


def table() -> str:
    """Every corpus with its size, licence, page and parts."""
    lines = []
    for name, corpus in CORPORA.items():
        lines.append(f"{name:16}{gigabytes(corpus, []):>6.1f} GB  {corpus.title}")
        about = [f"{corpus.licence}; {corpus.page}"]
        if isinstance(corpus, Corpus) and len(corpus.parts) > 1:
            about += [f"{part}: {content.gigabytes:g} GB" for part, content in corpus.parts.items()]
        lines += [f"{'':27}{line}" for line in about]
    return "\n".join(lines)


def gigabytes(corpus: Corpus | HubCorpus, parts: Sequence[str]) -> float:
    """How much the parts are to download; none stand for all."""
    if isinstance(corpus, HubCorpus):
        return corpus.gigabytes
    return sum(corpus.parts[part].gigabytes for part in parts or corpus.parts)


def download(name: str, parts: Sequence[str], dest: Path) -> int:
    """Bring parts of a corpus to `dest`, go on where that broke off, and let `sls prepare` count what came.

    Returns the exit status of `sls prepare`. Raises CheckpointError and DataError on what does not arrive whole.
    """
    corpus = CORPORA[name]
    folder = dest / corpus.folder
    folder.mkdir(parents=True, exist_ok=True)
    size = f"{'up to ' if parts and isinstance(corpus, HubCorpus) else ''}{gigabytes(corpus, parts):.1f} GB"
    free = shutil.disk_usage(folder).free / 1e9
    print(f"{corpus.title}: {size} to download; {free:.1f} GB are free in {dest}")
    print(f"licence: {corpus.licence}; more: {corpus.page}", flush=True)
    if isinstance(corpus, HubCorpus):
        fetch_from_hub(corpus, parts, folder)
        manifests = corpus.manifests
    else:
        chosen = [corpus.parts[part] for part in parts or corpus.parts]
        for file in dict.fromkeys(file for part in chosen for file in part.files):
            fetch(file, folder, corpus.page)
        manifests = [manifest for part in chosen for manifest in part.manifests]
    return prepare(manifests, folder, dest / "manifests" / name)


def fetch(file: Published, folder: Path, page: str) -> None:
    """Download a file unless it is there, check it either way, and unpack it unless that was done."""
    from fairseq_ckpt.downloading import download as download_file  # slow to import: it brings torch
    from fairseq_ckpt.downloading import integrity_error

    path = folder / file.file_name
    unpacked = folder / f"{file.file_name}.unpacked"
    if unpacked.exists():
        print(f"{path}: unpacked before; to do it again remove {unpacked.name}")
        return
    if not path.exists():
        print(f"{path}: from {file.url}", flush=True)
        try:
            download_file(file, path)
        except CheckpointError as error:
            raise CheckpointError(f"{error} (the files are listed on {page})") from None
    elif problem := integrity_error(file, path):
        raise CheckpointError(f"{path}: {problem}: move it away and give the same command again")
    known = [name for name, value in (("size", file.n_bytes), ("SHA-256", file.sha256), ("MD5", file.md5)) if value]
    checked = f"right: {' and '.join(known)}" if known else "no checksum is published"
    print(f"{path}: {path.stat().st_size:,} bytes; {checked}", flush=True)
    if path.name.endswith(ARCHIVES):
        unpack(path, folder)
        unpacked.touch()


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar or zip archive below a folder; what is there in full stays as it is, so that this can be repeated.

    Raises DataError on an archive that is damaged or cut off, or that would write outside the folder.
    """
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as file:
                for member in shown(file.infolist(), archive):
                    if not is_there(folder / member.filename, member.file_size):
                        file.extract(member, folder)
            return
        with tarfile.open(archive) as file:
            file.extraction_filter = getattr(tarfile, "data_filter", None)  # Python has it from 3.11.4 on
            for member in shown(file, archive):
                if not is_there(folder / member.name, member.size):
                    require_plain(member, folder)
                    file.extract(member, folder)
            while file.fileobj.read(BLOCK):  # to the end, where gzip's own checksum stands
                pass
    except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(":")
        raise DataError(f"{archive}: cannot be unpacked ({reason}): move it away and give the same command again") from None


def shown(members: Iterable, archive: Path) -> Iterable:
    """The members of an archive, counted on a terminal."""
    return tqdm(members, desc=f"unpacking {archive.name}", unit="file", leave=False, disable=None)


def require_plain(member: tarfile.TarInfo, folder: Path) -> None:
    """TarError on what no corpus holds: links, devices, and names that lead out of the folder."""
    if not (member.isfile() or member.isdir()):
        raise tarfile.TarError(f"{member.name} is neither a file nor a folder")
    if not (folder / member.name).resolve().is_relative_to(folder.resolve()):
        raise tarfile.TarError(f"{member.name} leads out of the folder")


def is_there(path: Path, n_bytes: int) -> bool:
    """Whether a file was unpacked to its end."""
    return path.is_file() and path.stat().st_size == n_bytes


def fetch_from_hub(corpus: HubCorpus, languages: Sequence[str], folder: Path) -> None:
    """Download languages of a corpus from the Hugging Face Hub, all where none is named; files that are there stay.

    Raises DataError without huggingface_hub, a token or accepted terms, and when the Hub cannot be reached.
    """
    try:
        from huggingface_hub import dataset_info, list_repo_files, snapshot_download
        from huggingface_hub.errors import HTTPError
        from huggingface_hub.utils import filter_repo_objects
    except ImportError:
        raise DataError("no huggingface_hub here: EXTRAS=onnx,report,test,data bash recipes/setup.sh installs it") from None
    try:
        # Listed here too: when the Hub cannot be reached, snapshot_download takes what is in the folder for the whole.
        dataset = {"repo_id": corpus.repository, "repo_type": "dataset", "revision": dataset_info(corpus.repository).sha}
        files = list_repo_files(**dataset)
        for language in languages:
            if not any(file.startswith(f"fake/{language}/") for file in files):
                raise DataError(f"{corpus.page}: no language {language!r}: choose from the folders below fake/ there")
        wanted = [f"fake/{language}/*" for language in languages] or ["*"]
        snapshot_download(**dataset, local_dir=folder, allow_patterns=wanted)
    except (HTTPError, OSError) as error:
        if getattr(error, "errno", None) is not None:  # the disk
            raise
        raise DataError(hub_failure(corpus.page, error.__cause__ or error)) from None
    missing = [file for file in filter_repo_objects(files, allow_patterns=wanted) if not (folder / file).is_file()]
    if missing:
        raise DataError(f"{folder}: {len(missing):,} files did not arrive ({shortened(missing)}): give the same command again")


def hub_failure(page: str, error: BaseException) -> str:
    """Why the Hub gave nothing, and the remedy."""
    from huggingface_hub import get_token

    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        if not get_token():
            return (
                f"{page}: needs an account that has accepted the terms there, and its token: "
                "make one on https://huggingface.co/settings/tokens and set HF_TOKEN, or give it to `hf auth login`"
            )
        return f"{page}: refused to your token ({status}): accept the terms there, and let the token read gated repositories"
    what = f"the Hub answered {status}" if status else f"the Hub cannot be reached ({type(error).__name__})"
    return f"{page}: {what}: give the same command again later to go on from there"


def prepare(manifests: Iterable[str], folder: Path, dest: Path) -> int:
    """Write manifests with `sls prepare`, which tells what is missing; the exit status is its own."""
    for manifest in manifests:
        words = [found(word, folder) if word.startswith("./") else word for word in manifest.split()]
        command = ["prepare", *words, "--dest", str(dest)]
        print(f"sls {shlex.join(command)}", flush=True)
        if status := sls(command):
            return status
    return 0


def found(path: str, folder: Path) -> str:
    """The first path below a folder that a pattern fits, or the pattern itself where none does, for others to refuse."""
    return str(min(folder.glob(path), default=folder / path))


if __name__ == "__main__":
    sys.exit(main())
