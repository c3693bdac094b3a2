"""The rows of a query as numpy arrays, some at a time: DuckDB's Arrow stream, read without pyarrow.

The layout is that of the Arrow C stream interface, which is stable:
https://arrow.apache.org/docs/format/CStreamInterface.html. Only what is asked for is read: columns of doubles.
DuckDB's own `fetchnumpy` holds all rows at once; pyarrow would be 150 MB more to install.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class _Array(c.Structure):
    pass


class _Stream(c.Structure):
    pass


_Array._fields_ = [
    ("length", c.c_int64),
    ("null_count", c.c_int64),
    ("offset", c.c_int64),
    ("n_buffers", c.c_int64),
    ("n_children", c.c_int64),
    ("buffers", c.POINTER(c.c_void_p)),
    ("children", c.POINTER(c.POINTER(_Array))),
    ("dictionary", c.POINTER(_Array)),
    ("release", c.c_void_p),
    ("private_data", c.c_void_p),
]
_Stream._fields_ = [
    ("get_schema", c.c_void_p),
    ("get_next", c.CFUNCTYPE(c.c_int, c.POINTER(_Stream), c.POINTER(_Array))),
    ("get_last_error", c.CFUNCTYPE(c.c_char_p, c.POINTER(_Stream))),
    ("release", c.c_void_p),
    ("private_data", c.c_void_p),
]
_RELEASE = c.CFUNCTYPE(None, c.POINTER(_Array))


def doubles(con: DuckDBPyConnection, query: str) -> Iterator[Iterator[tuple[Floats, int]]]:
    """For some rows at a time (131,072 at most): each column's values that are there, and how many are missing.

    Every column of the query must be a DOUBLE. Arrays are copies, the caller's own; those of some rows have to be
    taken before the next rows are. Raises duckdb.Error.
    """
    import duckdb  # noqa: PLC0415

    relation = con.sql(query)
    capsule = relation.__arrow_c_stream__()  # it frees the stream, and so it is held until the end
    stream = _Stream.from_address(_pointer(capsule))
    while True:
        found = _Array()
        if stream.get_next(c.byref(stream), c.byref(found)):
            said = stream.get_last_error(c.byref(stream)) or b"the stream broke off"
            raise duckdb.Error(said.decode("utf-8", "replace"))
        if not found.release:
            return
        try:
            yield (_values(found.children[i].contents) for i in range(found.n_children))
        finally:
            _RELEASE(found.release)(c.byref(found))


def _pointer(capsule: Any) -> int:
    get = c.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = c.c_void_p, [c.py_object, c.c_char_p]
    return int(get(capsule, b"arrow_array_stream"))


def _values(one: Any) -> tuple[Floats, int]:
    import numpy as np  # noqa: PLC0415

    length, offset = one.length, one.offset
    if not length:
        return np.empty(0), 0
    data: Floats = np.frombuffer(
        (c.c_char * (8 * (length + offset))).from_address(one.buffers[1]), dtype=np.float64, offset=8 * offset
    )
    if not one.null_count or not one.buffers[0]:
        return data.copy(), 0
    bits = (c.c_char * (-(-(length + offset) // 8))).from_address(one.buffers[0])
    there = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=length + offset, bitorder="little")[offset:]
    kept: Floats = data[there.view(bool)]
    return kept, length - len(kept)
