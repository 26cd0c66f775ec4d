"""Damaged and made-up recordings: each is read, or refused in one line; nothing crashes, hangs or fills the memory.

They are read in a process of its own, so that a crash of the decoder is a failed test and not the end of all tests.
"""

import math
import resource
import struct
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols import DataError
from sls_plugin.data.audio import read_audio

KINDS = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "adpcm.wav": ("WAV", "MS_ADPCM"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_24"),
    "au": ("AU", "ULAW"),
}
MEMORY = 2 * 2**30  # bytes of address space above what the process starts with
PATIENCE = 30  # seconds

always_the_same = settings(
    max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def limit_memory() -> None:
    n_pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = n_pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def outcome(path: Path) -> str:
    """ "read" or "refused"; else what is wrong with it."""
    try:
        waveform = read_audio(path)
    except DataError as error:
        message = str(error)
        return "refused" if message.startswith(f"{path}: ") and "\n" not in message else f"message: {message!r}"
    except BaseException as error:
        return f"error: {error!r}"
    sound = waveform.dtype == np.float32 and waveform.ndim == 1 and len(waveform) and np.isfinite(waveform).all()
    return "read" if sound else f"waveform: {waveform!r}"


class Decoder:
    """A process that reads recordings; another takes its place when it dies or hangs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pool = self._process()

    def outcome(self, content: bytes, suffix: str) -> str:
        path = self.path.with_suffix(f".{suffix}")
        path.write_bytes(content)
        try:
            return self.pool.submit(outcome, path).result(PATIENCE)
        except (BrokenProcessPool, TimeoutError) as error:
            self.close()
            self.pool = self._process()
            return f"the process died or hung: {error!r}"

    def close(self) -> None:
        for process in self.pool._processes.values():
            process.kill()
        self.pool.shutdown()

    def _process(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, get_context("spawn"), limit_memory)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decoder]:
    decoder = Decoder(tmp_path_factory.mktemp("fuzz") / "a")
    yield decoder
    decoder.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A sound recording of each kind, as bytes."""
    samples = 0.3 * np.random.default_rng(0).standard_normal((3000, 2))
    contents = {}
    for kind, (container, subtype) in KINDS.items():
        path = tmp_path_factory.mktemp("sound") / kind
        soundfile.write(path, samples, 24_000, subtype, format=container)
        contents[kind] = path.read_bytes()
    return contents


EXTREMES = [0, 1, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def edges(n_bytes: int) -> st.SearchStrategy[bytes]:
    """A number that programs stumble over, in a field of a header."""
    numbers = st.sampled_from([number for number in EXTREMES if number < 256**n_bytes])
    return st.builds(int.to_bytes, numbers, st.just(n_bytes), st.sampled_from(["little", "big"]))


field = st.one_of(edges(1), edges(2), edges(4), edges(8), st.binary(min_size=1, max_size=8))
place = st.one_of(st.integers(0, 127), st.floats(0, 1, exclude_max=True))  # a byte of the header, or anywhere
damages = st.lists(
    st.one_of(
        st.tuples(place, field.map(len), field),  # bytes that differ, now and then in number
        st.tuples(place, st.integers(1, 64), st.just(b"")),  # bytes that are missing
        st.tuples(place, st.just(0), st.binary(min_size=1, max_size=64)),  # bytes too many
        st.tuples(place, st.just(10**9), st.just(b"")),  # the end of a truncated file
    ),
    min_size=1, max_size=4,
)  # fmt: skip


def damaged(content: bytes, damage: list[tuple[int | float, int, bytes]]) -> bytes:
    for where, n_missing, inserted in damage:
        start = where if isinstance(where, int) else math.floor(where * len(content))
        content = content[:start] + inserted + content[start + n_missing :]
    return content


@pytest.mark.parametrize("kind", KINDS)
@given(damage=damages)
@always_the_same
def test_damaged_recordings(decoder: Decoder, sound: dict[str, bytes], kind: str, damage: list) -> None:
    assert decoder.outcome(damaged(sound[kind], damage), Path(f"a.{kind}").suffix[1:]) in ("read", "refused")


def test_the_process_separates_good_from_broken(decoder: Decoder, sound: dict[str, bytes]) -> None:
    for kind, content in sound.items():
        suffix = Path(f"a.{kind}").suffix[1:]
        assert decoder.outcome(content, suffix) == "read"
        assert decoder.outcome(content[: len(content) // 2], suffix) == "refused"


# Headers from scratch

sizes = st.one_of(st.integers(0, 3000), st.sampled_from(EXTREMES))
rates = st.one_of(st.sampled_from([1, 8000, 16_000, 44_100, 192_000]), st.integers(0, 2**32 - 1))
shorts = st.one_of(st.integers(0, 16), st.integers(0, 2**16 - 1))
contents = st.binary(max_size=512)


@st.composite
def wavs(draw: st.DrawFn) -> bytes:
    formats = st.sampled_from([1, 2, 3, 6, 7, 0x11, 0x14, 0x31, 0x40, 0x55, 0xFFFE])
    fmt = struct.pack(
        "<HHIIHH", draw(formats), draw(shorts), draw(rates), draw(sizes), draw(shorts), draw(st.one_of(st.just(16), shorts))
    )
    fmt += draw(st.binary(max_size=24))
    data = draw(contents)
    chunks = b"fmt " + struct.pack("<I", draw(st.one_of(st.just(len(fmt)), sizes))) + fmt
    chunks += b"data" + struct.pack("<I", draw(st.one_of(st.just(len(data)), sizes))) + data
    return draw(st.sampled_from([b"RIFF", b"RIFX", b"RF64"])) + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks


@st.composite
def aiffs(draw: st.DrawFn) -> bytes:
    rate = struct.pack(">HQ", draw(st.one_of(st.just(0x400C), shorts)), draw(st.integers(2**63, 2**64 - 1)))  # 80-bit float
    common = struct.pack(">HIH", draw(shorts), draw(sizes), draw(shorts)) + rate
    kind = draw(st.sampled_from([b"AIFF", b"AIFC"]))
    if kind == b"AIFC":
        common += draw(st.sampled_from([b"NONE", b"sowt", b"fl32", b"ulaw", b"ima4", b"GSM ", b"DWVW"])) + bytes(2)
    data = struct.pack(">II", draw(sizes), 0) + draw(contents)
    chunks = b"COMM" + struct.pack(">I", len(common)) + common
    chunks += b"SSND" + struct.pack(">I", draw(st.one_of(st.just(len(data)), sizes))) + data
    return b"FORM" + struct.pack(">I", len(chunks) + 4) + kind + chunks


@st.composite
def aus(draw: st.DrawFn) -> bytes:
    fields = [draw(st.sampled_from([24, 28, 0, 2**31])), draw(sizes), draw(st.integers(0, 30)), draw(rates), draw(shorts)]
    return draw(st.sampled_from([b".snd", b"dns."])) + struct.pack(">IIIII", *fields) + draw(contents)


@st.composite
def flacs(draw: st.DrawFn) -> bytes:
    """RFC 9639, section 8.2: block sizes, frame sizes, rate, channels, bits, length, MD5; then anything."""
    packed = draw(st.integers(0, 2**20 - 1)) << 44 | draw(st.integers(0, 2**8 - 1)) << 36 | draw(st.integers(0, 2**36 - 1))
    info = struct.pack(">HH", draw(shorts), draw(shorts)) + draw(st.binary(min_size=6, max_size=6)) + struct.pack(">Q", packed)
    return b"fLaC\x80\0\0\x22" + info + bytes(16) + draw(contents)


@pytest.mark.parametrize(("suffix", "headers"), [("wav", wavs()), ("aiff", aiffs()), ("au", aus()), ("flac", flacs())])
@given(data=st.data())
@always_the_same
def test_made_up_headers(decoder: Decoder, suffix: str, headers: st.SearchStrategy[bytes], data: st.DataObject) -> None:
    assert decoder.outcome(data.draw(headers), suffix) in ("read", "refused")
