# ruff: noqa: S608 -- every name and constant is escaped by `values`
"""Sums, means and standard deviations, to the last digit: a value on the boundary must fall on the side it is on."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

from mlgate.data.engine.plan import VIEW, Values
from mlgate.data.engine.values import Field, is_missing

Number = int | float | Decimal


def summed(left: Field) -> tuple[str, ...]:
    """The aggregates that `total` reads."""
    if left.sort == "float" or "HUGEINT" in left.type:
        value = f"CAST({left.sql} AS DOUBLE)"
        return f"fsum({value})", f"sum({value})"
    return (f"sum({left.sql})",)


def total(left: Field, values: Values) -> Number | None:
    """Exact for integers and decimals; doubles are summed with compensation, which makes NaN of an infinity."""
    found: list[Number | None] = [values[sql] for sql in summed(left)]
    return found[-1] if is_missing(found[0]) else found[0]


def mean(left: Field, values: Values) -> float | None:
    n, whole = values.count(f"count({left.sql})"), total(left, values)
    if whole is None:
        return None
    return whole / n if isinstance(whole, float) else float(Fraction(whole) / n)


def spread(left: Field) -> str:
    """The deviation of the sample in one pass: right up to the last digits."""
    return f"stddev_samp(CAST({left.sql} AS DOUBLE))"


def exact_spread(left: Field, values: Values) -> str:
    """The same from the distances to the mean, which takes a pass of its own."""
    centre, n = mean(left, values), values.count(f"count({left.sql})")
    distance = f"CAST({left.sql} AS DOUBLE) - CAST('{centre!r}' AS DOUBLE)"
    return f"SELECT sqrt(fsum(({distance}) * ({distance})) / {n - 1}) FROM {VIEW} WHERE {left.sql} IS NOT NULL"


def unmeasurable(left: Field, values: Values) -> bool:
    """Whether there is no finite deviation: of one value, of infinities, of values too far apart."""
    found, centre = values[spread(left)], mean(left, values)
    return found is None or centre is None or not math.isfinite(found) or not math.isfinite(centre)
