"""Settings of a checkpoint as plain values, so that nothing in them can be evaluated later."""

import argparse
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
from omegaconf.base import Node

from .errors import CheckpointError

# fairseq's configuration has about 600 values, four levels deep. Containers that share their parts can pretend to have billions.
MAX_VALUES = 50_000
MAX_DEPTH = 50
MAX_CHARACTERS = 100_000
MAX_INTEGER = 2**63
# They would write to the terminal, or turn its text round.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def plain_settings(settings: Any, source: object) -> Any:
    """A copy of settings that holds only dictionaries, lists, tuples, strings, numbers, booleans and None.

    Containers of OmegaConf and namespaces become dictionaries and lists. Raises CheckpointError, naming `source`, for an
    interpolation such as `${oc.env:HOME}`, which OmegaConf would evaluate, for any other object, and for more values than
    a configuration has.

    >>> import argparse
    >>> plain_settings({"model": argparse.Namespace(arch="wav2vec2", encoder_layers=24)}, "a.pt")
    {'model': {'arch': 'wav2vec2', 'encoder_layers': 24}}
    """
    return _plain(settings, "", source, 0, count(1))


def _plain(value: Any, name: str, source: object, depth: int, counter: Iterator[int]) -> Any:
    if next(counter) > MAX_VALUES or depth > MAX_DEPTH:
        raise CheckpointError(f"{source}: its configuration is larger than that of any model: do not trust this file")
    if isinstance(value, (Node, argparse.Namespace, np.generic)):
        return _plain(_content(value, name, source), name, source, depth + 1, counter)
    if isinstance(value, dict):
        return {
            _plain_key(key, name, source): _plain(part, f"{name}.{key}".lstrip(".")[:200], source, depth + 1, counter)
            for key, part in value.items()
        }
    if isinstance(value, (list, tuple)):
        parts = [_plain(part, name, source, depth + 1, counter) for part in value]
        return tuple(parts) if isinstance(value, tuple) else parts
    if isinstance(value, str):
        return _plain_text(value, name, source)
    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < MAX_INTEGER):
        return value
    kind = "too large a number" if isinstance(value, int) else f"a {type(value).__name__}, not a plain value"
    raise CheckpointError(f"{source}: {name} in its configuration is {kind}: do not trust this file")


def _content(value: Any, name: str, source: object) -> Any:
    """What a node of OmegaConf, a namespace or a number of numpy holds; the text of an interpolation, not its value."""
    if isinstance(value, argparse.Namespace):
        return vars(value)
    if isinstance(value, np.generic):
        return value.item()
    try:
        return value._value()
    except (AttributeError, KeyError, TypeError):  # OmegaConf did not make it
        raise CheckpointError(f"{source}: {name} in its configuration is damaged: do not trust this file") from None


def _plain_key(key: Any, name: str, source: object) -> str | int:
    if isinstance(key, int):
        return key
    if isinstance(key, str):
        return _plain_text(key, name, source)
    raise CheckpointError(f"{source}: a setting of {name} has no name: do not trust this file")


def _plain_text(text: str, name: str, source: object) -> str:
    if "${" in text:
        raise CheckpointError(f"{source}: {name} in its configuration is an interpolation (${{...}}): do not trust this file")
    if CONTROL.search(text):
        raise CheckpointError(f"{source}: {name} in its configuration has control characters: do not trust this file")
    if len(text) > MAX_CHARACTERS:
        raise CheckpointError(f"{source}: {name} in its configuration is too long: do not trust this file")
    return text
