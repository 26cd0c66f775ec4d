"""The one error that bad data raises."""


class DataError(ValueError):
    """A problem with the data, told in one line: the file, the line or trial, the remedy."""
