# ruff: noqa: S608 -- every name and constant is escaped by `values`
"""The checks that Great Expectations has no word for: kind, newest value, rows apart from another file.

**Kind** is about values, not about how they are stored: 3.0 is an integer, because pandas makes doubles of integers
with gaps, and a timestamp at midnight is a date. CSV has no types: there, anything may be text, and a column that
DuckDB had to read as text holds an integer wherever the text is one. In Parquet and JSON, the text "3" is no integer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlgate.data.engine.plan import ROWS, Plan, Seen, Values
from mlgate.data.engine.rows import row_check
from mlgate.data.engine.values import MOMENTS, Field, Named, Unfit, comparable, find, name

if TYPE_CHECKING:
    from mlgate.data.reading import Table

Kwargs = Mapping[str, Any]

_INTEGER = r"^[+-]?(0|[1-9][0-9]*)$"
_NUMBER = r"^[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
# What a value must be, by the sort of its column and the kind asked for. No entry: no such value is of the kind.
_TYPED: dict[tuple[str, str], str] = {
    ("integer", "integer"): "TRUE",
    ("integer", "number"): "TRUE",
    ("decimal", "integer"): "{x} = floor({x})",
    ("decimal", "number"): "TRUE",
    ("float", "integer"): "isfinite({x}) AND {x} = floor({x})",
    ("float", "number"): "TRUE",
    ("boolean", "boolean"): "TRUE",
    ("text", "text"): "TRUE",
    ("date", "date"): "TRUE",
    ("date", "timestamp"): "TRUE",
    ("timestamp", "timestamp"): "TRUE",
    ("timestamp", "date"): "{x} = date_trunc('day', {x})",
    ("zoned", "timestamp"): "TRUE",
    ("zoned", "date"): "epoch_us({x}) % 86400000000 = 0",
}
_WRITTEN: dict[str, str] = {
    "integer": f"regexp_matches({{x}}, '{_INTEGER}')",
    "number": f"regexp_matches({{x}}, '{_NUMBER}')",
    "boolean": "lower({x}) IN ('true', 'false')",
    "date": "TRY_CAST({x} AS DATE) IS NOT NULL AND regexp_matches({x}, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$')",
    "timestamp": "TRY_CAST({x} AS TIMESTAMP) IS NOT NULL OR TRY_CAST({x} AS TIMESTAMPTZ) IS NOT NULL",
}
KINDS = frozenset({"integer", "number", "text", "boolean", "date", "timestamp"})
# A clock may be a little ahead; and tomorrow has begun somewhere on Earth.
_AHEAD = {"date": timedelta(hours=14), "timestamp": timedelta(minutes=10), "zoned": timedelta(minutes=10)}


def kind(columns: Sequence[Named], kwargs: Kwargs, written: str) -> Plan:
    """`written`: the file's format."""
    left, wanted = find(columns, kwargs["column"]), kwargs["kind"]
    if wanted not in KINDS:
        raise Unfit(f"{wanted!r} is no kind of value. Known: {', '.join(sorted(KINDS))}.")
    condition = _TYPED.get((left.sort, wanted), "FALSE")
    if written == "csv" and wanted == "text":
        condition = "TRUE"
    elif written == "csv" and left.sort == "text":
        condition = _WRITTEN[wanted]
    elif written != "parquet" and wanted == "text" and left.sort in MOMENTS:
        condition = "TRUE"  # JSON has no dates: it was text in the file
    return row_check(left, condition.format(x=left.sql), kwargs)


def newest(columns: Sequence[Named], kwargs: Kwargs, now: datetime) -> Plan:
    """Neither older than max_age seconds nor to come. Without a time zone, values are taken for UTC."""
    left = find(columns, kwargs["column"])
    if left.sort not in MOMENTS:
        raise Unfit(f"{left.name} holds {left.says}, not timestamps, so nothing says how old the data are.")
    present = f"count({left.sql})"
    latest = f"epoch_us(max({left.sql}))"
    age = timedelta(seconds=float(kwargs["max_age"]))

    def judge(values: Values) -> Seen:
        if not values.count(present):
            raise Unfit(f"Every value of {left.name} is missing, so nothing says how old the data are.")
        micros = values[latest]
        if micros is None:
            raise Unfit(f"The newest value of {left.name} is infinite, so nothing says how old the data are.")
        try:
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(micros))
        except OverflowError as error:
            raise Unfit(f"The newest value of {left.name} is beyond the calendar.") from error
        said = moment.date().isoformat() if left.sort == "date" else moment.strftime("%Y-%m-%d %H:%M:%S UTC")
        holds = now - age <= moment <= now + _AHEAD[left.sort]
        return Seen(holds, observed=said, nulls=values.rows - values.count(present))

    return Plan(judge, (ROWS, present, latest))


@dataclass(frozen=True)
class Apart:
    """Two files and the columns by which their rows are told from each other."""

    keys: tuple[tuple[Field, Field], ...]
    other: str  # SQL for FROM

    @property
    def broken(self) -> str:
        """SQL that is true for a row whose key is in the other file. Never for a key with a missing part."""
        one = ", ".join(left.sql for left, _ in self.keys)
        two = ", ".join(right.sql for _, right in self.keys)
        complete = " AND ".join(f"{right.sql} IS NOT NULL" for _, right in self.keys)
        there = " AND ".join(f"{left.sql} IS NOT NULL" for left, _ in self.keys)
        key = f"({one})" if len(self.keys) > 1 else one
        return f"{there} AND {key} IN (SELECT {two} FROM {self.other} WHERE {complete})"

    def lacking(self, side: int) -> str:
        """SQL that is true for a row that lacks a part of its key: of this file (0) or the other (1)."""
        return " OR ".join(f"{pair[side].sql} IS NULL" for pair in self.keys)


def apart(
    table: Table, other: Table, kwargs: Kwargs, ask: Callable[[str], tuple[Any, ...]], view: Callable[[Table], str]
) -> tuple[Seen, Apart, int]:
    """Whether no row of `table` has a key that `other` has; and the number of rows.

    A row without a complete key can be told from nothing: it is counted, and no file with such rows is called apart.
    """
    by = list(kwargs.get("by") or ())
    if not by:
        raise Unfit(f"No columns are named by which rows are told from those of {other.shown}. Set `apart_by`.")
    pairs = [(find(table.columns, key), _of_other(other, key)) for key in by]
    for left, right in pairs:
        if "other" in {left.sort, right.sort}:
            raise Unfit(f"{left.name} holds {left.type}, by which rows cannot be told apart.")
        if not comparable(left, right):
            raise Unfit(
                f"{left.name} holds {left.says} here and {right.says} in {other.shown}: no row could ever be equal."
            )
    both = Apart(tuple(pairs), view(other))
    rows, lacking = ask(f"SELECT count(*), count(*) FILTER (WHERE {both.lacking(0)}) FROM {view(table)}")
    there, lacking_there = ask(f"SELECT count(*), count(*) FILTER (WHERE {both.lacking(1)}) FROM {both.other}")
    if not rows:
        raise Unfit("There are no rows, so nothing could be measured.")
    if not there:
        raise Unfit(f"{other.shown} has no rows, so there is nothing to be apart from.")
    (shared,) = ask(f"SELECT count(*) FROM {view(table)} WHERE {both.broken}")
    if not shared and (lacking or lacking_there):
        named = " and ".join(by)
        counts = [f"{n:,} rows {where}" for n, where in ((lacking, "here"), (lacking_there, f"in {other.shown}")) if n]
        raise Unfit(f"{' and '.join(counts)} lack {named}, so nothing says whether they are the same.")
    return Seen(shared == 0, nulls=lacking, unexpected=shared), both, rows


def _of_other(other: Table, key: str) -> Field:
    try:
        return find(other.columns, key)
    except Unfit as error:
        raise Unfit(f"{other.shown}: {error}") from error


def view(table: Any, *, numbered: bool = False) -> str:
    """SQL for FROM in which NaN is missing, as it is for pandas. With row numbers, if asked."""
    source = table.numbered if numbered else table.relation
    floats = [c for c in table.columns if c.type.upper() in {"FLOAT", "DOUBLE"}]
    if not floats:
        return f"(SELECT * FROM {source})"
    replaced = ", ".join(f"nullif({name(c.name)}, CAST('nan' AS {c.type})) AS {name(c.name)}" for c in floats)
    return f"(SELECT * REPLACE ({replaced}) FROM {source})"
