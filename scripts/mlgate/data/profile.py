"""A contract proposed from a reference file: what the data show, rounded outward, with where each number comes from.

The file keeps its own proposal. What is proposed is meant to hold for the next file of the kind, too: ranges end at
round numbers, identifiers and dates are not bounded above, and what looks like chance (unique values in a column that
is no identifier, rare texts) becomes no rule.
"""

# ruff: noqa: S608 -- every name is quoted by `sql`

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from mlgate.data import reading
from mlgate.data.reading import sql
from mlgate.data.reading.table import Column, Table
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

T = TypeVar("T")

SET = 20  # at most so many different texts are a set
_LARGEST = 28  # the power of ten of the largest number proposed
_SHARES = (1, 2, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90)  # of missing values, in %
_AT_A_TIME = 500  # columns in one pass over the file
_IDENTIFIER = re.compile(r"(^|[_\W])(id|uuid|guid|key)$|[a-z]I[dD]$", re.IGNORECASE)
_PRIVATE = re.compile(r"e-?mail|phone|passw|iban|(^|_)ssn($|_)|(^|_)(first|last|sur|family)_?name($|_)", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*( [A-Za-z0-9_]+)*")
_WORDS = frozenset(["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "none"])


@dataclass(frozen=True)
class Seen:
    """What one column holds. `values` leaves out missing ones and NaN; `texts` is None where there are too many."""

    column: Column
    rows: int
    values: int
    distinct: int  # about
    least: Any = None  # numbers as Decimal, days as date, texts by their length
    most: Any = None
    mean: float | None = None
    spread: float | None = None
    texts: tuple[str, ...] | None = None
    unique: bool = False

    @property
    def identifier(self) -> bool:
        return _IDENTIFIER.search(self.column.name) is not None


def propose(con: DuckDBPyConnection, table: Table, *, name: str) -> str:
    """A contract in the shorter spelling, as YAML. `name` is what the file is called.

    Reads the file once, and once more for sets and identifiers. Raises MlgateError for a file that cannot be read, and
    for one without rows.
    """
    columns = _read(con, table, seen)
    if not columns or not columns[0].rows:
        raise MlgateError("has no rows, so there is nothing to propose.", file=name, fix="Take a file with data.")
    return "".join(f"{line}\n" for line in lines(columns, name))


def _read(con: DuckDBPyConnection, table: Table, work: Callable[[DuckDBPyConnection, Table], T]) -> T:
    import duckdb  # noqa: PLC0415

    while True:
        try:
            return work(con, table)
        except duckdb.Error as error:
            table = reading.recover(con, table, error)


# -- what the file holds ---------------------------------------------------------------------------------------------


def seen(con: DuckDBPyConnection, table: Table) -> list[Seen]:
    """Each column of the table. Raises duckdb.Error."""
    found: list[Seen] = []
    for at in range(0, len(table.columns), _AT_A_TIME):
        some = table.columns[at : at + _AT_A_TIME]
        first = _one(con, table, [part for column in some for part in _first(column)])
        rows = first[0]
        found += [_seen(column, rows, first[1 + 7 * i : 8 + 7 * i]) for i, column in enumerate(some)]
    return _exactly(con, table, found)


def _one(con: DuckDBPyConnection, table: Table, wanted: Sequence[str]) -> tuple[Any, ...]:
    rows: list[tuple[Any, ...]] = con.execute(
        f"SELECT count(*)::BIGINT, {', '.join(wanted)} FROM {table.relation}"
    ).fetchall()
    return rows[0]


def _first(column: Column) -> Iterator[str]:
    """SQL: values, distinct values, least, most, mean, spread, and whether all are finite."""
    value = sql.name(column.name)
    if column.type in {"FLOAT", "DOUBLE"}:
        value = f"CASE WHEN NOT isnan({value}) THEN {value} END"
    yield f"count({value})::BIGINT"
    if column.kind == "other":
        yield from ["0"] + ["NULL"] * 5
        return
    yield f"approx_count_distinct({value})::BIGINT"
    number = column.kind in {"integer", "number"}
    limit = {"text": f"length({value}::VARCHAR)", "boolean": f"{value}::INTEGER"}.get(column.kind, value)
    yield from (f"{which}({limit})::VARCHAR" for which in ("min", "max"))
    if not number:
        yield from ["NULL"] * 3
        return
    finite = f"{value}::DOUBLE"
    all_finite = f"bool_and(isfinite({finite}))"
    finite = f"CASE WHEN isfinite({finite}) THEN {finite} END"
    # Values whose squares no double holds have no spread: scaled down, they would have one that no contract could name.
    small = f"CASE WHEN abs({finite}) < 1e150 THEN {finite} END"
    yield f"avg({small})"
    yield f"stddev_samp({small})"
    yield f"{all_finite} AND max(abs({finite})) < 1e150"


def _seen(column: Column, rows: int, found: Sequence[Any]) -> Seen:
    values, distinct, least, most, mean, spread, plain = found
    if not values or column.kind in {"boolean", "other"}:
        least = most = None
    elif column.kind in {"integer", "number"}:
        least, most = (Decimal(least), Decimal(most)) if plain else (None, None)
    elif column.kind == "text":
        least, most = int(least), int(most)
    else:
        least, most = _day(least), _day(most)
    return Seen(column, rows, values, distinct, least, most, mean if plain else None, spread if plain else None)


def _day(text: str) -> date | None:
    """Of a date or time as DuckDB writes it; None for infinities and years before 1 or after 9999."""
    found = re.match(r"(\d{4})-(\d{2})-(\d{2})(?!.*BC)", text)
    return date(int(found[1]), int(found[2]), int(found[3])) if found else None


def _exactly(con: DuckDBPyConnection, table: Table, found: list[Seen]) -> list[Seen]:
    """The same with the sets of texts and the unique identifiers: counted, not estimated."""
    wanted: dict[str, str] = {}
    for one in found:
        name = sql.name(one.column.name)
        if one.column.kind == "text" and one.distinct <= 2 * SET and one.values >= 5 * one.distinct:
            wanted[one.column.name] = f"list(DISTINCT {name}::VARCHAR)"
        elif one.identifier and one.values == one.rows >= SET and one.distinct > one.rows * 0.8:
            wanted[one.column.name] = f"count(DISTINCT {name})"
    if not wanted:
        return found
    counted = dict(zip(wanted, _one(con, table, list(wanted.values()))[1:], strict=True))
    return [_with(one, counted.get(one.column.name)) for one in found]


def _with(one: Seen, exact: Any) -> Seen:
    if isinstance(exact, list):
        texts = sorted(text for text in exact if text is not None)
        return replace(one, texts=tuple(texts)) if 1 < len(texts) <= SET and all(map(_short, texts)) else one
    return replace(one, unique=exact == one.rows) if exact is not None else one


def _short(text: str) -> bool:
    return len(text) <= 60 and text.isprintable()


# -- what is proposed ------------------------------------------------------------------------------------------------


@dataclass
class _Rule:
    """The keys of one column, and what was seen that led to them."""

    keys: dict[str, str] = field(default_factory=dict)
    because: list[str] = field(default_factory=list)


def lines(columns: Sequence[Seen], name: str) -> Iterator[str]:
    """The lines of the contract."""
    rows = columns[0].rows
    floor = max(1, int(_down(Decimal(rows) / 2, _step(Decimal(rows) / 2))))
    yield f"# Proposed from {_comment(name)}: {rows:,} rows, {len(columns):,} columns. Each comment says what was seen."
    yield "# Read it, tighten what you know better, and remove what holds by chance."
    yield "schema: 1"
    yield f"name: {_text(PurePosixPath(name).name.split('.')[0] or 'data')}"
    yield "table:"
    yield f"  rows: [{floor}, null] # {rows:,}; half of them at least"
    yield "columns:"
    for one in columns:
        rule = _rule(one)
        yield f"  # {'; '.join(rule.because)}"
        yield f"  {_text(one.column.name)}: {{{', '.join(f'{key}: {value}' for key, value in rule.keys.items())}}}"


def _rule(one: Seen) -> _Rule:
    rule = _Rule()
    kind = one.column.kind
    if kind == "other":
        rule.because.append(f"{_comment(one.column.type)[:60]}: not looked into")
        return rule
    if not one.values:
        rule.because.append("no value, so nothing can be said of it")
        return rule
    rule.keys["type"] = kind
    _nulls(one, rule)
    if kind in {"integer", "number"}:
        _numbers(one, rule)
    elif kind == "text":
        _texts(one, rule)
    elif one.least is not None and kind in {"date", "timestamp"}:
        _days(one, rule)
    if one.unique:
        rule.keys["unique"] = "true"
        rule.because.append("an identifier, and no value occurs twice")
    if _PRIVATE.search(one.column.name):
        rule.keys["private"] = "true"
        rule.because.append("by its name, values that are never to be shown")
    return rule


def _nulls(one: Seen, rule: _Rule) -> None:
    missing = one.rows - one.values
    if not missing:
        rule.keys["nulls"] = "0"
        rule.because.append("none missing")
        return
    share = 100 * missing / one.rows
    rule.because.append(f"{missing:,} missing ({share:.2g} %)")
    allowed = next(
        (limit for limit in (1, 2, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90) if limit >= 1.25 * share), None
    )
    if allowed is not None:
        rule.keys["nulls"] = f"{allowed}%"


def _numbers(one: Seen, rule: _Rule) -> None:
    if one.least is None or one.most is None:
        rule.because.append("infinite or very large values, so no range")
        return
    if one.least == one.most:
        rule.because.append(f"always {_number(one.least)}, which may be chance")
        return
    rule.because.append(f"{_number(one.least)} to {_number(one.most)}")
    step = _step(one.most - one.least)
    least, most = _down(one.least, step), -_down(-one.most, step)
    if _sayable(least):
        rule.keys["min"] = _number(least)
    if one.identifier:
        return  # they grow
    if _sayable(most):
        rule.keys["max"] = _number(most)
    if one.mean is None or not one.spread or one.values < 100 or one.distinct <= 10:
        return
    around, half = Decimal(one.mean), Decimal(one.spread) / 2
    step = _step(half)
    low, high = _down(around - half, step), -_down(-around - half, step)
    if not (_sayable(low) and _sayable(high)):
        return
    rule.keys["mean"] = f"[{_number(low)}, {_number(high)}]"
    rule.because.append(f"mean {one.mean:.4g}, and half a standard deviation around it")


def _texts(one: Seen, rule: _Rule) -> None:
    if one.texts is not None:
        rule.keys["in"] = f"[{', '.join(map(_text, one.texts))}]"
        rule.because.append(f"{len(one.texts)} different")
        return
    rule.because.append(f"{one.least} to {one.most:,} characters")
    most = Decimal(max(one.most * 3 // 2, 1))
    rule.keys["length"] = f"[{min(one.least, 1)}, {int(-_down(-most, _step(most)))}]"


def _days(one: Seen, rule: _Rule) -> None:
    first = f"{one.least.year:04}-01-01"
    zone = "Z" if "ZONE" in one.column.type else ""
    rule.keys["min"] = first if one.column.kind == "date" else f"{first}T00:00:00{zone}"
    rule.because.append(f"{one.least} to {one.most or 'infinity'}")


# -- numbers and words -----------------------------------------------------------------------------------------------


def _step(size: Decimal) -> Decimal:
    """The power of ten in which a range of this size is counted: 10 for 39."""
    return Decimal(1).scaleb(size.adjusted())


def _sayable(value: Decimal) -> bool:
    """Whether a contract can name it: its numbers have a size, too."""
    digits = "".join(map(str, value.as_tuple().digits)).strip("0")
    return not value or (abs(value.adjusted()) <= _LARGEST and len(digits) <= _LARGEST)


def _down(value: Decimal, step: Decimal) -> Decimal:
    """The next multiple of `step` that is not above the value."""
    return Decimal(math.floor(value / step)) * step


def _number(value: Decimal) -> str:
    """As a contract and a person write it."""
    if not value:
        return "0"
    value = value.normalize()
    if -6 <= value.adjusted() < 15:
        return f"{value:f}"
    return f"{value:e}".replace("e+", "e")


def _text(value: str) -> str:
    """As YAML writes it; in quotes wherever it could be read as something else."""
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=not value.isprintable())


def _comment(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
