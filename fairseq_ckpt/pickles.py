"""Pickles, looked at before PyTorch reads them: which classes they name, and what they would make it compute.

`weights_only` keeps a pickle from running code. It does not keep a small one from taking hours or all memory: by hashing tuples
that hold each other, by `bytearray(10**12)`, or by a text that is encoded again and again.
"""

import pickletools
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

MAX_OPERATIONS = 1_500_000  # XLS-R 2B with the state of its optimiser has about 100,000
# The opcodes that PyTorch's own unpickler knows.
OPCODES = {
    *("GLOBAL", "NEWOBJ", "REDUCE", "BUILD", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "MARK", "PROTO", "STOP", "BINPERSID"),
    *("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"),
    *("NONE", "NEWFALSE", "NEWTRUE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING"),
    *("BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT"),
}
# What weights_only knows beside plain tensors: other kinds of tensors, which no detector has, and what takes memory when called.
REFUSED = {
    *("builtins.bytearray", "builtins.set", "builtins.complex", "collections.Counter"),
    *("torch.Tensor", "torch.serialization._get_layout", "torch._tensor._rebuild_from_type_v2"),
}
REBUILDING = {f"torch._utils._rebuild_{kind}" for kind in ("tensor", "tensor_v2", "tensor_v3", "parameter")}
ENCODE = "_codecs.encode"  # of the bytes in a number of numpy
EMPTY_WHEN_CALLED = {"collections.OrderedDict", "builtins.dict", "builtins.list"}
VALUE_BYTES = {
    **dict.fromkeys(("torch.storage.UntypedStorage", "torch.ByteStorage", "torch.CharStorage", "torch.BoolStorage"), 1),
    **dict.fromkeys(("torch.HalfStorage", "torch.BFloat16Storage", "torch.ShortStorage"), 2),
    **dict.fromkeys(("torch.FloatStorage", "torch.IntStorage"), 4),
    **dict.fromkeys(("torch.DoubleStorage", "torch.LongStorage", "torch.ComplexFloatStorage"), 8),
    "torch.ComplexDoubleStorage": 16,
}
PYTHON_2 = "__builtin__."
MARK = object()


class PickleRefusedError(ValueError):
    """A pickle that no checkpoint of a detector holds; the message says why, and what to do."""


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle names."""

    path: str


class Storage(NamedTuple):
    """The numbers of one or more tensors, as a pickle refers to them."""

    key: str
    n_bytes: int


def require_plain_pickle(file: BinaryIO) -> list[Storage]:
    """Raises PickleRefusedError unless a pickle, read from where `file` stands, is small and plain; returns its storages.

    Raises ValueError and others on what is no pickle.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    storages = []
    for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if number >= MAX_OPERATIONS:
            raise PickleRefusedError(f"its pickle has more than {MAX_OPERATIONS:,} parts: do not trust this file")
        if opcode.name not in OPCODES:
            raise PickleRefusedError(f"its pickle uses {opcode.name}, which PyTorch does not: do not trust this file")
        if opcode.name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
            continue
        parts = _pop(stack, opcode)
        if opcode.name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif opcode.name == "BINPERSID":
            storages.append(_storage(*parts))
            stack.append(None)
        elif opcode.stack_after:
            stack.append(_made(opcode.name, argument, parts))
    return storages


def _pop(stack: list[Any], opcode: pickletools.OpcodeInfo) -> list[Any]:
    """What an opcode takes from the stack, without marks."""
    needed = len(opcode.stack_before)
    if pickletools.markobject in opcode.stack_before:
        mark = len(stack) - 1 - stack[::-1].index(MARK)
        stack.pop(mark)
        needed = len(stack) - mark + opcode.stack_before.index(pickletools.markobject)
    parts = [stack.pop() for _ in range(needed)][::-1]
    if any(part is MARK for part in parts):
        raise ValueError("a mark in the place of a value")
    return parts


def _made(opcode: str, argument: Any, parts: list[Any]) -> Any:
    """What an opcode puts on the stack, as far as it matters: names, constants and tuples of them; None for the rest."""
    if opcode == "MARK":
        return MARK
    if opcode == "GLOBAL":
        return Name(_allowed(argument.replace(" ", ".")))
    if opcode in ("SETITEM", "SETITEMS"):
        if not all(isinstance(key, (str, int)) for key in parts[1::2]):
            raise PickleRefusedError("a dictionary in it has keys that are no names: do not trust this file")
        return parts[0]
    if opcode in ("REDUCE", "NEWOBJ"):
        _require_plain_call(*parts)
        return None
    if opcode in ("APPEND", "APPENDS", "BUILD"):
        return parts[0]
    if opcode.startswith("TUPLE") or opcode == "EMPTY_TUPLE":
        return tuple(parts)
    return {"NEWTRUE": True, "NEWFALSE": False}.get(opcode, argument)


def _allowed(path: str) -> str:
    path = path.replace(PYTHON_2, "builtins.", 1) if path.startswith(PYTHON_2) else path
    of_torch = path.startswith(("torch._utils.", "torch._tensor."))
    if path in REFUSED or (of_torch and path not in REBUILDING):
        raise PickleRefusedError(f"refused: unpickling it would run {path}, which is not plain data: do not trust this file")
    return path  # weights_only refuses all that neither it nor SAFE_GLOBALS lists


def _require_plain_call(called: Any, arguments: Any) -> None:
    path = called.path if isinstance(called, Name) else ""
    if path in EMPTY_WHEN_CALLED and arguments != ():
        raise PickleRefusedError(f"it calls {path} with arguments: do not trust this file")
    if path == ENCODE and not (isinstance(arguments, tuple) and len(arguments) == 2 and arguments[1] == "latin1"):
        raise PickleRefusedError("it encodes text other than as bytes: do not trust this file")


def _storage(identifier: Any) -> Storage:
    """The storage that PyTorch finds under an identifier such as ("storage", torch.FloatStorage, "0", "cpu", 6)."""
    kind, key, n_values = identifier[1], identifier[2], identifier[4]
    if not (isinstance(kind, Name) and kind.path in VALUE_BYTES and isinstance(key, str) and type(n_values) is int):
        raise ValueError("no storage")
    return Storage(key, n_values * VALUE_BYTES[kind.path])
