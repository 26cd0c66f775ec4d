"""The one error that an unusable checkpoint raises."""


class CheckpointError(ValueError):
    """A problem with a checkpoint, told in one line: the file, what is wrong, the remedy."""
