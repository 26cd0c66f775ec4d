"""ONNX files, looked at before onnxruntime reads them: one plain graph, with all its numbers in the file.

Scoring an exported detector needs onnxruntime and not the package `onnx`; hence the few lines that walk through protobuf here.
The numbers of the fields are those of onnx.proto.
"""

import mmap
from collections.abc import Iterator
from typing import BinaryIO

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # wire types
MODEL = {"graph": 7, "training_info": 20, "functions": 25}
GRAPH = {"node": 1, "initializer": 5, "sparse_initializer": 15}
NODE = {"attribute": 5, "domain": 7}
ATTRIBUTE = {"t": 5, "g": 6, "tensors": 10, "graphs": 11, "sparse_tensor": 22, "sparse_tensors": 23}
TENSOR = {"external_data": 13, "data_location": 14}
ORT_FORMAT = b"ORTM"  # onnxruntime's own format, at the fifth byte
Field = tuple[int, int, int]  # number of a field, begin and end of its value


class OnnxRefusedError(ValueError):
    """An ONNX file that `sls export` did not write; the message says what is in it."""


def require_plain_onnx(file: BinaryIO) -> None:
    """Raises OnnxRefusedError on a file with external data, sub-graphs (loops and conditions), functions or custom operators.

    Raises ValueError on what is no protobuf.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[4:8] == ORT_FORMAT:
            raise OnnxRefusedError("in the format of onnxruntime, not ONNX")
        for number, start, end in _fields(data, 0, len(data)):
            if number in (MODEL["training_info"], MODEL["functions"]):
                raise OnnxRefusedError("it has functions")
            if number == MODEL["graph"]:
                _require_plain_graph(data, start, end)


def _require_plain_graph(data: mmap.mmap, start: int, end: int) -> None:
    for number, begin, stop in _fields(data, start, end):
        if number == GRAPH["sparse_initializer"]:
            raise OnnxRefusedError("it has sparse tensors")
        if number == GRAPH["initializer"]:
            _require_own_data(data, begin, stop)
        if number == GRAPH["node"]:
            _require_plain_node(data, begin, stop)


def _require_plain_node(data: mmap.mmap, start: int, end: int) -> None:
    for number, begin, stop in _fields(data, start, end):
        if number == NODE["domain"] and data[begin:stop] not in (b"", b"ai.onnx"):
            raise OnnxRefusedError("it has operators that are not ONNX's own")
        for part, first, last in _fields(data, begin, stop) if number == NODE["attribute"] else ():
            if part in (ATTRIBUTE["t"], ATTRIBUTE["tensors"]):
                _require_own_data(data, first, last)
            elif part in ATTRIBUTE.values():
                raise OnnxRefusedError("it has graphs in its graph, such as loops, or sparse tensors")


def _require_own_data(data: mmap.mmap, start: int, end: int) -> None:
    if any(number in TENSOR.values() for number, *_ in _fields(data, start, end)):
        raise OnnxRefusedError("it reads another file (external data)")


def _fields(data: mmap.mmap, position: int, end: int) -> Iterator[Field]:
    """The fields of the protobuf message between two positions."""
    while position < end:
        tag, position = _varint(data, position)
        number, kind = tag >> 3, tag & 7
        start = position
        if kind == VARINT:
            _, position = _varint(data, position)
        elif kind == LENGTH:
            length, start = _varint(data, position)
            position = start + length
        elif kind in (FIXED32, FIXED64):
            position += 4 if kind == FIXED32 else 8
        else:
            raise ValueError("no protobuf")
        if position > end:
            raise ValueError("cut short")
        yield number, start, position


def _varint(data: mmap.mmap, position: int) -> tuple[int, int]:
    """A number of up to 64 bits, and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("no protobuf")
