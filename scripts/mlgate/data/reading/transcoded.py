"""Files in another encoding, as UTF-8.

DuckDB reads only part of UTF-16, takes its big-endian form for an empty file, and refuses a part of Latin-1.
"""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.data.reading import head
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BLOCK = 2**22


def utf8(con: DuckDBPyConnection, file: Path, name: str, packed: str, encoding: str) -> Path:
    """A copy in UTF-8, beside what the connection spills. Raises MlgateError when the file is in another encoding."""
    import codecs  # noqa: PLC0415

    if packed == "zstd":
        raise MlgateError(f"is {encoding} and compressed with zstd.", file=name, fix="Unpack it, or save it as UTF-8.")
    folder = con.execute("SELECT current_setting('temp_directory')").fetchall()[0][0]
    decoder = codecs.getincrementaldecoder(encoding)()
    handle, copy = tempfile.mkstemp(suffix=".csv", dir=folder)
    try:
        with os.fdopen(handle, "wb") as target, head.opened(file, packed) as source:
            while block := source.read(_BLOCK):
                target.write(decoder.decode(block).encode())
            target.write(decoder.decode(b"", final=True).encode())
    except UnicodeError as error:
        raise MlgateError(f"is not {encoding} throughout.", file=name, fix="Save it as UTF-8.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise MlgateError("cannot be unpacked: it is truncated.", file=name, fix="Write it anew.") from error
    except OSError as error:
        raise MlgateError(f"cannot be read ({error.strerror or error}).", file=name, fix="Make room.") from error
    return Path(copy)
