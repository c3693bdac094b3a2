"""JSON lines: one object a line, whose keys are the columns. A key that a line lacks is a missing value.

All lines are read once to find the keys and the kinds of their values, so that a key of the last line is not lost. Text
may be dates and times, as in CSV; a column of both text and numbers is text; lists and objects are kept as they are.
"""

# ruff: noqa: S608 -- every name, path and constant is quoted by `sql`

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate.data.reading import columns, head, rungs, sql, troubles
from mlgate.data.reading.table import Table
from mlgate.data.reading.typed import Group, Typed
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_LARGEST = 2**29  # bytes of one line
_LINES = 'Write one object per line, as pandas does with `to_json(orient="records", lines=True)`.'
_GIVEN = {"BOOLEAN": "BOOLEAN", "BIGINT": "BIGINT"}
_WHOLE = {"UBIGINT", "HUGEINT"}


def opened(con: DuckDBPyConnection, names: Mapping[Path, str], shown: str, packed: Sequence[str]) -> Table:
    """Raises MlgateError for files that are not JSON lines."""
    import duckdb  # noqa: PLC0415

    groups: dict[str, list[Path]] = {}
    for file, how in zip(names, packed, strict=True):
        _begins(file, names[file], how)
        groups.setdefault(how, []).append(file)
    largest = 2**24
    while True:
        try:
            found = [_keys(con, files, names, how, largest) for how, files in groups.items()]
            break
        except duckdb.Error as error:
            if "maximum_object_size" in str(error) and largest < _LARGEST:
                largest = _LARGEST
                continue
            raise _explained(error, names, shown, packed) from error
    keys: dict[str, Any] = {}
    for one in found:
        for key, kind in one.items():
            keys[key] = kind if keys.get(key, kind) == kind else _both(keys[key], kind)
    if not keys:
        raise MlgateError("has no columns: its objects are empty.", file=shown, fix="Write the file anew.")
    columns.check(list(keys), shown)
    asked = {key: _asked(kind) for key, kind in keys.items()}
    typed = Typed(
        shown=shown,
        names=names,
        format="jsonl",
        columns=tuple(keys),
        groups=tuple(_group(files, asked, how, largest) for how, files in groups.items()),
        allowed=tuple(bits for _, bits in asked.values()),
        given={place: type_ for place, (type_, bits) in enumerate(asked.values()) if not bits},
        explain=lambda typed, error: _explained(error, typed.names, typed.shown, packed),
    )
    return typed.opened(con)


def _asked(kind: Any) -> tuple[str, int]:
    """The type to read a column in, and what its text may turn out to be; nothing when that is already known."""
    if isinstance(kind, (dict, list)):
        return "JSON", 0
    if kind in _GIVEN:
        return _GIVEN[kind], 0
    if kind in _WHOLE:
        return "VARCHAR", 2 | 4 | 8  # small enough for BIGINT, mostly
    return "VARCHAR", {"DOUBLE": 2 | 4 | 8, "VARCHAR": rungs.MOMENTS}.get(kind, 0)


def _both(one: Any, other: Any) -> Any:
    if "NULL" in (one, other):
        return other if one == "NULL" else one
    numbers = {"BIGINT", "UBIGINT", "HUGEINT", "DOUBLE"}
    return "DOUBLE" if isinstance(one, str) and isinstance(other, str) and {one, other} <= numbers else "JSON"


def _keys(con: DuckDBPyConnection, files: list[Path], names: Mapping[Path, str], how: str, largest: int) -> Any:
    """Key -> kind of its values: a type's name, or a list or dict. Raises MlgateError for lines that are no objects."""
    row = con.execute(
        "SELECT json_group_structure(j), count(*) FILTER (j IS NULL OR json_type(j) <> 'OBJECT') "
        f"FROM read_json({sql.paths(files)}, format = 'newline_delimited', records = false, auto_detect = false, "
        f"columns = {{j: 'JSON'}}, compression = {sql.text(how)}, maximum_object_size = {largest}, "
        "hive_partitioning = false)"
    ).fetchall()[0]
    if row[1]:
        for file in files:
            for at, line in _lines(file, how):
                if line.strip() and not line.lstrip().startswith(b"{"):
                    raise MlgateError("holds no JSON object.", file=names[file], line=at, fix=_LINES)
        raise MlgateError("has lines that hold no JSON object.", file=names[files[0]], fix=_LINES)
    found = json.loads(row[0]) if row[0] else {}
    return found if isinstance(found, dict) else {}


def _group(files: list[Path], asked: Mapping[str, tuple[str, int]], how: str, largest: int) -> Group:
    types = ", ".join(f"{sql.name(key)}: {sql.text(type_)}" for key, (type_, _) in asked.items())
    return Group(
        files=tuple(files),
        selected=tuple(map(sql.name, asked)),
        function="read_json",
        options=(
            f"format = 'newline_delimited', records = true, auto_detect = false, columns = {{{types}}}, "
            f"compression = {sql.text(how)}, maximum_object_size = {largest}, hive_partitioning = false"
        ),
    )


def _begins(file: Path, name: str, how: str) -> None:
    if how == "zstd":
        return
    with head.opened(file, how) as stream:
        start = stream.read(2**16)
    if start.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        raise MlgateError("begins with a byte order mark.", file=name, line=1, fix="Save it as UTF-8 without one.")
    if start.lstrip()[:1] == b"[":
        raise MlgateError("is a JSON array, not JSON lines.", file=name, line=1, fix=_LINES)


def _lines(file: Path, how: str) -> Iterator[tuple[int, bytes]]:
    if how != "zstd":
        with head.opened(file, how) as stream:
            yield from enumerate(stream, 1)


def _explained(error: Exception, names: Mapping[Path, str], shown: str, packed: Sequence[str]) -> MlgateError:
    name = troubles.named(error, names, shown)
    said = str(error)
    if "duplicate key" in said:
        return MlgateError("has an object with the same key twice.", file=name, fix="Keep one of them.")
    if "Malformed JSON" in said or "JSON transform error" in said:
        for (file, called), how in zip(names.items(), packed, strict=True):
            for at, line in _lines(file, how) if name in (called, shown) else ():
                try:
                    json.loads(line) if line.strip() else None
                except (ValueError, RecursionError):
                    return MlgateError("is no JSON.", file=called, line=at, fix=_LINES)
        return MlgateError("has a line that is no JSON.", file=name, fix=_LINES)
    if "maximum_object_size" in said:
        return MlgateError(f"has a line of more than {_LARGEST:,} bytes.", file=name, fix="Keep such values elsewhere.")
    return troubles.unreadable(error, name)
