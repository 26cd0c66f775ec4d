"""The one error that an unusable checkpoint raises."""

import textwrap

from protocols.errors import UserError


class CheckpointError(UserError):
    """A problem with a checkpoint."""


def first_misfit(error: RuntimeError) -> str:
    """What PyTorch's `load_state_dict` complains of first; its message has a line for each kind of misfit."""
    title, *misfits = str(error).splitlines()
    return textwrap.shorten(misfits[0] if misfits else title, 150)
