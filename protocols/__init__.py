"""Official protocol and key files to `Trial` records to manifests."""

from .errors import DataError
from .manifest import read_manifest, write_manifest
from .trial import Trial

__all__ = ["DataError", "Trial", "read_manifest", "write_manifest"]
