"""Reads, checks, converts and makes checkpoints of the published layouts."""

from .errors import CheckpointError

__all__ = ["CheckpointError"]
