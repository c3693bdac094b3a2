"""The columns of a file as arrays: numbers without gaps, and values as indices into their names."""

# ruff: noqa: S608 -- every name and constant is quoted by `sql`

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlgate.data.aligned.source import RefusedError, Source
from mlgate.data.reading import sql
from mlgate.data.reading.table import Column

if TYPE_CHECKING:
    from mlgate.data.rows import Codes, Floats

NOTHING = '"NULL"'  # the type of a column of Arrow's nulls
_EXACT = 2**53
_SAMPLE = 4_096
_WIDTH = 4  # whole numbers in a range of so many times their count are indexed without sorting


def number(source: Source, column: Column, *, what: str, booleans: bool = False) -> str:
    """SQL: the column as DOUBLE. Raises RefusedError when it holds no numbers; `what` says what they are for."""
    name = sql.name(column.name)
    if column.kind in {"integer", "number"} or column.type == NOTHING:
        return f"CAST({name} AS DOUBLE)"
    if column.kind == "boolean" and booleans:
        return f"CAST(CAST({name} AS TINYINT) AS DOUBLE)"
    source.touch(column)
    if column.kind != "text":
        called = {"boolean": "true and false", "other": f"nested or binary values ({column.type})"}
        said = f"{column.name} holds {called.get(column.kind, f'{column.kind}s')}, where numbers are expected ({what})."
        raise RefusedError(source.finding(said, column=column.name, fix=_nested(column)))
    if source.one(f"count({name})") == 0:
        said = f"{column.name} has no value at all, where numbers are expected ({what})."
        raise RefusedError(source.finding(said, column=column.name))
    wrong = f"{name} IS NOT NULL AND TRY_CAST({name} AS DOUBLE) IS NULL"
    count = source.one(f"count(*) FILTER (WHERE {wrong})")
    if not count:
        said = f"{column.name} is text, where numbers are expected ({what}), although all its values are numbers."
        raise RefusedError(source.finding(said, column=column.name, fix="Write them as numbers."))
    said = f"{column.name} is text, where numbers are expected ({what}): {count:,} of its values are none."
    raise RefusedError(source.finding(said, column=column.name, count=count, examples=_first(source, wrong)))


def _nested(column: Column) -> str:
    if column.kind == "other" and column.type.endswith("]"):
        return "Write one column for each of the values."
    return "Name another column."


def _first(source: Source, condition: str) -> tuple[str, ...]:
    numbered = f"SELECT row_number() OVER () - 1 AS place, {condition} AS wrong FROM {source.table.relation}"
    query = f"SELECT place FROM ({numbered}) WHERE wrong ORDER BY place LIMIT 5"
    return source.ids([row[0] for row in source.con.execute(query).fetchall()]) if source.id in source.columns else ()


def finite(source: Source, column: str, found: Any, *, what: str) -> Floats:
    """The numbers, of which none may be missing, NaN or infinite: else RefusedError with their count."""
    values, absent = split(found)
    values = np.asarray(values, dtype=np.float64)
    if absent is None and np.isfinite(values).all():
        return values
    gone = np.isnan(values) if absent is None else absent | np.isnan(values)
    wrong = gone | np.isinf(values)
    count, missing = int(wrong.sum()), int(gone.sum())
    said = [f"{missing:,} missing or NaN"] if missing else []
    said += [f"{count - missing:,} infinite"] if count > missing else []
    raise RefusedError(
        source.finding(
            f"{column} has no number in {count:,} of {len(values):,} rows ({', '.join(said)}; {what}).",
            column=column,
            count=count,
            rows=list(np.flatnonzero(wrong)[:5]),
        )
    )


def split(found: Any) -> tuple[Any, Any]:
    """Values, and which of them are missing: None where none is."""
    if isinstance(found, np.ma.MaskedArray):
        absent = np.ma.getmaskarray(found)
        return found.data, absent if absent.any() else None
    return found, None


@dataclass(frozen=True)
class Factor:
    """A column as indices into its values' names, which are sorted. -1 where a value is missing."""

    column: Column
    codes: Codes
    names: tuple[str, ...]

    @property
    def absent(self) -> int:
        return int((self.codes < 0).sum())

    @property
    def counts(self) -> list[int]:
        return [int(n) for n in np.bincount(self.codes[self.codes >= 0], minlength=len(self.names))]


def factor_sql(source: Source, column: Column, most: int) -> tuple[str, tuple[str, ...]] | None:
    """SQL that `factor` makes indices of, and the names it needs; None when the column has more than `most` values.

    Raises RefusedError for nested values.
    """
    name = sql.name(column.name)
    if column.kind in {"integer", "number"}:
        return f"CAST({name} AS DOUBLE)", ()
    if column.kind == "boolean":
        return f"CAST({name} AS TINYINT)", ("false", "true")
    if column.type == NOTHING:
        return "CAST(NULL AS TINYINT)", ()
    if column.kind == "other":
        said = f"{column.name} is nested or binary ({column.type}), where each row has one plain value."
        raise RefusedError(source.finding(said, column=column.name, fix="Name another column."))
    names = source.distinct(column, most)
    if names is None:
        return None
    if not names:
        source.touch(column)
        return "CAST(NULL AS TINYINT)", ()
    listed = ", ".join(sql.text(one) for one in names)
    return f"enum_code(CAST(CAST({name} AS VARCHAR) AS ENUM({listed})))", tuple(names)


def factor(column: Column, found: Any, names: tuple[str, ...]) -> Factor:
    """Of what the SQL of `factor_sql` gave."""
    values, absent = split(found)
    if column.kind not in {"integer", "number"}:
        codes = values.astype(np.int32)
        if absent is not None:
            codes[absent] = -1
        return Factor(column, codes, names)
    if values.dtype == np.float64 and np.isnan(values).any():
        absent = np.isnan(values) if absent is None else absent | np.isnan(values)
    present = values if absent is None else values[~absent]
    distinct, codes = indexed(present)
    if absent is not None:
        whole = np.full(len(values), -1, dtype=np.int32)
        whole[~absent] = codes
        codes = whole
    return Factor(column, codes, tuple(number_name(float(value)) for value in distinct))


def indexed(values: Any) -> tuple[Any, Codes]:
    """The distinct values, sorted, and for each row which it is. Few values, and whole numbers, need no sorting."""
    if not len(values):
        return values, np.empty(0, dtype=np.int32)
    few = np.unique(values[:_SAMPLE])
    if len(few) <= 64:
        codes = np.searchsorted(few, values).astype(np.int32)
        np.minimum(codes, len(few) - 1, out=codes)
        if np.array_equal(few[codes], values):
            return few, codes
    least, most = values.min(), values.max()
    if float(most) - float(least) < _WIDTH * len(values) and _integral(values):
        places = (values - least).astype(np.int64)
        there = np.zeros(int(places.max()) + 1, dtype=bool)
        there[places] = True
        rank = np.cumsum(there, dtype=np.int32) - 1
        return np.flatnonzero(there).astype(values.dtype) + least, rank[places].astype(np.int32)
    distinct, codes = np.unique(values, return_inverse=True)
    return distinct, codes.astype(np.int32)


def _integral(values: Any) -> bool:
    return values.dtype.kind in "iu" or bool(np.array_equal(np.trunc(values), values) and np.abs(values).max() < _EXACT)


def number_name(value: float) -> str:
    """3 for 3.0."""
    return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
