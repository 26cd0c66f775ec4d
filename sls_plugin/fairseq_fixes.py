"""Two repairs of fairseq's behaviour that no option of it offers."""

import os
import shutil
import sys
from types import TracebackType

from fairseq.file_io import PathManager

from fairseq_ckpt import CheckpointError
from protocols import DataError


def copy_files_atomically() -> None:
    """Let fairseq copy checkpoints under a temporary name first.

    It writes `checkpoint1.pt` and copies it onto `checkpoint_last.pt`; a kill during that copy would leave a torn file, from
    which training cannot go on.
    """
    PathManager.copy = staticmethod(_copy_atomically)


def _copy_atomically(src_path: str, dst_path: str, overwrite: bool = False) -> str:
    if not overwrite and os.path.exists(dst_path):
        raise FileExistsError(dst_path)
    temporary = f"{dst_path}.copying"
    shutil.copyfile(src_path, temporary)
    os.replace(temporary, dst_path)
    return dst_path


def tell_problems_in_one_line() -> None:
    """Let fairseq's commands end on bad data or a bad checkpoint with one line instead of a traceback."""
    sys.excepthook = _excepthook


def _excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if not issubclass(kind, DataError | CheckpointError):
        sys.__excepthook__(kind, error, traceback)
        return
    # raised again from a data worker, the message is the worker's traceback; the last line is what was said
    message = str(error).strip().splitlines()[-1]
    for known in (DataError, CheckpointError):
        message = message.removeprefix(f"{known.__module__}.{known.__qualname__}: ")
    print(f"error: {message}", file=sys.stderr)
