"""The one error that bad data raises."""


class DataError(RuntimeError):
    """A problem with the data, told in one line: the file, the line or trial, the remedy.

    A RuntimeError, because fairseq's training writes a `crash.pt` of the model's size upon errors of other kinds.
    """
