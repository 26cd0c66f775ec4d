"""The error that an unusable checkpoint raises."""

import re
import textwrap

from protocols.errors import UserError


class CheckpointError(UserError):
    """A problem with a checkpoint."""


def first_misfit(error: RuntimeError) -> str:
    """The first mismatch that PyTorch's `load_state_dict` reports; its message has a line for each kind."""
    title, *misfits = str(error).splitlines()
    return textwrap.shorten(misfits[0] if misfits else title, 150)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the CPU's memory was too small; PyTorch has no class for it."""
    return isinstance(error, MemoryError) or bool(re.search("not enough memory|(can't|annot) allocate memory", str(error)))
