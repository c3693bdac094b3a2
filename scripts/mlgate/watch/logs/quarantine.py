"""Lines that are no JSON objects: counted, told apart from lines of something else, and kept for people to look at."""

# ruff: noqa: S608 -- every path and constant is quoted by `sql`

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.data.reading import sql
from mlgate.errors import MlgateError
from mlgate.watch.logs.nouns import File

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FOLDER = ".mlgate/quarantine"
_MOST = 10_000  # lines that are kept; the logs themselves have them all
_LONG = 2**16  # characters kept of one line


@dataclass(frozen=True)
class Bad:
    """Lines of one file that are no JSON objects: which of its lines that are not blank, counted from 0."""

    file: File
    lines: tuple[int, ...]
    unfinished: bool  # the last of them is the file's last line, and has no end


def bad_lines(con: DuckDBPyConnection, files: Sequence[File]) -> list[Bad]:
    """Reads the files again, and looks at nothing but whether each line is an object."""
    found = []
    for file in files:
        rows = con.execute(
            "SELECT n FROM (SELECT bad, row_number() OVER () - 1 AS n FROM "
            "(SELECT j IS NULL OR NOT starts_with(ltrim(j, E' \\t\\r\\n'), '{') AS bad FROM "  # what is read is JSON
            f"read_json({sql.paths([file.path])}, format = 'newline_delimited', records = false, auto_detect = false, "
            f"ignore_errors = true, columns = {{j: 'JSON'}}, compression = {sql.text(file.packed)}, "
            "maximum_object_size = 16777216, hive_partitioning = false))) WHERE bad ORDER BY n"
        ).fetchall()
        if rows:
            found.append(Bad(file, tuple(n for (n,) in rows), _unfinished(file)))
    return found


def _unfinished(file: File) -> bool:
    """Whether the last line has neither an end nor a whole object."""
    if file.packed != "none":
        return False
    with file.path.open("rb") as stream:
        tail = b""
        at = stream.seek(0, os.SEEK_END)
        while at and b"\n" not in tail:
            step = min(at, 2**16)
            at -= step
            stream.seek(at)
            tail = stream.read(step) + tail
    last = tail.rpartition(b"\n")[2]
    if not last.strip():
        return False
    try:
        return not isinstance(json.loads(last), dict)
    except (ValueError, RecursionError):
        return True


def write(root: Path, name: str, several: Sequence[Bad], more: Iterable[tuple[str, int, str]] = ()) -> Path:
    """The lines as they are, each with its file and number, in a file that only its owner can read.

    `more` are lines that somebody else found, in this form.
    """
    folder = root / FOLDER
    path = folder / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")  # nobody is to commit what people said
        handle, tmp = tempfile.mkstemp(prefix=".tmp.", dir=folder)  # only its owner can read it
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                for number, (file, at, line) in enumerate(chain(_texts(several), more)):
                    if number == _MOST:
                        break
                    text = line.decode("utf-8", "backslashreplace") if isinstance(line, bytes) else line
                    stream.write(json.dumps({"file": file, "line": at, "text": text[:_LONG]}) + "\n")
            os.replace(tmp, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(tmp)
            raise
    except OSError as error:
        raise MlgateError(f"cannot be written ({error.strerror}).", file=f"{FOLDER}/{path.name}") from error
    return path


def _texts(several: Sequence[Bad]) -> Iterator[tuple[str, int, str | bytes]]:
    for bad in several:
        wanted = iter(bad.lines)
        nth, seen = next(wanted, None), 0
        for number, line in enumerate(_lines(bad.file), 1):
            if nth is None:
                break
            if not line.strip(b" \t\r\n"):
                continue
            if seen == nth:
                yield bad.file.shown, number, line.rstrip(b"\r\n")
                nth = next(wanted, None)
            seen += 1


def _lines(file: File) -> Iterator[bytes]:
    if file.packed == "zstd":
        return  # they are counted; nothing here can unpack them line by line
    if file.packed == "gzip":
        import gzip  # noqa: PLC0415

        with gzip.open(file.path) as stream:
            yield from stream
        return
    with file.path.open("rb") as plain:
        yield from plain
