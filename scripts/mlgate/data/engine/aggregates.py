# ruff: noqa: S608 -- every name and constant is escaped by `values`
"""Expectations about a whole column or table: one number, held against limits.

A number that is NaN or that the data do not give (no value, one value for a deviation) is never within limits: it could
not be measured. Sums and means of integers and decimals are exact; of doubles they are summed with compensation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from mlgate.data.engine.plan import ROWS, VIEW, Distinct, Plan, Rank, Ranks, Seen, Values
from mlgate.data.engine.rows import _list
from mlgate.data.engine.values import (
    MOMENTS,
    NUMBERS,
    Field,
    Leave,
    Named,
    Unfit,
    between,
    exact,
    find,
    is_missing,
    is_number,
    members,
    nearest,
)

Kwargs = Mapping[str, Any]
Columns = Sequence[Named]
Number = int | float | Decimal
_TOLERANCE = 1e-4  # of quantiles, relative, as Great Expectations has it


def _limits(kwargs: Kwargs) -> None:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if is_missing(low) and is_missing(high):
        raise Unfit("Neither min_value nor max_value is given, so nothing would be checked.")
    for limit in (low, high):
        if limit is not None and (not is_number(limit) or is_missing(limit)):
            raise Unfit(f"A number cannot be compared with {limit!r}.")


def _held(observed: Number, kwargs: Kwargs) -> bool:
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
    _limits(kwargs)

    def judge(values: Values) -> Seen:
        nulls = values.rows - _present(values, left)
        observed = measure(left, values)
        if is_missing(observed) or observed is None:
            raise Unfit(f"The {word} of {left.name} is not a number.")
        return Seen(_held(observed, kwargs), observed=_shown(observed), nulls=nulls)

    return Plan(judge, (ROWS, f"count({left.sql})", *needs(left)))


def _summed(left: Field) -> tuple[str, ...]:
    if left.sort == "float" or "HUGEINT" in left.type:
        value = f"CAST({left.sql} AS DOUBLE)"
        return f"fsum({value})", f"sum({value})"
    return (f"sum({left.sql})",)


def _sum(left: Field, values: Values) -> Number | None:
    found = [values[sql] for sql in _summed(left)]
    # Compensation makes NaN of an infinity; the plain sum keeps it.
    total: Number | None = found[-1] if is_missing(found[0]) else found[0]
    return total


def column_sum(columns: Columns, kwargs: Kwargs) -> Plan:
    return _number(columns, kwargs, "sum", _summed, _sum)


def mean(columns: Columns, kwargs: Kwargs) -> Plan:
    def measure(left: Field, values: Values) -> Number | None:
        total, n = _sum(left, values), _present(values, left)
        if total is None or isinstance(total, float):
            return None if total is None else total / n
        return float(Fraction(total) / n)

    return _number(columns, kwargs, "mean", _summed, measure)


def deviation(columns: Columns, kwargs: Kwargs) -> Plan:
    """Of the sample: divided by n - 1, so that a single value has none."""
    _of_numbers(columns, kwargs)

    def measure(left: Field, values: Values) -> Number | None:
        found = values[_deviation(left)[0]]
        return None if found is None or math.isinf(found) else float(found)

    return _number(columns, kwargs, "standard deviation", _deviation, measure)


def _deviation(left: Field) -> tuple[str, ...]:
    return (f"stddev_samp(CAST({left.sql} AS DOUBLE))",)


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
            return low if low == high else low + (high - low) / 2
        middle = Fraction(low) / 2 + Fraction(high) / 2
        return int(middle) if middle.denominator == 1 else float(middle)

    plan = _number(columns, kwargs, "median", lambda _: (), measure)
    return Plan(plan.judge, plan.needs, ranks=(ranks,))


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
    _limits(kwargs)

    def judge(values: Values) -> Seen:
        nulls, observed = values.rows - _present(values, left), values.count(distinct.sql)
        return Seen(_held(observed, kwargs), observed=observed, nulls=nulls)

    return Plan(judge, (ROWS, f"count({left.sql})"), distinct=(distinct,))


def unique_share(columns: Columns, kwargs: Kwargs) -> Plan:
    left, distinct = _distinct(columns, kwargs)
    _limits(kwargs)

    def judge(values: Values) -> Seen:
        present = _present(values, left)
        observed = values.count(distinct.sql) / present
        return Seen(_held(observed, kwargs), observed=observed, nulls=values.rows - present)

    return Plan(judge, (ROWS, f"count({left.sql})"), distinct=(distinct,))


def present_share(columns: Columns, kwargs: Kwargs) -> Plan:
    left = find(columns, kwargs["column"])
    _limits(kwargs)
    present = f"count({left.sql})"

    def judge(values: Values) -> Seen:
        observed = values.count(present) / values.rows
        return Seen(_held(observed, kwargs), observed=observed)

    return Plan(judge, (ROWS, present))


def distinct_in_set(columns: Columns, kwargs: Kwargs, *, inside: bool, contained: bool) -> Plan:
    """`inside`: no value is outside the set; `contained`: every value of the set is there. `unexpected`: values."""
    left, _ = _distinct(columns, kwargs)
    wanted = [value for value in _list(kwargs, "value_set") if not is_missing(value)]
    constants = members(left, wanted)
    within = f"{left.sql} IN ({', '.join(constants)})" if constants else "FALSE"
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
    constants = members(left, _list(kwargs, "value_set"))
    inside = f"k IN ({', '.join(constants)})" if constants else "FALSE"
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


def row_count(_: Columns, kwargs: Kwargs) -> Plan:
    if "value" in kwargs:
        if not is_number(kwargs["value"]):
            raise Unfit(f"A number of rows cannot be compared with {kwargs['value']!r}.")
        kwargs = {"min_value": kwargs["value"], "max_value": kwargs["value"]}
    _limits(kwargs)

    def judge(values: Values) -> Seen:
        holds = _held(values.rows, kwargs)
        if holds and not values.rows:
            raise Unfit("There are no rows, so nothing could be measured.")
        return Seen(holds, observed=values.rows)

    return Plan(judge, (ROWS,), rows=False)


def column_count(columns: Columns, kwargs: Kwargs) -> Plan:
    if "value" in kwargs:
        kwargs = {"min_value": kwargs["value"], "max_value": kwargs["value"]}
    _limits(kwargs)
    return _known(Seen(_held(len(columns), kwargs), observed=len(columns)))


def column_exists(columns: Columns, kwargs: Kwargs) -> Plan:
    """With a column_index, counted from 0 (or from the end, if negative), it must stand there."""
    names, wanted, place = [column.name for column in columns], kwargs["column"], kwargs.get("column_index")
    if wanted not in names:
        near = nearest(columns, wanted)
        return _known(Seen(False, observed=f"there is {near!r}" if near else "there is none"))
    if place is None:
        return _known(Seen(True))
    if not isinstance(place, int) or isinstance(place, bool):
        raise Unfit(f"column_index is {place!r}, which is no whole number.")
    return _known(Seen(-len(names) <= place < len(names) and names[place] == wanted, observed=names.index(wanted)))


def columns_match_set(columns: Columns, kwargs: Kwargs) -> Plan:
    names, wanted = {column.name for column in columns}, set(_list(kwargs, "column_set"))
    lacking, extra = sorted(wanted - names), sorted(names - wanted)
    exactly = kwargs.get("exact_match") is not False
    said = [_names("missing", lacking, columns)] if lacking else []
    if extra and exactly:
        said.append(_names("extra", extra, ()))
    return _known(Seen(not said, observed="; ".join(said) or len(names)))


def _names(word: str, names: Sequence[str], columns: Columns) -> str:
    shown = []
    for name in names[:10]:
        near = nearest(columns, name) if columns else ""
        shown.append(f"{name} (there is {near!r})" if near else name)
    return f"{word}: {', '.join(shown)}{f' and {len(names) - 10} more' if len(names) > 10 else ''}"


def columns_match_list(columns: Columns, kwargs: Kwargs) -> Plan:
    names, wanted = [column.name for column in columns], _list(kwargs, "column_list")
    first = next((i for i, (one, two) in enumerate(zip(names, wanted, strict=False)) if one != two), None)
    if first is not None:
        return _known(Seen(False, observed=f"column {first + 1} is {names[first]!r}, not {wanted[first]!r}"))
    if len(names) != len(wanted):
        return _known(Seen(False, observed=f"{len(names)} columns, not {len(wanted)}"))
    return _known(Seen(True, observed=len(names)))


def _known(seen: Seen) -> Plan:
    """The columns alone decide."""
    return Plan(lambda _: seen, (), rows=False)
