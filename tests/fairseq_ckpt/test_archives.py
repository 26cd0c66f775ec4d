"""PyTorch's files that someone changed so that they would give other numbers, take all memory or take hours."""

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from made_checkpoints import aasist_tensors
from safetensors.torch import save_file

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.averaging import average
from fairseq_ckpt.conversion import convert
from fairseq_ckpt.detector import read_detector, read_for_fairseq
from fairseq_ckpt.inspection import inspect
from fairseq_ckpt.reading import _read, open_file, read_checkpoint
from fairseq_ckpt.verification import verify

NOT_AS_WRITTEN = "its archive is not as PyTorch writes them"
DAMAGED = "an archive that is not a checkpoint, or a damaged one"


def refusal(path: Path, use: Callable[[Path], Any] = read_detector) -> str:
    with pytest.raises(CheckpointError) as error:
        use(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message.removeprefix(f"{path}: ")


EVERY_USE = {
    "score": read_detector,
    "fairseq": read_for_fairseq,
    "inspect": inspect,
    "verify": verify,
    "convert": lambda path: convert(path, path.with_name("out"), "fairseq"),
    "average": lambda path: average([path], path.with_name("out")),
}


@pytest.fixture(scope="module")
def members() -> dict[str, bytes]:
    """The members of a good file."""
    file = io.BytesIO()
    torch.save(aasist_tensors(), file)
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def pack(members: dict[str, bytes], tmp_path: Path) -> Callable[..., Path]:
    """An archive of the members, changed, renamed, dropped (None) or added."""

    def write(
        changed: dict[str, bytes | None] | None = None,
        added: dict[str, bytes] | None = None,
        rename: Callable[[str], str] = str,
        compression: int = zipfile.ZIP_STORED,
    ) -> Path:
        changed = {f"archive/{name}": content for name, content in (changed or {}).items()}
        with zipfile.ZipFile(tmp_path / "a.pt", "w", compression) as archive:
            for name, content in (members | changed).items():
                if content is not None:
                    archive.writestr(rename(name), content)
            for name, content in (added or {}).items():
                archive.writestr(name, content)
        return tmp_path / "a.pt"

    return write


def test_the_members_as_they_are(pack: Callable[..., Path]) -> None:
    """What the tests below change."""
    assert len(read_detector(pack()).tensors) == 229


# Archives


@pytest.mark.parametrize("use", EVERY_USE)
def test_compressed_members_would_be_read_as_weights(pack: Callable[..., Path], use: str) -> None:
    """PyTorch maps the file, and takes the compressed bytes for numbers."""
    path = pack(compression=zipfile.ZIP_DEFLATED)
    assert "its archive is compressed, and PyTorch would read other numbers" in refusal(path, EVERY_USE[use])
    read = torch.load(path, weights_only=True, mmap=True)
    assert not torch.equal(read["out_layer.weight"], aasist_tensors()["out_layer.weight"])


@pytest.mark.parametrize("use", EVERY_USE)
def test_a_member_shorter_than_its_tensor(pack: Callable[..., Path], members: dict[str, bytes], use: str) -> None:
    """PyTorch would fill the tensor with the bytes of the next members."""
    path = pack({"data/0": members["archive/data/0"][:1]})
    message = refusal(path, EVERY_USE[use])
    assert message == "a tensor is larger than its part of the archive (data/'0'): fetch the file again"
    torch.load(path, weights_only=True, mmap=True)  # without an error


def test_a_compressed_bomb(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(100_000_000))
    assert (tmp_path / "a.pt").stat().st_size < 200_000
    for use in EVERY_USE.values():
        assert "its archive is compressed" in refusal(tmp_path / "a.pt", use)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"added": {"archive/data.pkl": pickle.dumps({}, 2)}}, NOT_AS_WRITTEN),
        ({"added": {"archive/data/0": b"x" * 1000}}, NOT_AS_WRITTEN),
        ({"added": {"other/data.pkl": b"x"}}, NOT_AS_WRITTEN),
        ({"added": {"../outside": b"x"}}, NOT_AS_WRITTEN),
        ({"added": {"\x1b[2J": b"x"}}, NOT_AS_WRITTEN),
        ({"added": {"/etc/passwd": b"x"}}, NOT_AS_WRITTEN),
        ({"rename": lambda name: f"/{name}"}, DAMAGED),
        ({"rename": lambda name: f"../{name}"}, DAMAGED),
        ({"rename": lambda name: name.replace("/", "\\")}, NOT_AS_WRITTEN),
        ({"rename": str.upper}, DAMAGED),
        ({"changed": {"data/3": None}}, "a tensor is larger than its part"),
        ({"changed": {"data.pkl": None}}, DAMAGED),
        ({"changed": {"version": None}}, DAMAGED),
        ({"changed": {"byteorder": b"middle"}}, DAMAGED),
        ({"changed": {"data.pkl": bytes(20_000_000)}}, "its pickle is larger than 16,000,000 bytes"),
        ({"added": {"archive/constants.pkl": b"x"}}, DAMAGED),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_are_not_as_written(pack: Callable[..., Path], changes: dict, reason: str) -> None:
    path = pack(**changes)
    for use in (read_detector, EVERY_USE["convert"], verify):
        assert reason in refusal(path, use)


@pytest.mark.parametrize(
    ("offset", "field", "value"),
    [
        (8, "<H", 1),  # encrypted
        (10, "<H", 99),  # an unknown compression
        (20, "<II", (2**32 - 2, 2**32 - 2)),  # sizes
        (20, "<II", (2**32 - 1, 2**32 - 1)),  # sizes in an extension that is not there
        (20, "<II", (0, 0)),
        (24, "<I", 7),
        (42, "<I", 0),  # all members begin at the same place
        (42, "<I", 2**32 - 2),
    ],
)
def test_a_directory_that_lies(pack: Callable[..., Path], offset: int, field: str, value: Any) -> None:
    path = pack()
    data = bytearray(path.read_bytes())
    entry = data.find(b"PK\x01\x02")
    while entry >= 0:
        struct.pack_into(field, data, entry + offset, *(value if isinstance(value, tuple) else (value,)))
        entry = data.find(b"PK\x01\x02", entry + 1)
    path.write_bytes(data)
    for use in EVERY_USE.values():
        refusal(path, use)


def test_two_archives_in_one_file(pack: Callable[..., Path]) -> None:
    """A reader that begins at the end sees another archive than one that begins at the start."""
    path = pack()
    content = path.read_bytes()
    path.write_bytes(content * 2)
    assert NOT_AS_WRITTEN in refusal(path)
    path.write_bytes(content[:-2] + struct.pack("<H", 22) + bytes(22))
    assert NOT_AS_WRITTEN in refusal(path)


def test_hundreds_of_thousands_of_members(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        for number in range(70_001):
            archive.writestr(zipfile.ZipInfo(f"archive/data/{number}"), b"")
    assert "70,001 tensors, more than any model has" in refusal(tmp_path / "a.pt")


# Pickles


def short_text(text: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text


def hash_bomb() -> bytes:
    """A dictionary whose key is a tuple of tuples of tuples; its hash would take 2^60 steps."""
    doubled = b"".join(b"h" + bytes([level]) + b"\x86q" + bytes([level + 1]) for level in range(60))
    return b"\x80\x02)q\x00" + doubled + b"}h" + bytes([60]) + b"K\x01s."


def encoding_bomb() -> bytes:
    """A text that hexadecimal digits make twice as long, forty times."""
    text = short_text(b"a")
    for _ in range(40):
        text = b"c_codecs\nencode\n" + text + short_text(b"hex") + b"\x86R"
    return b"\x80\x02" + text + b"."


PICKLES = {
    "hash": (hash_bomb(), "a dictionary in it has keys that are no names"),
    "encoding": (encoding_bomb(), "it encodes text other than as bytes"),
    "bytearray": (b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "would run builtins.bytearray"),
    "bytearray of Python 2": (b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "would run builtins.bytearray"),
    "tensor": (b"\x80\x02ctorch\nTensor\nJ\xff\xff\xff\x7f\x85R.", "would run torch.Tensor"),
    "set": (b"\x80\x02cbuiltins\nset\n])R.", "would run builtins.set"),
    "sparse tensor": (b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\n.", "would run torch._utils._rebuild_sparse_tensor"),
    "nested tensor": (b"\x80\x02ctorch._utils\n_rebuild_nested_tensor\n.", "would run torch._utils._rebuild_nested_tensor"),
    "quantised tensor": (b"\x80\x02ctorch._utils\n_rebuild_qtensor\n.", "would run torch._utils._rebuild_qtensor"),
    "subclass": (b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n.", "would run torch._tensor._rebuild_from_type_v2"),
    "long list": (b"\x80\x02" + b"]" * 1_500_001 + b".", "its pickle has more than 1,500,000 parts"),
    "ordered dictionary": (b"\x80\x02ccollections\nOrderedDict\n]\x85R.", "it calls collections.OrderedDict with arguments"),
    "newer opcodes": (pickle.dumps({"a": 1}, 4), "its pickle uses FRAME"),
    "marks": (b"\x80\x02" + b"(" * 1000 + b".", DAMAGED),
    "empty stack": (b"\x80\x02R.", DAMAGED),
    "no end": (b"\x80\x02]", DAMAGED),
    "no pickle": (b"PyTorch", DAMAGED),
    "range": (b"\x80\x02cbuiltins\nrange\nJ\xff\xff\xff\x7f\x85R.", "would run range"),
    "import of fairseq": (b"\x80\x02cfairseq.utils\nimport_user_module\n.", "would run fairseq.utils.import_user_module"),
    "numpy objects": (b"\x80\x02cnumpy\ndtype\n" + short_text(b"O") + b"K\x00K\x01\x87R.", "not the dictionary of a checkpoint"),
    "number of 5,000 digits": (b"\x80\x02cbuiltins\nint\n" + short_text(b"9" * 5000) + b"\x85R.", DAMAGED),
    "storage": (b"\x80\x02(" + short_text(b"storage") + b"ctorch\nload\n" + short_text(b"0") * 2 + b"K\x01tQ.", DAMAGED),
}  # fmt: skip


@pytest.mark.parametrize("name", PICKLES)
def test_pickles(pack: Callable[..., Path], tmp_path: Path, name: str) -> None:
    content, reason = PICKLES[name]
    assert reason in refusal(pack({"data.pkl": content}))
    header = [torch.serialization.MAGIC_NUMBER, torch.serialization.PROTOCOL_VERSION, {}]
    (tmp_path / "old.pt").write_bytes(b"".join(pickle.dumps(part, 2) for part in header) + content + pickle.dumps([], 2))
    message = refusal(tmp_path / "old.pt")  # as before PyTorch 1.6
    assert reason in message or "not a checkpoint, or cut short" in message


def test_an_old_file_that_promises_more_than_it_holds(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(123_456)}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    content = (tmp_path / "a.pt").read_bytes()
    (tmp_path / "a.pt").write_bytes(content.replace(b"J" + struct.pack("<i", 123_456), b"J" + struct.pack("<i", 2**31 - 1)))
    assert refusal(tmp_path / "a.pt") == "its tensors are larger than the file: fetch it again"


# Safetensors


def test_headers_of_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", 99_000_000) + b"{")
    assert "a header of 99,000,000 bytes, longer than that of any model" in refusal(path)
    for header in (
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}',
        b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}',
        b'{"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,8]}}',
        b'{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}',
        b'{"a":' + b"[" * 100_000,
        b'{"__metadata__":{"cfg":"[1,2"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        b'{"__metadata__":{"cfg":"' + b"[" * 100_000 + b'"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        b'{"__metadata__":{"cfg":"{\\"model\\":' + b"9" * 5000 + b'}"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
    ):
        path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
        assert "not a checkpoint, or cut short" in refusal(path)


# One look


@pytest.mark.parametrize("save", [torch.save, save_file])
def test_a_file_that_is_replaced_after_it_was_opened(tmp_path: Path, save: Callable) -> None:
    path, other = tmp_path / "a.pt", tmp_path / "b.pt"
    save({"first": torch.ones(3)}, path)
    save({"second": torch.ones(3)}, other)
    with open_file(path) as file:
        os.replace(other, path)
        assert _read(file).keys() == {"first"}
    assert read_checkpoint(path).keys() == {"second"}


def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "a.pt")
    monkeypatch.setattr(Path, "is_file", lambda path: True)  # as it was when the path was looked at
    assert "a device or pipe, not a checkpoint" in refusal(tmp_path / "a.pt", read_checkpoint)


def test_the_reason_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"a": torch.ones(3)}, tmp_path / "a.pt")
    for error, reason in (
        (OSError(24, "Too many open files"), "cannot be read (Too many open files): look at its permissions"),
        (RuntimeError("open file failed because of errno 24 on fopen"), "cannot be read (Too many open files)"),
        (MemoryError(), "out of memory: close other programs"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"), "out of memory"),
    ):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(torch, "load", fail)
        assert reason in refusal(tmp_path / "a.pt", read_checkpoint)
