"""Columns and constants as DuckDB sees them: what can be compared with what, and how it is written in SQL.

Integers and decimals are compared exactly: a limit of 0.1 is the decimal 0.1, rounded to what the column can hold on
the side that keeps the comparison true. Doubles are compared as doubles. Nothing is compared across sorts: text with
a number is said to be unfit, never quietly unequal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from difflib import get_close_matches
from typing import Any, Literal, Protocol, TypeGuard

Sort = Literal["integer", "decimal", "float", "boolean", "text", "date", "timestamp", "zoned", "other"]
NUMBERS = frozenset({"integer", "decimal", "float", "boolean"})
MOMENTS = frozenset({"date", "timestamp", "zoned"})
_WORDS = {"zoned": "timestamps with a time zone", "timestamp": "timestamps", "date": "dates", "text": "text"}
_BITS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64, "HUGEINT": 128}
_SORTS: dict[str, Sort] = {
    "FLOAT": "float",
    "DOUBLE": "float",
    "BOOLEAN": "boolean",
    "VARCHAR": "text",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "zoned",
    **dict.fromkeys(_BITS, "integer"),
    **{f"U{name}": "integer" for name in _BITS},
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), "timestamp"),
}


class Unfit(Exception):  # noqa: N818 -- it says what the data are, and never leaves this package
    """The check cannot work on these data: the sentence says why."""


class Leave(Exception):  # noqa: N818
    """Not answered here: Great Expectations is asked."""


class Named(Protocol):
    """A column of a table, as `mlgate.data.reading` gives it."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...


@dataclass(frozen=True)
class Field:
    """A column, or an aggregate over it: `sql` is how it is written."""

    name: str
    sql: str
    type: str
    sort: Sort
    scale: int = 0  # digits after the point, of integers and decimals
    low: int = 0  # the least and greatest value the type holds, times 10**scale
    high: int = 0

    def of(self, function: str) -> Field:
        """The same kind of value, made by an aggregate such as `min`."""
        return replace(self, sql=f"{function}({self.sql})")

    @property
    def says(self) -> str:
        return _WORDS.get(self.sort, "numbers" if self.sort in NUMBERS else self.type)


def field(column: Named) -> Field:
    sql = name(column.name)
    kind = column.type.upper()
    decimal = re.fullmatch(r"DECIMAL\((\d+), ?(\d+)\)", kind)
    if decimal:
        digits, scale = int(decimal[1]), int(decimal[2])
        return Field(column.name, sql, kind, "decimal", scale, -(10**digits) + 1, 10**digits - 1)
    sort = _SORTS.get(kind, "other")
    low = high = 0
    if sort == "integer":
        bits = _BITS[kind.removeprefix("U")]
        low, high = (0, 2**bits - 1) if kind[0] == "U" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if sort == "boolean":  # Python's False is 0 and True is 1, and so they are for Great Expectations
        sql, low, high = f"CAST({sql} AS TINYINT)", -128, 127
    return Field(column.name, sql, "TINYINT" if sort == "boolean" else kind, sort, 0, low, high)


def find(columns: Sequence[Named], wanted: Any) -> Field:
    """Raises Unfit for a column that is not there; DuckDB would take any spelling of upper and lower case."""
    for column in columns:
        if column.name == wanted:
            return field(column)
    raise Unfit(missing(columns, wanted))


def missing(columns: Sequence[Named], wanted: Any) -> str:
    near = nearest(columns, wanted)
    return f"There is no column {wanted!r}." + (f" Did you mean {near!r}?" if near else "")


def nearest(columns: Sequence[Named], wanted: Any) -> str:
    """A column that may have been meant, or nothing."""
    names = [column.name for column in columns]
    folded = {_fold(name): name for name in names}
    if _fold(str(wanted)) in folded:
        return folded[_fold(str(wanted))]
    return next(iter(get_close_matches(str(wanted), names[:2000], 1, 0.8)), "")


def _fold(text: str) -> str:
    return re.sub(r"[\s_-]+", "_", text.strip().casefold())


def name(text: str) -> str:
    """An identifier."""
    return '"' + text.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string constant."""
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise Leave
    return "'" + value.replace("'", "''") + "'"


def is_number(value: Any) -> TypeGuard[int | float | Decimal]:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def exact(value: float | Decimal) -> Decimal:
    """The decimal that a person reads in the contract."""
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def compare(left: Field, op: Literal[">=", ">", "<=", "<"], limit: Any) -> str:
    """SQL that is true where the value keeps to the limit. Raises Unfit or Leave."""
    if left.sort == "other" or is_missing(limit):
        raise Leave
    if left.sort in NUMBERS:
        if not is_number(limit):
            raise _mismatch(left, limit)
        return f"{left.sql} {op} {_double(limit)}" if left.sort == "float" else _exactly(left, op, exact(limit))
    if left.sort == "text":
        if not isinstance(limit, str):
            raise _mismatch(left, limit)
        return f"{left.sql} {op} {text(limit)}"
    return f"{left.sql} {op} {_moment(left, limit)}"


def between(left: Field, kwargs: Any, *, low: str = "min_value", high: str = "max_value") -> str:
    """SQL that is true where the value is within min_value and max_value, strictly so if asked."""
    lowest, highest = kwargs.get(low), kwargs.get(high)
    if is_missing(lowest) and is_missing(highest):
        raise Unfit("Neither min_value nor max_value is given, so nothing would be checked.")
    parts = []
    if lowest is not None:
        parts.append(compare(left, ">" if kwargs.get("strict_min") else ">=", lowest))
    if highest is not None:
        parts.append(compare(left, "<" if kwargs.get("strict_max") else "<=", highest))
    if len(parts) == 2 and type(lowest) is type(highest) and lowest > highest:
        raise Unfit(f"min_value {lowest} is above max_value {highest}, so nothing could pass.")
    return " AND ".join(parts)


def members(left: Field, values: Iterable[Any]) -> list[str]:
    """The constants of a set that the column could hold. Raises Unfit where not one is of the column's sort."""
    found, strange = [], []
    for value in values:
        if is_missing(value):
            continue  # missing values are left out of every check by rows
        if left.sort == "other":
            raise Leave
        if (isinstance(value, bool) and left.sort in NUMBERS) != (left.sort == "boolean"):
            if isinstance(value, str):
                strange.append(value)
                continue
            if left.sort in NUMBERS:
                raise Leave  # True is 1 in Python: rare enough to be asked there
        constant = member(left, value)
        if constant is None:
            strange.append(value)
        elif constant:
            found.append(constant)
    if strange and not found:
        raise _mismatch(left, strange[0])
    return list(dict.fromkeys(found))


def among(left: Field, constants: Sequence[str]) -> str:
    """SQL that is true for the values of a set."""
    if not constants:
        return "FALSE"
    listed = ", ".join(constants)
    # A function is called once for each different text of a Parquet page; IN compares row by row.
    return (
        f"map_contains(MAP([{listed}], [{listed}]), {left.sql})" if left.sort == "text" else f"{left.sql} IN ({listed})"
    )


def member(left: Field, value: Any) -> str | None:
    """One constant; "" where it is of the right sort but no such value can be held, None where it is of another."""
    if left.sort == "boolean":
        return str(int(value)) if isinstance(value, bool) else None
    if left.sort in NUMBERS:
        if not is_number(value):
            return None
        if left.sort == "float":
            return _double(value)
        scaled = _scaled(left, exact(value))
        return "" if scaled is None or scaled != scaled.to_integral_value() else _constant(left, int(scaled))
    if left.sort == "text":
        return text(value) if isinstance(value, str) else None
    return _moment(left, value) if isinstance(value, str | date) else None


def _double(value: float | Decimal) -> str:
    try:
        return f"CAST('{float(value)!r}' AS DOUBLE)"
    except OverflowError as error:
        raise Leave from error


def _scaled(left: Field, value: Decimal) -> Decimal | None:
    """The value in units of the column's last digit; None beyond what the type holds."""
    if not value.is_finite() or value.adjusted() > 60:
        return None
    with localcontext() as context:
        context.prec = 200
        scaled = value.scaleb(left.scale)
        return scaled if left.low <= scaled <= left.high else None


def _exactly(left: Field, op: str, limit: Decimal) -> str:
    scaled = _scaled(left, limit)
    if scaled is None:
        return "TRUE" if (limit < 0) == (op in {">=", ">"}) else "FALSE"
    rounding = ROUND_CEILING if op in {">=", "<"} else ROUND_FLOOR
    with localcontext() as context:
        context.prec = 200
        return f"{left.sql} {op} {_constant(left, int(scaled.to_integral_value(rounding)))}"


def _constant(left: Field, scaled: int) -> str:
    sign, digits = "-" if scaled < 0 else "", str(abs(scaled)).rjust(left.scale + 1, "0")
    whole = digits if not left.scale else f"{digits[: -left.scale]}.{digits[-left.scale :]}"
    return f"CAST('{sign}{whole}' AS {left.type})"


def _moment(left: Field, value: Any) -> str:
    if is_number(value) or isinstance(value, bool):
        raise _mismatch(left, value)
    moment = read_moment(value)
    if moment is None:
        raise Leave  # dateutil may know more spellings than ISO 8601
    if (moment.tzinfo is not None) != (left.sort == "zoned"):
        has, lacks = ("the column has a time zone", "the limit has none")
        if left.sort != "zoned":
            has, lacks = ("the column has no time zone", "the limit has one")
        raise Unfit(f"{left.name} cannot be compared with {value}: {has}, and {lacks}.")
    if left.sort == "zoned":
        return f"CAST('{moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ')}+00' AS TIMESTAMPTZ)"
    if left.sort == "date" and moment.time() == time():
        return f"CAST('{moment.date().isoformat()}' AS DATE)"
    return f"CAST('{moment.isoformat(sep=' ')}' AS TIMESTAMP)"


def read_moment(value: Any) -> datetime | None:
    """A date or timestamp as YAML gives it, or as ISO 8601 writes it. None for anything else."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    # A bare number is no date to a person, though ISO 8601 has such a form.
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d", value.strip()):
        return None
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        return None


def _mismatch(left: Field, value: Any) -> Unfit:
    return Unfit(f"{left.name} holds {left.says}, which cannot be compared with {_said(value)}.")


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return (
        f"the text {value!r}" if isinstance(value, str) else f"the number {value}" if is_number(value) else f"{value}"
    )


def comparable(left: Field, right: Field) -> bool:
    """Whether values of the two columns can be equal, or one greater than the other."""
    one, two = (("number" if f.sort in NUMBERS else f.sort) for f in (left, right))
    return one == two != "other" or {one, two} == {"date", "timestamp"}
