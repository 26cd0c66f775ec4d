"""Reads, checks, converts and makes checkpoints of the published layouts."""

import sys
from importlib import import_module
from pathlib import Path


def _import_own_protocols() -> None:
    """Import the package `protocols` beside this one, even where the working folder or PYTHONPATH has another of that name.

    Users of ASVspoof often have such a folder. Raises ImportError where theirs is imported already.
    """
    folder = str(Path(__file__).parents[1])
    sys.path.insert(0, folder)
    try:
        module = import_module("protocols")
    finally:
        sys.path.remove(folder)
    found = Path(next(iter(getattr(module, "__path__", [module.__file__]))))
    if found.resolve() != Path(folder, "protocols").resolve():
        raise ImportError(f"{found}: has the name of a package of sls_plugin: rename it, or import sls_plugin before it")


_import_own_protocols()

from .errors import CheckpointError  # noqa: E402

__all__ = ["CheckpointError"]
