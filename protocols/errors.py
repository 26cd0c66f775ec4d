"""Errors that the user can mend, each told in one line: the file, the line or trial, the remedy."""


class UserError(RuntimeError):
    """What all of them share, so that a caller can catch one type.

    A RuntimeError, because fairseq's training writes a `crash.pt` of the model's size upon errors of other kinds.
    """


class DataError(UserError):
    """A problem with recordings, manifests, keys or scores."""


class SettingError(UserError):
    """An option or setting with a value that cannot be used."""
