"""Downloads, checks and unpacks a corpus, and writes its manifests: see `download.sh`."""

import gzip
import http.client
import shlex
import shutil
import stat
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from fairseq_ckpt.cli.common import HelpFormatter, Parser, add_help
from fairseq_ckpt.errors import CheckpointError
from fairseq_ckpt.published import PUBLISHED
from protocols import DataError, UserError
from protocols.corpora import CORPORA, canonical_name
from protocols.published import Download, HubDownload, Part, Published
from protocols.recordings import list_names
from sls_plugin.__main__ import main as sls
from sls_plugin.cli.common import exit_on_broken_pipe

ARCHIVES = (".zip", ".tar", ".tar.gz")
MARKS = (".unpacked", ".part", ".etag", ".wrong")  # of files beside an archive, here and in fairseq_ckpt.downloading
BLOCK = 1 << 20  # bytes
# What the readers of archives raise on damaged ones.
DAMAGES = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, ValueError)
MAX_EXPANSION = 50  # an archive of recordings is about as large as they are, one of text a tenth
SMALLEST_LIMIT = 1_000_000_000  # bytes that any archive may hold
MAX_MEMBERS = 5_000_000
EXAMPLES = """\
examples:
  bash recipes/data/download.sh asvspoof2019-la --dest CORPORA
  bash recipes/data/download.sh asvspoof5 train dev --dest CORPORA

The same command resumes a download that was stopped, and does nothing when everything is there.
"""
GIGABYTES_OF_MODELS = {"xlsr_300m": 3.8, "wav2vec_small": 1.0}


class Offer(NamedTuple):
    """A corpus or pre-trained model that can be downloaded."""

    title: str
    download: Download | HubDownload


def offers() -> dict[str, Offer]:
    """Everything that can be downloaded, by its name."""
    corpora = {name: Offer(corpus.title, corpus.download) for name, corpus in CORPORA.items() if corpus.download}
    return corpora | {name: _model(PUBLISHED[name], size) for name, size in GIGABYTES_OF_MODELS.items()}


def _model(file: Published, n_gigabytes: float) -> Offer:
    page = "https://github.com/facebookresearch/fairseq/tree/main/examples/wav2vec"
    return Offer(file.title, Download(page, "MIT, as fairseq", {"model": Part(n_gigabytes, [file])}))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 on success, 1 on a problem, reported in one line; exits 2 on wrong usage."""
    known = offers()
    parser = Parser(
        prog="download.sh",
        description="Download, check and unpack a corpus, and write its manifests; or download a pre-trained model.",
        epilog=f"{EXAMPLES}\ncorpora and models:\n{table(known)}",
        formatter_class=HelpFormatter,
        add_help=False,
    )
    what = parser.add_argument_group("what to download")
    what.add_argument("corpus", metavar="CORPUS", nargs="?", type=canonical_name, choices=known, help="one of those below")
    what.add_argument("parts", metavar="PART", nargs="*", help="some of its parts, languages for mlaad (default: all)")
    what.add_argument("--list", action="store_true", help="list the corpora and models, and exit")
    where = parser.add_argument_group("where to")
    where.add_argument("--dest", metavar="DIR", type=Path, help="folder of all corpora; manifests go to DIR/manifests/CORPUS")
    add_help(parser)
    args = parser.parse_intermixed_args(argv)
    if args.list:
        try:
            print(table(known), flush=True)
        except BrokenPipeError:
            return exit_on_broken_pipe()
        return 0
    if not (args.corpus and args.dest):
        parser.error("give a CORPUS and --dest, or --list")
    offer = known[args.corpus]
    if isinstance(offer.download, Download) and (unknown := set(args.parts) - set(offer.download.parts)):
        parser.error(f"{args.corpus} has no part {min(unknown)}: choose from {', '.join(offer.download.parts)}")
    try:
        return fetch_and_prepare(args.corpus, offer, args.parts, args.dest.absolute())
    except UserError as error:
        problem = str(error)
    except OSError as error:
        if error.filename is None and error.strerror is None:
            raise
        problem = f"{error.filename or args.dest}: {error.strerror}"
    except KeyboardInterrupt:
        print("download.sh: interrupted: give the same command again to resume", file=sys.stderr)
        return 130
    print(f"download.sh: error: {problem}", file=sys.stderr)
    return 1


def table(known: Mapping[str, Offer]) -> str:
    """Every corpus and model with its size, licence, page and parts."""
    lines = []
    for name, (title, download) in known.items():
        lines.append(f"{name:16}{gigabytes(download, []):>6.1f} GB  {title}")
        about = [download.licence, download.page]
        if isinstance(download, Download) and len(download.parts) > 1:
            about += [f"{part}: {content.gigabytes:g} GB" for part, content in download.parts.items()]
        lines += [f"{'':27}{line}" for line in about]
    return "\n".join(lines)


def gigabytes(download: Download | HubDownload, parts: Sequence[str]) -> float:
    """The size of some parts, or of all where none is named."""
    if isinstance(download, HubDownload):
        return download.gigabytes
    return sum(download.parts[part].gigabytes for part in parts or download.parts)


def fetch_and_prepare(name: str, offer: Offer, parts: Sequence[str], dest: Path) -> int:
    """Fetch parts of a corpus to `dest`, resumed where that broke off, and write its manifests with `sls prepare`.

    Returns the exit status of `sls prepare`. Raises CheckpointError and DataError on what does not arrive whole.
    """
    title, download = offer
    folder = dest / download.folder
    folder.mkdir(parents=True, exist_ok=True)
    size = f"{'up to ' if parts and isinstance(download, HubDownload) else ''}{gigabytes(download, parts):.1f} GB"
    free = shutil.disk_usage(folder).free / 1e9
    print(f"{title}: {size} to download; {free:.1f} GB are free in {dest}")
    print(f"licence: {download.licence}; more: {download.page}", flush=True)
    if isinstance(download, HubDownload):
        fetch_from_hub(download, parts, folder)
        manifests = download.manifests
    else:
        selected = [download.parts[part] for part in parts or download.parts]
        for file in dict.fromkeys(file for part in selected for file in part.files):
            fetch(file, folder, download.page)
        manifests = [manifest for part in selected for manifest in part.manifests]
    return prepare(name, manifests, folder, dest / "manifests" / name)


def fetch(file: Published, folder: Path, page: str) -> None:
    """Download a file unless it is there, check it either way, and unpack it unless that was done."""
    from fairseq_ckpt.downloading import download as download_file  # slow to import: it brings torch
    from fairseq_ckpt.downloading import integrity_error

    path = folder / file.file_name
    unpacked = folder / f"{file.file_name}.unpacked"
    if unpacked.exists():
        print(f"{path}: unpacked already: to unpack it again, remove {unpacked.name}")
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
    """Unpack a tar or zip archive below a folder; files that were unpacked before stay as they are.

    Raises DataError on an archive that is damaged or cut off, that would write outside the folder, that would fill the disk,
    or that holds files which mark the state of downloads.
    """
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as file:
                for member in within_limits(with_progress(file.infolist(), archive), archive):
                    require_plain(member.filename, folder, is_plain_zip_member(member))
                    if not is_unpacked(folder / member.filename, member.file_size):
                        file.extract(member, folder)
            return
        with tarfile.open(archive) as file:
            file.extraction_filter = getattr(tarfile, "data_filter", None)  # Python has it from 3.11.4 on
            for member in within_limits(with_progress(file, archive), archive):
                require_plain(member.name, folder, member.isfile() or member.isdir())
                if not is_unpacked(folder / member.name, member.size):
                    file.extract(member, folder)
            while file.fileobj.read(BLOCK):  # to the end, where gzip checks its checksum
                pass
    except DAMAGES as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(":")
        raise DataError(f"{archive}: cannot be unpacked ({reason}): move it away and give the same command again") from None
    except RuntimeError as error:
        if isinstance(error, UserError):
            raise
        raise DataError(f"{archive}: cannot be unpacked (encrypted): move it away and give the same command again") from None


def with_progress(members: Iterable, archive: Path) -> Iterable:
    """The members of an archive, with a progress bar on a terminal."""
    return tqdm(members, desc=f"unpacking {archive.name}", unit="file", leave=False, disable=None)


def within_limits(members: Iterable, archive: Path) -> Iterable:
    """The members of an archive, as long as there are not too many and they do not unpack to far more than its size."""
    largest = max(MAX_EXPANSION * archive.stat().st_size, SMALLEST_LIMIT)
    n_bytes = 0
    for number, member in enumerate(members):
        n_bytes += member.size if isinstance(member, tarfile.TarInfo) else member.file_size
        if number >= MAX_MEMBERS or n_bytes > largest:
            raise tarfile.TarError(f"it unpacks to more than {MAX_EXPANSION} times its size, or to too many files")
        yield member


def is_plain_zip_member(member: zipfile.ZipInfo) -> bool:
    """Whether a member is a file or folder by the mode that Unix programs write; others write none."""
    kind = stat.S_IFMT(member.external_attr >> 16)
    return kind in (0, stat.S_IFREG, stat.S_IFDIR)


def require_plain(name: str, folder: Path, is_plain: bool) -> None:
    """TarError on what no corpus holds: links, devices, names that lead out of the folder, and marks of other downloads."""
    printable = name if name.isprintable() else ascii(name)
    if not is_plain:
        raise tarfile.TarError(f"{printable} is neither a file nor a folder")
    if "\\" in name or not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise tarfile.TarError(f"{printable} leads out of the folder")
    if name.rstrip("/").lower().endswith(MARKS):
        raise tarfile.TarError(f"{printable} has a name that marks the state of a download")


def is_unpacked(path: Path, n_bytes: int) -> bool:
    """Whether a file was unpacked to its end."""
    return path.is_file() and path.stat().st_size == n_bytes


def fetch_from_hub(download: HubDownload, parts: Sequence[str], folder: Path) -> None:
    """Download parts of a corpus from the Hugging Face Hub, all where none is named; files that are there stay.

    Raises DataError without huggingface_hub, a token or accepted terms, and when the Hub cannot be reached.
    """
    try:
        from huggingface_hub import dataset_info, list_repo_files, snapshot_download
        from huggingface_hub.errors import HTTPError
        from huggingface_hub.utils import filter_repo_objects
    except ImportError:
        remedy = "EXTRAS=onnx,report,test,data bash recipes/setup.sh installs it"
        raise DataError(f"huggingface_hub is not installed: {remedy}") from None
    try:
        # When the Hub cannot be reached, snapshot_download takes the files in the folder for the whole: list them here.
        revision = dataset_info(download.repository).sha
        dataset = {"repo_id": download.repository, "repo_type": "dataset", "revision": revision}
        files = list_repo_files(**dataset)
        prefixes = {part: f"{download.parts_folder}/{part}/" for part in parts}
        for part, prefix in prefixes.items():
            if not any(file.startswith(prefix) for file in files):
                remedy = f"choose from the folders below {download.parts_folder}/ there"
                raise DataError(f"{download.page}: no part {part!r}: {remedy}")
        wanted = [f"{prefix}*" for prefix in prefixes.values()] or ["*"]
        snapshot_download(**dataset, local_dir=folder, allow_patterns=wanted)
    except (HTTPError, OSError) as error:
        if getattr(error, "errno", None) is not None:  # the disk
            raise
        raise DataError(hub_failure(download.page, error.__cause__ or error)) from None
    missing = [file for file in filter_repo_objects(files, allow_patterns=wanted) if not (folder / file).is_file()]
    if missing:
        raise DataError(f"{folder}: {len(missing):,} files did not arrive ({list_names(missing)}): give the same command again")


def hub_failure(page: str, error: BaseException) -> str:
    """Why nothing came from the Hub, and the remedy."""
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
    return f"{page}: {what}: give the same command again later to resume"


def prepare(name: str, manifests: Iterable[str], folder: Path, dest: Path) -> int:
    """Write the manifests of a corpus with `sls prepare`, which reports what is missing; returns its exit status."""
    for manifest in manifests:
        words = [first_match(word, folder) if word.startswith("./") else word for word in manifest.split()]
        command = ["prepare", name, *words, "--dest", str(dest)]
        print(f"sls {shlex.join(command)}", flush=True)
        if status := sls(command):
            return status
    return 0


def first_match(path: str, folder: Path) -> str:
    """The first path below a folder that matches a pattern, or the pattern itself, for `sls prepare` to refuse."""
    return str(min(folder.glob(path), default=folder / path))


if __name__ == "__main__":
    sys.exit(main())
