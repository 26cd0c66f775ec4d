"""What fairseq's commands print: the lines that someone reads, in the words of detection."""

import logging
import sys
import warnings
from typing import Any

from fairseq.logging.progress_bar import BaseProgressBar
from omegaconf import DictConfig

fairseqs_str_pipes = BaseProgressBar._str_pipes
COMMANDS = ("fairseq_cli.train", "fairseq_cli.validate", "fairseq_cli.generate")
# Deprecations that fairseq causes, whatever its user does.
WARNINGS = (
    r"\s*hydra\.experimental",
    r"\s*The version_base parameter",
    r"In 'config': Usage of deprecated",
    r"\s*The strict flag",
    r"\s*'config' is validated",
    r"'pin_memory' argument",
    r"`torch\.cuda\.amp\.autocast",
    r".*weight_norm",
)


def tidy_logs() -> None:
    """Leave the whole configuration, the weights of layers and library warnings out of the terminal.

    Every checkpoint has the configuration; JSON and tensorboard have the weights of layers. Warnings are shown with Python's
    option -W or PYTHONWARNINGS.
    """
    for name in COMMANDS:
        logging.getLogger(name).addFilter(_tidy)
    logging.getLogger("fairseq.tasks.fairseq_task").setLevel(logging.WARNING)  # how batches are made, several lines an epoch
    BaseProgressBar._str_pipes = _str_pipes
    if not sys.warnoptions:
        for message in WARNINGS:
            warnings.filterwarnings("ignore", message)


def _tidy(record: logging.LogRecord) -> bool:
    """Whether to print a line of the log."""
    text = str(record.msg)
    if text.startswith("Translated "):
        n_trials, seconds, speed = text.split()[1], text.split()[6], text.split()[7].lstrip("(")
        record.msg = f"Scored {n_trials} trials in {seconds} ({speed} trials/s)"
    return not isinstance(record.msg, DictConfig)


def _str_pipes(bar: BaseProgressBar, stats: dict[str, Any]) -> str:
    """The line at the end of an epoch."""
    return fairseqs_str_pipes(bar, {name: value for name, value in stats.items() if not name.startswith("layer_")})
