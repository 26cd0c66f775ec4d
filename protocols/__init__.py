"""Official protocol and key files to `Trial` records to manifests."""

from .errors import DataError, MachineError, SettingError, UserError
from .manifest import read_manifest, write_manifest
from .trial import Trial

__all__ = ["DataError", "MachineError", "SettingError", "Trial", "UserError", "read_manifest", "write_manifest"]
