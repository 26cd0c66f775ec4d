"""The streams of a sound file: where each begins, and whether its header gives its length.

Files that were joined hold several streams, one after the other, of which decoders read the first. An MP3 file has no length
unless its first frame counts the others; libsndfile then takes an estimate for the end. Where a header counts too little,
libsndfile stops there.
"""

import mmap
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

Bytes = bytes | mmap.mmap

_FLAC_START = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")  # followed by its STREAMINFO
_STREAMINFO, _AFTER_COUNT = 8, 26  # bytes from the start of a stream to its STREAMINFO, and to the end of the count in it
_COUNTS = 2**36  # of samples
_LARGEST_FLAC_FRAME = 2**20  # bytes: 65,535 samples of 8 channels and 16 bits
_LONGEST_FLAC_HEADER = 16  # bytes
# By the codes of a frame header: the samples of the frame, or the bytes after its coded number that hold them; those of the rate.
_BLOCK_SIZES = {1: 192} | {code: 576 << code - 2 for code in range(2, 6)} | {code: 256 << code - 8 for code in range(8, 16)}
_SIZE_BYTES, _RATE_BYTES = {6: 1, 7: 2}, {12: 1, 13: 2, 14: 2}
_OGG_PAGE = re.compile(rb"OggS\x00([\x00-\x07])")
_FIRST_PAGE = 2  # flag of the first page of a stream
_MPEG_SYNC = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")  # of layer III: MPEG 2.5, 2 and 1
_MPEG_1 = 3
_BITRATES = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # kbit/s of MPEG 1
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_COUNT_OF_FRAMES = re.compile(rb"(?:Xing|Info)...[\x01\x03\x05\x07\x09\x0b\x0d\x0f](....)", re.DOTALL)
_MPEG_HEADER = 48  # bytes at most from the start of a frame to the end of this count


@dataclass(frozen=True)
class Stream:
    """A part of a file that decodes by itself, from byte `start` to `end`; `has_length`: its header gives its length.

    `header` are bytes to put before it.
    """

    start: int
    end: int
    has_length: bool = True
    header: bytes = b""


def streams_of(path: str | Path, kind: str) -> list[Stream]:
    """The streams of a sound file of a kind, named as libsndfile does ("FLAC", "OGG", "MP3", "WAV", ...), in order."""
    find, size = _FINDERS.get(kind), os.path.getsize(path)
    if find is None or size == 0:
        return [Stream(0, size)]
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return find(data)


def _flac(data: Bytes) -> list[Stream]:
    streams = _between([match.start() for match in _FLAC_START.finditer(data)], len(data))
    return [_without_low_count(data, stream) for stream in streams]


def _without_low_count(data: Bytes, stream: Stream) -> Stream:
    """The stream; where its header counts fewer samples than there are, with a count of 0, "unknown"."""
    start = _FLAC_START.search(data, stream.start, stream.end)
    if start is None:
        return stream
    info = data[start.start() + _STREAMINFO : start.start() + _AFTER_COUNT]
    block, count = int.from_bytes(info[2:4], "big"), int.from_bytes(info[13:18], "big") % _COUNTS
    if count == 0 or _last_sample(data, start.start() + _AFTER_COUNT, stream.end, block) <= count:
        return stream
    unknown = bytes([info[13] & 0xF0, 0, 0, 0, 0])  # the upper half of this byte belongs to the bits per sample
    border = start.start() + _AFTER_COUNT
    return Stream(border, stream.end, has_length=False, header=data[stream.start : border - len(unknown)] + unknown)


def _last_sample(data: Bytes, begin: int, end: int, block: int) -> int:
    """The number of samples up to the end of the last FLAC frame; 0 where no frame is found near the end."""
    position = end
    while (position := data.rfind(b"\xff", max(begin, end - _LARGEST_FLAC_FRAME), position)) >= 0:
        if n_samples := _frame_end(data[position : position + _LONGEST_FLAC_HEADER], block):
            return n_samples
    return 0


def _frame_end(header: bytes, block: int) -> int:
    """The number of samples up to the end of the FLAC frame with this header; 0 if it is none (RFC 9639, section 9.1).

    All frames but the last have `block` samples, unless the header says that they vary.
    """
    if len(header) < 6 or header[1] & 0xFE != 0xF8 or header[3] & 1:
        return 0
    n_ones = 8 - (header[4] ^ 0xFF).bit_length()  # leading ones: the bytes of the coded number, but none for one byte
    number, n_bytes = header[4] & (0x7F >> n_ones), max(1, n_ones)
    for byte in header[5 : 4 + n_bytes]:
        number = number << 6 | byte & 0x3F
    size_code, rate_code = header[2] >> 4, header[2] & 15
    after_size = 4 + n_bytes + _SIZE_BYTES.get(size_code, 0)
    length = after_size + _RATE_BYTES.get(rate_code, 0)
    if len(header) <= length or _crc8(header[:length]) != header[length]:
        return 0
    n_samples = _BLOCK_SIZES.get(size_code) or int.from_bytes(header[4 + n_bytes : after_size], "big") + 1
    return (number if header[1] & 1 else number * block) + n_samples


def _crc8(data: bytes) -> int:
    """The checksum of FLAC frame headers, of the polynomial x^8 + x^2 + x + 1."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x07 if crc & 0x80 else 0)) & 0xFF
    return crc


def _ogg(data: Bytes) -> list[Stream]:
    """A file may begin with the first pages of several interleaved streams; one that comes later is joined."""
    starts, after_sound = [], True
    for page in _OGG_PAGE.finditer(data):
        is_first = bool(page[1][0] & _FIRST_PAGE) and data[page.start() + 18 : page.start() + 22] == bytes(4)  # page number 0
        if is_first and after_sound:
            starts.append(page.start())
        after_sound = not is_first
    return _between(starts, len(data))


def _between(starts: list[int], end: int) -> list[Stream]:
    """Streams from each start to the next; what precedes the first, such as a tag, is part of it."""
    borders = [0, *starts[1:], end]
    return [Stream(*pair) for pair in pairwise(borders)]


def _mp3(data: Bytes) -> list[Stream]:
    """One stream, whatever it was joined of: MPEG frames need no header. With one that is wrong, it begins after it."""
    frames = _layer_3_frames(data)
    first = next(frames, None)
    if first is None:  # layer I or II, or no sound
        return [Stream(0, len(data), has_length=False)]
    start, size = first
    count = _COUNT_OF_FRAMES.search(data[start : start + min(size, _MPEG_HEADER)])
    if count is None:
        return [Stream(0, len(data), has_length=False)]
    more_than_counted = sum(1 for _ in frames) > int.from_bytes(count[1], "big") + 1
    return [Stream(start + size, len(data), has_length=False) if more_than_counted else Stream(0, len(data))]


def _layer_3_frames(data: Bytes) -> Iterator[tuple[int, int]]:
    """Start and size of every MPEG frame; what lies between them, such as tags, is passed over."""
    position = _after_tag(data)
    while sync := _MPEG_SYNC.search(data, position):
        start = sync.start()
        size = _layer_3_size(data[start : start + 4])
        # After a gap, two bytes that look like a frame count only if a frame follows.
        if size and (start == position or _layer_3_size(data[start + size : start + size + 4])):
            yield start, size
            position = start + size
        else:
            position = start + 1


def _after_tag(data: Bytes) -> int:
    """The end of an ID3v2 tag at the beginning."""
    if data[:3] != b"ID3":
        return 0
    size = 0
    for byte in data[6:10]:
        size = 128 * size + (byte & 127)
    return 10 + size


def _layer_3_size(header: bytes) -> int:
    """The bytes of the frame with this header; 0 if it is none (ISO 11172-3, section 2.4.1.3)."""
    if len(header) < 4 or not _MPEG_SYNC.match(header):
        return 0
    version, bitrate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if bitrate in (0, 15) or rate == 3:
        return 0
    is_1 = version == _MPEG_1
    samples_in_bytes = 144 if is_1 else 72
    return samples_in_bytes * 1000 * _BITRATES[is_1][bitrate] // _SAMPLE_RATES[version][rate] + (header[2] >> 1 & 1)


_FINDERS = {"FLAC": _flac, "OGG": _ogg, "MP3": _mp3}
