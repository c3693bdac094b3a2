"""Streams that are compressed as joblib compresses them: zlib, gzip, bz2, lzma, xz and lz4. Read piece by piece."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import cast

from mlgate.supply.limits import MIB, Budget, MalformedError, metered

_LZ4 = b"\x04\x22\x4d\x18"


def codec(head: bytes) -> str:
    """By the first bytes, as joblib does; empty for none."""
    if head[:1] == b"\x78" and len(head) > 1 and int.from_bytes(head[:2], "big") % 31 == 0:
        return "zlib"
    for prefix, name in (
        (b"\x1f\x8b", "gzip"),
        (b"BZh", "bz2"),
        (b"\xfd7zXZ", "xz"),
        (b"\x5d\x00", "lzma"),
        (_LZ4, "lz4"),
    ):
        if head.startswith(prefix):
            return name
    return ""


def opened(source: io.BufferedReader, name: str, budget: Budget) -> io.BufferedReader:
    """What the compressed stream holds."""
    inner: io.RawIOBase | io.BufferedIOBase
    if name == "gzip":
        inner = gzip.GzipFile(fileobj=source)
    elif name == "bz2":
        inner = bz2.BZ2File(source)
    elif name in ("xz", "lzma"):
        form = lzma.FORMAT_XZ if name == "xz" else lzma.FORMAT_ALONE
        inner = cast("io.BufferedIOBase", lzma.LZMAFile(source, format=form))  # noqa: SIM115
    else:
        inner = _Pieces(_zlib(source) if name == "zlib" else _lz4(source))
    return metered(inner, budget, f"{name} data")


class _Pieces(io.RawIOBase):
    """A file over an iterator of pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def _zlib(source: io.BufferedReader) -> Iterator[bytes]:
    while True:  # joblib reads members one after the other
        inflate = zlib.decompressobj()
        waiting = b""
        while not inflate.eof:
            waiting = waiting or source.read(MIB)
            if not waiting:
                raise MalformedError("ends too soon")
            yield inflate.decompress(waiting, MIB)
            waiting = inflate.unconsumed_tail
        rest = inflate.unused_data
        if not rest and not source.peek(1):
            return
        if rest:
            # What is left of the piece goes first.
            source = io.BufferedReader(_Pieces(chain((rest,), iter(partial(source.read, MIB), b""))))


def _lz4(source: io.BufferedReader) -> Iterator[bytes]:
    """Frames of blocks, each of literals and of copies out of the last 64 KiB."""
    while source.peek(1):
        magic = _take(source, 4)
        if 0x184D2A50 <= int.from_bytes(magic, "little") <= 0x184D2A5F:  # a frame to be skipped
            _take(source, struct.unpack("<I", _take(source, 4))[0])
            continue
        if magic != _LZ4:
            raise MalformedError("has bytes after its last lz4 frame")
        yield from _lz4_frame(source)


def _lz4_frame(source: io.BufferedReader) -> Iterator[bytes]:
    flags, block = _take(source, 2)
    if flags >> 6 != 1 or flags & 1:
        raise MalformedError("is of an lz4 version or with a dictionary that mlgate does not read")
    _take(source, (8 if flags & 8 else 0) + 1)
    largest = 1 << (8 + 2 * (block >> 4 & 7))
    window = b""
    while (size := struct.unpack("<I", _take(source, 4))[0]) != 0:
        plain, size = size >> 31, size & 0x7FFFFFFF
        if size > largest:
            raise MalformedError("has an lz4 block larger than it says")
        data = _take(source, size)
        if flags & 16:
            _take(source, 4)
        if not plain:
            data = _lz4_block(data, window, largest)
        yield data
        window = b"" if flags & 32 else (window + data)[-65536:]
    if flags & 4:
        _take(source, 4)


def _lz4_block(data: bytes, window: bytes, largest: int) -> bytes:
    out = bytearray(window)
    at, end, most = 0, len(data), len(window) + largest
    try:
        while at < end:
            token = data[at]
            at += 1
            size = token >> 4
            if size == 15:
                at, size = _lz4_more(data, at, size)
            if at + size > end:
                raise MalformedError("is broken lz4 data")
            out += data[at : at + size]
            at += size
            if at == end:
                break
            back = data[at] | data[at + 1] << 8
            at += 2
            size = token & 15
            if size == 15:
                at, size = _lz4_more(data, at, size)
            size += 4
            if not 0 < back <= len(out) or len(out) + size > most:
                raise MalformedError("is broken lz4 data")
            if back >= size:
                start = len(out) - back
                out += out[start : start + size]
            else:
                piece = bytes(out[-back:])
                out += (piece * (size // back + 1))[:size]
    except IndexError:
        raise MalformedError("is broken lz4 data") from None
    return bytes(out[len(window) :])


def _lz4_more(data: bytes, at: int, size: int) -> tuple[int, int]:
    while True:
        more = data[at]
        at += 1
        size += more
        if more != 255:
            return at, size


def _take(source: io.BufferedReader, size: int) -> bytes:
    data = source.read(size)
    if len(data) != size:
        raise MalformedError("ends too soon")
    return data
