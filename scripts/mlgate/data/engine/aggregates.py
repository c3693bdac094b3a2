# ruff: noqa: S608 -- every name and constant is escaped by `values`
"""Expectations about a whole column or table: one number, held against limits.

A number that is NaN or that the data do not give (no value, one value for a deviation) is never within limits: it could
not be measured. Sums and means of integers and decimals are exact; of doubles they are summed with compensation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from mlgate.data.engine import moments
from mlgate.data.engine.plan import ROWS, VIEW, Distinct, Plan, Rank, Ranks, Seen, Values
from mlgate.data.engine.rows import listed
from mlgate.data.engine.values import (
    MOMENTS,
    NUMBERS,
    Field,
    Leave,
    Named,
    Unfit,
    among,
    between,
    exact,
    find,
    is_missing,
    is_number,
    members,
)

Kwargs = Mapping[str, Any]
Columns = Sequence[Named]
Number = int | float | Decimal
_ROUGH = 1e-9  # how far the deviation of one pass may be off, and is far from being
_TOLERANCE = 1e-4  # of quantiles, relative, as Great Expectations has it


def limited(kwargs: Kwargs) -> None:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if is_missing(low) and is_missing(high):
        raise Unfit("Neither min_value nor max_value is given, so nothing would be checked.")
    for limit in (low, high):
        if limit is not None and (not is_number(limit) or is_missing(limit)):
            raise Unfit(f"A number cannot be compared with {limit!r}.")


def held(observed: Number, kwargs: Kwargs) -> bool:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if isinstance(observed, Decimal):
        low, high = (None if limit is None else exact(limit) for limit in (low, high))
    above = low is None or (observed > low if kwargs.get("strict_min") else observed >= low)
    below = high is None or (observed < high if kwargs.get("strict_max") else observed <= high)
    return bool(above and below)


def _shown(observed: Number) -> float | int:
    return float(observed) if isinstance(observed, Decimal) else observed


def _present(values: Values, left: Field) -> int:
    present = values.count(f"count({left.sql})")
    if not present:
        raise Unfit(f"Every value of {left.name} is missing, so nothing could be measured.")
    return present


def _number(
    columns: Columns,
    kwargs: Kwargs,
    word: str,
    needs: Callable[[Field], tuple[str, ...]],
    measure: Callable[[Field, Values], Number | None],
) -> Plan:
    """A number of a column of numbers."""
    left = find(columns, kwargs["column"])
    if left.sort not in NUMBERS:
        if left.sort in MOMENTS or left.sort == "other":
            raise Leave
        raise Unfit(f"{left.name} holds {left.says}, which has no {word}.")
    limited(kwargs)

    def judge(values: Values) -> Seen:
        nulls = values.rows - _present(values, left)
        observed = measure(left, values)
        if is_missing(observed) or observed is None:
            raise Unfit(f"The {word} of {left.name} is not a number.")
        return Seen(held(observed, kwargs), observed=_shown(observed), nulls=nulls)

    return Plan(judge, (ROWS, f"count({left.sql})", *needs(left)))


def column_sum(columns: Columns, kwargs: Kwargs) -> Plan:
    return _number(columns, kwargs, "sum", moments.summed, moments.total)


def mean(columns: Columns, kwargs: Kwargs) -> Plan:
    return _number(columns, kwargs, "mean", moments.summed, moments.mean)


def deviation(columns: Columns, kwargs: Kwargs) -> Plan:
    """Of the sample: divided by n - 1, so that a single value has none. Near a limit it is measured again, exactly."""
    left = _of_numbers(columns, kwargs)

    def later(values: Values) -> str:
        if not values.count(f"count({left.sql})") or moments.unmeasurable(left, values):
            return ""
        rough = values[moments.spread(left)]
        limits = [limit for key in ("min_value", "max_value") if (limit := kwargs.get(key)) is not None]
        near = any(abs(rough - limit) <= _ROUGH * max(rough, abs(limit)) for limit in limits)
        return moments.exact_spread(left, values) if near else ""

    def measure(_: Field, values: Values) -> Number | None:
        if moments.unmeasurable(left, values):
            return None
        query = later(values)
        return float(values[query] if query else values[moments.spread(left)])

    def needs(field: Field) -> tuple[str, ...]:
        return (moments.spread(field), *moments.summed(field))

    return replace(_number(columns, kwargs, "standard deviation", needs, measure), later=later)


def _of_numbers(columns: Columns, kwargs: Kwargs) -> Field:
    left = find(columns, kwargs["column"])
    if left.sort == "boolean":
        raise Leave
    return left


def median(columns: Columns, kwargs: Kwargs) -> Plan:
    left = _of_numbers(columns, kwargs)
    ranks = Ranks(left.sql, left.type, (Rank(0.5, "lower"), Rank(0.5, "higher")))

    def measure(_: Field, values: Values) -> Number | None:
        low, high = values[ranks.inline]
        if isinstance(low, float):
            if math.isinf(low) or math.isinf(high):
                return float((low + high) / 2)
            return float(low if low == high else low + (high - low) / 2)
        middle = Fraction(low) / 2 + Fraction(high) / 2
        return int(middle) if middle.denominator == 1 else float(middle)

    return replace(_number(columns, kwargs, "median", lambda _: (), measure), ranks=(ranks,))


def quantiles(columns: Columns, kwargs: Kwargs) -> Plan:
    """The value at that share of the sorted order, no interpolation; limits have a relative tolerance of 1e-4."""
    left = _of_numbers(columns, kwargs)
    if left.sort not in NUMBERS:
        if left.sort in MOMENTS or left.sort == "other":
            raise Leave
        raise Unfit(f"{left.name} holds {left.says}, which has no quantiles.")
    rounding = kwargs.get("allow_relative_error") or "nearest"
    if rounding not in {"nearest", "lower", "higher"}:
        raise Leave
    wanted = kwargs.get("quantile_ranges")
    if not isinstance(wanted, Mapping):
        raise Leave
    shares, limits = list(wanted.get("quantiles") or ()), list(wanted.get("value_ranges") or ())
    if not shares or len(shares) != len(limits) or not all(is_number(q) and 0 <= q <= 1 for q in shares):
        raise Unfit("quantile_ranges needs quantiles between 0 and 1, and a range for each.")
    # pandas hands numpy a percentage, which costs the last bit of some shares.
    ranks = Ranks(left.sql, left.type, tuple(Rank(float(q) * 100 / 100, rounding) for q in shares))

    def judge(values: Values) -> Seen:
        nulls = values.rows - _present(values, left)
        found = values[ranks.inline]
        held = [_near(_shown(value), limit) for value, limit in zip(found, limits, strict=True)]
        said = ", ".join(f"{q:g}: {_shown(value):.10g}" for q, value in zip(shares, found, strict=True))
        return Seen(all(held), observed=_shown(found[0]) if len(found) == 1 else said, nulls=nulls)

    return Plan(judge, (ROWS, f"count({left.sql})"), ranks=(ranks,))


def _near(value: float, limits: Sequence[float | None]) -> bool:
    low, high = limits
    for limit in (low, high):
        if limit is not None and abs(value - limit) <= 1e-8 + _TOLERANCE * abs(limit):
            return True
    return (low is None or value >= low) and (high is None or value <= high)


def extreme(columns: Columns, kwargs: Kwargs, *, which: str) -> Plan:
    """The least or greatest value: of numbers, text or moments."""
    left = find(columns, kwargs["column"])
    edge = left.of(which)
    condition = between(edge, kwargs)
    shown = edge.sql if left.sort in NUMBERS else f"CAST({edge.sql} AS VARCHAR)"

    def judge(values: Values) -> Seen:
        nulls = values.rows - _present(values, left)
        holds, observed = values[condition], values[shown]
        if holds is None or is_missing(observed):
            raise Unfit(f"The {which}imum of {left.name} could not be compared.")
        if left.sort == "boolean":
            observed = int(observed)
        return Seen(bool(holds), observed=observed if isinstance(observed, str) else _shown(observed), nulls=nulls)

    return Plan(judge, (ROWS, f"count({left.sql})", condition, shown))


def _distinct(columns: Columns, kwargs: Kwargs) -> tuple[Field, Distinct]:
    left = find(columns, kwargs["column"])
    if left.sort == "other":
        raise Leave
    return left, Distinct((left.sql,), f"{left.sql} IS NOT NULL")


def unique_count(columns: Columns, kwargs: Kwargs) -> Plan:
    left, distinct = _distinct(columns, kwargs)
    limited(kwargs)

    def judge(values: Values) -> Seen:
        nulls, observed = values.rows - _present(values, left), values.count(distinct.sql)
        return Seen(held(observed, kwargs), observed=observed, nulls=nulls)

    return Plan(judge, (ROWS, f"count({left.sql})"), distinct=(distinct,))


def unique_share(columns: Columns, kwargs: Kwargs) -> Plan:
    left, distinct = _distinct(columns, kwargs)
    limited(kwargs)

    def judge(values: Values) -> Seen:
        present = _present(values, left)
        observed = values.count(distinct.sql) / present
        return Seen(held(observed, kwargs), observed=observed, nulls=values.rows - present)

    return Plan(judge, (ROWS, f"count({left.sql})"), distinct=(distinct,))


def present_share(columns: Columns, kwargs: Kwargs) -> Plan:
    left = find(columns, kwargs["column"])
    limited(kwargs)
    present = f"count({left.sql})"

    def judge(values: Values) -> Seen:
        observed = values.count(present) / values.rows
        return Seen(held(observed, kwargs), observed=observed)

    return Plan(judge, (ROWS, present))


def distinct_in_set(columns: Columns, kwargs: Kwargs, *, inside: bool, contained: bool) -> Plan:
    """`inside`: no value is outside the set; `contained`: every value of the set is there. `unexpected`: values."""
    left, _ = _distinct(columns, kwargs)
    wanted = [value for value in listed(kwargs, "value_set") if not is_missing(value)]
    constants = members(left, wanted)
    within = among(left, constants)
    outside = Distinct((left.sql,), f"{left.sql} IS NOT NULL AND ({within}) IS NOT TRUE")
    found = Distinct((left.sql,), f"{left.sql} IS NOT NULL AND {within}")
    # Members that the column could never hold (1.5 among integers) are missing too.
    size = len(set(wanted))

    def judge(values: Values) -> Seen:
        nulls = values.rows - _present(values, left)
        strange = values.count(outside.sql) if inside else 0
        lacking = size - values.count(found.sql) if contained else 0
        said = [f"{strange} not in the set"] * bool(strange) + [f"{lacking} of the set missing"] * bool(lacking)
        return Seen(not strange and not lacking, observed=", ".join(said) or None, nulls=nulls)

    distinct = (*((outside,) if inside else ()), *((found,) if contained else ()))
    return Plan(judge, (ROWS, f"count({left.sql})"), distinct=distinct)


def most_common(columns: Columns, kwargs: Kwargs) -> Plan:
    """Ties: every value as frequent as the most frequent is one; without ties_okay there must be a single one."""
    left, _ = _distinct(columns, kwargs)
    constants = members(left, listed(kwargs, "value_set"))
    inside = among(replace(left, sql="k"), constants)
    counted = f"SELECT {left.sql} AS k, count(*) AS n FROM {VIEW} WHERE {left.sql} IS NOT NULL GROUP BY ALL"
    query = (
        f"WITH counted AS ({counted}) SELECT (count(*), count(*) FILTER (WHERE {inside}), min(CAST(k AS VARCHAR))) "
        f"FROM counted WHERE n = (SELECT max(n) FROM counted)"
    )

    def judge(values: Values) -> Seen:
        nulls = values.rows - _present(values, left)
        ties, known, first = values[query]
        holds = known > 0 if kwargs.get("ties_okay") else ties == 1 and known == 1
        return Seen(holds, observed=first if ties == 1 else f"{ties} values, such as {first}", nulls=nulls)

    return Plan(judge, (ROWS, f"count({left.sql})"), later=lambda _: query)
