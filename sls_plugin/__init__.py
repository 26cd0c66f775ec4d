"""Detection of synthetic speech, from Python and as the user directory of fairseq.

>>> import sls_plugin
>>> detector = sls_plugin.load("checkpoint_best.pt")  # doctest: +SKIP
>>> detector.score("recording.flac")  # a higher score means more bona fide  # doctest: +SKIP
-0.0123

Importing the package imports no other library: the names below are loaded when they are first used.
"""

from typing import TYPE_CHECKING, Any

import fairseq_ckpt  # noqa: F401  (it imports our `protocols`, before a folder of that name can be taken for it)

if TYPE_CHECKING:
    from protocols.errors import UserError
    from sls_plugin.data.conditions import RecordingWarning
    from sls_plugin.inference.detector import Detector, load

__all__ = ["Detector", "RecordingWarning", "UserError", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name in ("Detector", "load"):
        from sls_plugin.inference import detector

        return getattr(detector, name)
    if name == "RecordingWarning":
        from sls_plugin.data.conditions import RecordingWarning

        return RecordingWarning
    if name == "UserError":
        from protocols.errors import UserError

        return UserError
    if name == "__version__":
        from importlib.metadata import version

        return version("sls-plugin")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
