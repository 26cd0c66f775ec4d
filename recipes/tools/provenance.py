"""What a result was made with: the revision of the code, the device and the versions of packages."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "fairseq-fixed", "numpy")


def provenance() -> dict[str, str]:
    """Revision, device and versions of this process."""
    return {"revision": revision(), "device": device(), "versions": versions()}


def revision() -> str:
    """The git revision of the checkout, and whether it has local changes."""
    try:
        commit = _git("rev-parse", "HEAD")
        return f"{commit} with local changes" if _git("status", "--porcelain") else commit
    except (OSError, subprocess.CalledProcessError):
        return "unknown (not a git checkout)"


def device() -> str:
    """The name of the GPU, or of the CPU if there is none."""
    import torch  # slow to import

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    names = [line.partition(": ")[2] for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> str:
    """The versions of Python and of the packages that results depend on."""
    return ", ".join([f"Python {platform.python_version()}", *(f"{package} {version(package)}" for package in PACKAGES)])


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
