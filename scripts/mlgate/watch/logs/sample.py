"""What keys JSON lines have, and of what kind their values are: from lines all over the files, but not all lines."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlgate.data.reading import sql
from mlgate.watch.logs.nouns import File

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BUDGET = 2**20  # bytes looked at in all
_PIECE = 2**14
_EXACT = 2**53
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[-+]\d\d(:?\d\d)?)?\Z")
_TYPES = {
    "number": "DOUBLE",
    "huge": "HUGEINT",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "moment": "TIMESTAMP",
    "instant": "TIMESTAMP WITH TIME ZONE",
}


@dataclass
class Sampled:
    """Key -> kind of value: number, huge (an integer that a double rounds), boolean, date, moment, instant, text, json,
    or nothing where it was always null."""

    objects: int = 0
    tops: dict[str, Counter[str]] = field(default_factory=dict)
    inner: dict[str, Counter[str]] = field(default_factory=dict)
    encoded: bool = False  # the object of features is a text that holds JSON

    def add(self, line: bytes | str, features: str) -> None:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(found, dict):
            return
        self.objects += 1
        _note(self.tops, found)
        inner = found.get(features)
        if isinstance(inner, str) and inner.lstrip().startswith("{"):
            try:
                inner = json.loads(inner)
            except (ValueError, RecursionError):
                return
            self.encoded = True
        if isinstance(inner, dict):
            _note(self.inner, inner)

    @property
    def top(self) -> dict[str, str]:
        return {key: chosen(kinds) for key, kinds in self.tops.items()}

    @property
    def features(self) -> dict[str, str]:
        return {key: chosen(kinds) for key, kinds in self.inner.items()}


def type_of(kind: str) -> str:
    """The DuckDB type in which values of a kind are read."""
    return _TYPES.get(kind, "VARCHAR")


def look(con: DuckDBPyConnection, files: Sequence[File], features: str) -> Sampled:
    """Lines from all over the files: their beginnings, ends, and places between."""
    found = Sampled()
    some = list(files)[:: max(1, len(files) // 64)]
    if files and some[-1] is not files[-1]:
        some.append(files[-1])
    for one in some:
        for line in _plain(one, _BUDGET // len(some)) if one.packed == "none" else _packed(con, one):
            found.add(line, features)
    return found


def _plain(file: File, budget: int) -> Iterator[bytes]:
    pieces = max(2, budget // _PIECE)
    with file.path.open("rb") as stream:
        if file.size <= pieces * _PIECE:
            yield from stream
            return
        for number in range(pieces):
            at = number * (file.size - _PIECE) // (pieces - 1)
            stream.seek(at)
            lines = stream.read(_PIECE).split(b"\n")
            yield from lines[1 if at else 0 : -1]


def _packed(con: DuckDBPyConnection, file: File) -> Iterator[str]:
    rows = con.execute(
        f"SELECT j FROM read_json({sql.paths([file.path])}, format = 'newline_delimited', records = false, "  # noqa: S608
        f"auto_detect = false, columns = {{j: 'JSON'}}, compression = {sql.text(file.packed)}, "
        "ignore_errors = true, hive_partitioning = false) WHERE j IS NOT NULL LIMIT 5000"
    ).fetchall()
    return (row[0] for row in rows)


def _note(kinds: dict[str, Counter[str]], values: dict[str, Any]) -> None:
    for key, value in values.items():
        kinds.setdefault(key, Counter())[kind(value)] += 1


def kind(value: Any) -> str:
    """What one value is."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "number" if abs(value) <= _EXACT else "huge"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        if _DATE.match(value):
            return "date"
        found = _MOMENT.match(value)
        return "text" if found is None else "instant" if found[3] else "moment"
    return "json"


def chosen(kinds: Counter[str]) -> str:
    """The kind that most values have: a slip does not make a text of a number. Who converts them counts the slips."""
    told = {one: many for one, many in kinds.items() if one}
    if not told:
        return ""
    most = max(told, key=lambda one: (told[one], one))
    return "huge" if most == "number" and "huge" in told else most
