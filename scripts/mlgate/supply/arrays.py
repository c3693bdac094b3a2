"""numpy's own files: a header, then bare numbers, or a pickle where the array holds objects."""

from __future__ import annotations

import ast
import io
import struct
from typing import Any

from mlgate.supply import pickles
from mlgate.supply.limits import LimitError, MalformedError, skip
from mlgate.supply.pickles import Inner, Opener
from mlgate.supply.report import Scan
from mlgate.supply.values import sized

MAGIC = b"\x93NUMPY"
_HEADER = 65_536  # octets; numpy's own limit is 10,000


def look(scan: Scan, file: str, opener: Opener, inner: Inner) -> None:
    """Looks through one .npy file."""
    scan.kind("numpy array")
    try:
        source = opener()
        shape, octets, objects = _header(source)
        if objects:
            pickles.strict(scan, file, lambda: _behind_header(opener), inner)
            return
        for size in shape:
            octets *= size
        skip(source, octets)
        if source.peek(1):
            raise MalformedError("has bytes behind its end")
    except MalformedError as error:
        scan.doubt(file, f"it {error}, so it cannot be vouched for.")
    except LimitError as error:
        scan.limit(file, error)


def _behind_header(opener: Opener) -> io.BufferedReader:
    source = opener()
    _header(source)
    return source


def _header(source: io.BufferedReader) -> tuple[tuple[int, ...], int, bool]:
    """Shape, octets of one item, and whether items are objects."""
    start = source.read(8)
    if len(start) != 8 or not start.startswith(MAGIC) or start[6] not in (1, 2, 3):
        raise MalformedError("is no array of a version of numpy that mlgate knows")
    width = 2 if start[6] == 1 else 4
    (length,) = struct.unpack("<H" if width == 2 else "<I", source.read(width).ljust(width, b"\0"))
    text = source.read(length) if length <= _HEADER else b""
    try:
        header: Any = ast.literal_eval(text.decode("utf-8" if start[6] == 3 else "latin-1").strip())
        descr, shape = header["descr"], header["shape"]
        item = _item(descr, 0)
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise MalformedError("is an array with a header that cannot be read")
    except (ValueError, TypeError, KeyError, SyntaxError, MemoryError, RecursionError):
        raise MalformedError("is an array with a header that cannot be read") from None
    return shape, *item


def _item(descr: Any, depth: int) -> tuple[int, bool]:
    if isinstance(descr, str) and (found := sized(descr)) is not None:
        return found
    if isinstance(descr, tuple) and len(descr) == 2 and isinstance(descr[1], (tuple, int)):
        octets, objects = _item(descr[0], depth + 1)
        for size in descr[1] if isinstance(descr[1], tuple) else (descr[1],):
            octets *= int(size)
        return octets, objects
    if isinstance(descr, list) and depth < 20:
        parts = [_item(tuple(field[1:]) if len(field) == 3 else field[1], depth + 1) for field in descr]
        return sum(octets for octets, _ in parts), any(objects for _, objects in parts)
    raise MalformedError("is an array of a type that mlgate does not know")
