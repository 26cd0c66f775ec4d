"""Repairs of fairseq's behaviour that no option of it offers."""

import os
import shutil
import sys
from pathlib import Path
from types import TracebackType

from fairseq.file_io import PathManager
from torch.multiprocessing import ProcessRaisedException

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.detector import read_detector
from protocols import DataError
from protocols.atomic import replacing

TOLD = (DataError, CheckpointError)  # problems that are told in one line


def repair() -> None:
    """Let fairseq copy checkpoints whole or not at all, tell problems in one line, and validate without a batch size."""
    PathManager.copy = staticmethod(_copy)
    sys.excepthook = _excepthook
    _give_validation_a_batch_size()


def _copy(src_path: str, dst_path: str, overwrite: bool = False) -> str:
    """fairseq copies `checkpoint1.pt` onto `checkpoint_last.pt`; a kill must not leave a torn file there."""
    if not overwrite and os.path.exists(dst_path):
        raise FileExistsError(dst_path)
    with replacing(dst_path) as temporary:
        shutil.copyfile(src_path, temporary)
    return dst_path


def _excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    message = _told(error) or _wrong_checkpoint()
    if message:
        print(f"error: {message}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


def _told(error: BaseException) -> str:
    """What a DataError or CheckpointError says, also one that a data worker or another process raised; else nothing."""
    last = (str(error).strip().splitlines() or [""])[-1]  # of a worker's error, whose message is a traceback
    for known in TOLD:
        name = f"{known.__module__}.{known.__qualname__}: "
        if isinstance(error, known) or (isinstance(error, ProcessRaisedException) and last.startswith(name)):
            return last.removeprefix(name)
    return ""


def _wrong_checkpoint() -> str:
    """Why a file after --path cannot be scored, if that is what a command of fairseq failed on; else nothing."""
    if "--path" in sys.argv[:-1]:
        try:
            for path in sys.argv[sys.argv.index("--path") + 1].split(os.pathsep):  # an ensemble has several
                read_detector(path)
        except CheckpointError as error:
            return str(error)
    return ""


def _give_validation_a_batch_size() -> None:
    """fairseq-generate has a default, fairseq-validate refuses to start without one."""
    given = {argument.split("=")[0] for argument in sys.argv}
    if Path(sys.argv[0]).name == "fairseq-validate" and not given & {"--batch-size", "--max-sentences", "--max-tokens"}:
        sys.argv += ["--batch-size", "8"]
