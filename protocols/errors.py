"""Errors that the user can fix, each in one line: the file, the line or trial, the remedy."""


class UserError(RuntimeError):
    """The base of all errors that the user can fix.

    A RuntimeError, because fairseq's training writes a `crash.pt` of the model's size upon errors of other kinds.
    """


class DataError(UserError):
    """A problem with recordings, manifests, keys or scores."""


class MachineError(UserError):
    """A fault of the machine: no permission, a failing disk, too many open files, a program that is not installed.

    Such a fault says nothing of a recording: it ends a run, also where broken recordings are skipped.
    """


class SettingError(UserError):
    """An option or setting with a value that cannot be used."""
