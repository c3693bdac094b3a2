"""The beginning of a file, before DuckDB sees it: what its bytes say it is, and a CSV file's header."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from pathlib import Path
from typing import IO, cast

from mlgate.config.settings import Read
from mlgate.data.reading.paths import ENDINGS, ending
from mlgate.data.reading.table import Format
from mlgate.errors import MlgateError

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PAR1": "Parquet",
    b"PARE": "encrypted Parquet",
    b"PK\x03\x04": "a zip archive",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"ARROW1": "an Arrow file",
    b"\x89HDF": "HDF5",
    b"SQLite format 3": "SQLite",
}
_PACKED = {".gz": "gzip", ".zst": "zstd"}
_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_QUOTED = {"\t": '"\\t"'}  # as YAML writes it
_FORMAT = "Let it end in .csv, .parquet or .jsonl, or say so beside its path in mlgate.yaml: `read: {format: csv}`."
_BLOCK = 2**18
_MOST = 2**26  # a header is not longer
DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}


def format_of(file: Path, name: str, read: Read) -> Format:
    """What it is read as. Raises MlgateError when neither the configuration nor its name says."""
    found = read.format or ENDINGS.get(ending(file))
    if found is None:
        raise MlgateError("does not say by its name what format it has.", file=name, fix=_FORMAT)
    return found  # type: ignore[return-value]


def compression(file: Path, name: str, format_: Format) -> str:
    """`none`, `gzip` or `zstd`; DuckDB is told, and guesses nothing.

    Raises MlgateError for an empty file, one that cannot be opened, and one that is not what its name says.
    """
    start = _start(file, name)
    if not start:
        raise MlgateError("is empty.", file=name, fix="A data file has at least a header.")
    is_ = next((what for magic, what in _MAGIC.items() if start.startswith(magic)), "")
    says = _PACKED.get(file.suffix.lower(), "")
    if format_ == "parquet":
        return _parquet(is_, says, name)
    if is_ == says:
        if not is_:
            _ends(file, name)
        return is_ or "none"
    if is_ in {"gzip", "zstd"}:
        ends = next(suffix for suffix, what in _PACKED.items() if what == is_)
        raise MlgateError(
            f"is compressed with {is_}, which its name does not say.", file=name, fix=f"Let its name end in {ends}."
        )
    if is_:
        raise MlgateError(f"is {is_}, not {CALLED[format_]}.", file=name, fix="Give the file the ending it needs.")
    raise MlgateError(
        f"is not compressed with {says}, as its name says.", file=name, fix=f"Remove {file.suffix} from its name."
    )


def _ends(file: Path, name: str) -> None:
    """What a machine that broke down in the middle of writing leaves at the end of a file."""
    with file.open("rb") as stream:
        stream.seek(-min(file.stat().st_size, 8), 2)
        if not stream.read().strip(b"\0"):
            raise MlgateError("ends in NUL bytes.", file=name, fix="It was not written to its end: write it anew.")


CALLED = {"csv": "CSV", "jsonl": "JSON lines", "parquet": "Parquet"}


def _parquet(is_: str, says: str, name: str) -> str:
    if is_ == "encrypted Parquet":
        raise MlgateError("is encrypted.", file=name, fix="Decrypt it: mlgate has no keys.")
    if is_ != "Parquet" or says:
        found = f"is {is_}, not Parquet." if is_ else "is not Parquet: it does not begin as such a file does."
        raise MlgateError(found, file=name, fix="Write it anew, or name its format: `read: {format: csv}`.")
    return "none"


def _start(file: Path, name: str) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(16)
    except OSError as error:
        raise MlgateError(
            f"cannot be read ({error.strerror or error}).", file=name, fix="Check its permissions."
        ) from error


def header(file: Path, name: str, read: Read, packed: str, lines: IO[bytes] | None = None) -> list[str]:
    """The columns of a CSV file, in order; those without a name are called as pandas calls them.

    `lines` is the beginning of a file that Python cannot unpack. Raises MlgateError.
    """
    try:
        record = _record(lines or opened(file, packed), name, read)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise MlgateError(
            f"cannot be unpacked: it is truncated or not {packed} throughout.", file=name, fix="Write it anew."
        ) from error
    if not read.header:
        return [f"column{place}" for place in range(len(record))]
    if read.delimiter is None and len(record) == 1:
        found = next((d for d in DELIMITERS if d in record[0] and d != delimiter(file, read)), "")
        if found:
            raise MlgateError(
                f"has one column, {record[0][:60]!r}: its values are separated by {DELIMITERS[found]}.",
                file=name,
                line=1,
                fix=f"Say so beside its path in mlgate.yaml: `read: {{delimiter: {_QUOTED.get(found, repr(found))}}}`.",
            )
    return [title or f"Unnamed: {place}" for place, title in enumerate(record)]


def delimiter(file: Path, read: Read) -> str:
    return read.delimiter or ("\t" if ending(file) == ".tsv" else ",")


def opened(file: Path, packed: str) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(file)) if packed == "gzip" else file.open("rb")


def _record(stream: IO[bytes], name: str, read: Read) -> list[str]:
    """The first record."""
    data, size = b"", _BLOCK
    with stream:
        while True:
            block = stream.read(size - len(data))
            data += block
            whole = len(block) == 0
            text = _decoded(data, name, read, whole=whole)
            found = _first(text, name, Path(name), read, whole=whole)
            if found is not None:
                return found
            if size >= _MOST:
                raise MlgateError(
                    "has a header that does not end.", file=name, line=1, fix="Look for a quote that is never closed."
                )
            size *= 4


def _decoded(data: bytes, name: str, read: Read, *, whole: bool) -> str:
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    if mark and _MARKS[mark] != read.encoding:
        if _MARKS[mark] == "utf-16":
            raise MlgateError("is UTF-16.", file=name, fix="Say so: `read: {encoding: utf-16}`, or save it as UTF-8.")
        raise MlgateError(f"is UTF-8, not {read.encoding}.", file=name, fix="Remove `encoding:` from `read:`.")
    if read.encoding != "utf-16" and b"\0" in data:
        raise MlgateError(
            "has NUL bytes.", file=name, line=data[: data.index(b"\0")].count(b"\n") + 1, fix="Write it anew as text."
        )
    if read.encoding == "utf-16" and not mark:
        raise MlgateError("is not utf-16: it has no byte order mark.", file=name, fix="Save it as UTF-8.")
    codec = "utf-8-sig" if read.encoding == "utf-8" else read.encoding
    return codecs.getincrementaldecoder(codec)("replace").decode(data, final=whole)


def _first(text: str, name: str, file: Path, read: Read, *, whole: bool) -> list[str] | None:
    """The first record of a text that may be cut off; None when more of it is needed."""
    if text[:1] in {"\n", "\r"} or (whole and not text.strip()):
        raise MlgateError("begins with an empty line.", file=name, line=1, fix="Begin with the header.")
    stream = io.StringIO(text, newline="")
    rows = csv.reader(stream, delimiter=delimiter(file, read), quotechar=read.quote or '"', strict=True)
    try:
        record = next(rows)
    except csv.Error as error:
        if whole or "limit" in str(error):
            raise MlgateError(
                "has a header that is no CSV.", file=name, line=1, fix="Look for a quote that is never closed."
            ) from error
        return None
    ended = stream.tell() < len(text) or text.endswith(("\n", "\r"))
    if not (whole or ended):
        return None
    if any("\ufffd" in title for title in record):
        raise MlgateError(
            f"is not {read.encoding}: a column's name cannot be read.",
            file=name,
            line=1,
            fix="Save it as UTF-8, or name its encoding: `read: {encoding: latin-1}`.",
        )
    return record
