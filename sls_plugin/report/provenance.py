"""Where the numbers of a report are from: files and their hashes, the checkpoint, the settings of the run, versions."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from fairseq_ckpt.fingerprint import file_sha256
from protocols.keys import Keys
from sls_plugin.report.content import Table
from sls_plugin.scores.run_metadata import RunMetadata, read_metadata

UNKNOWN = "unknown: no run record beside the scores"


def provenance(score_files: Sequence[Path], keys: Keys | None) -> Table:
    """A row for each file that the report was made of."""
    rows = [(path.name, *_file_facts(path), *_run_facts(read_metadata(path))) for path in score_files]
    rows += [(path.name, *_file_facts(path), "", "keys") for path in (keys.files if keys else [])]
    import sls_plugin

    return Table(
        title="Provenance",
        caption=f"Written by sls_plugin {sls_plugin.__version__}. SHA-256 identifies a file by its content.",
        columns=("file", "last changed (UTC)", "SHA-256", "checkpoint (SHA-256)", "settings"),
        rows=rows,
    )


def _file_facts(path: Path) -> tuple[str, str]:
    """When a file was changed, and its hash; both unknown for a pipe, which has been read."""
    if not path.is_file():
        return "", ""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M:%S"), file_sha256(path)


def _run_facts(metadata: RunMetadata | None) -> tuple[str, str]:
    """The checkpoint and the settings of the run that wrote the scores."""
    if metadata is None:
        return UNKNOWN, ""
    names = ("batch_size", "device", "dtype", "llr", "windows", "hop", "windows_score", "n_trials")
    settings = [f"{name} {metadata[name]}" for name in names if metadata.get(name) not in (None, False)]
    return str(metadata.get("checkpoint", UNKNOWN)), ", ".join(settings)
