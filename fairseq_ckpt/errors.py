"""The one error that an unusable checkpoint raises."""

import textwrap


class CheckpointError(ValueError):
    """A problem with a checkpoint, told in one line: the file, what is wrong, the remedy."""


def first_misfit(error: RuntimeError) -> str:
    """What PyTorch's `load_state_dict` complains of first; its message has a line for each kind of misfit."""
    title, *misfits = str(error).splitlines()
    return textwrap.shorten(misfits[0] if misfits else title, 150)
