"""Student's t distribution without scipy: its tail and its quantiles. Plain floats."""

from __future__ import annotations

import math

from mlgate.judge import decide

_MANY = 1000.0  # degrees of freedom from which the expansion in 1/df is as exact as the fraction, and faster
_TINY = 1e-300
_EXACT = 1e-15


def upper_tail(t: float, df: float) -> float:
    """The share of Student's t distribution with `df` > 0 degrees of freedom above `t`. NaN stays NaN."""
    if math.isnan(t):
        return math.nan
    if t < 0:
        return 1 - upper_tail(-t, df)
    if math.isinf(t):
        return 0.0
    if df >= _MANY:
        return decide.upper_tail(_as_normal(t, df))
    return 0.5 * _incomplete_beta(t * t / (df + t * t), df / 2, 0.5)


def quantile(p: float, df: float) -> float:
    """The t below which the share `p` (0 < p < 1) lies: quantile(0.95, 10) is 1.812."""
    if p < 0.5:
        return -quantile(1 - p, df)
    low, high = 0.0, 2.0
    while upper_tail(high, df) > 1 - p:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if upper_tail(middle, df) > 1 - p else (low, middle)
    return (low + high) / 2


def _as_normal(t: float, df: float) -> float:
    """The normal deviate with the same tail (Hill 1970, Communications of the ACM 13, algorithm 395)."""
    a = df - 0.5
    b = 48 * a * a
    square = a * math.log1p(t * t / df)
    z = math.sqrt(square)
    high = ((-0.4 * square - 3.3) * square - 24) * square - 85.5
    return (((high / (0.8 * square * square + 100 + b)) + square + 3) / b + 1) * z


def _incomplete_beta(rest: float, a: float, b: float) -> float:
    """The regularised incomplete beta function of 1 - `rest`, by its continued fraction (modified Lentz)."""
    if rest <= 0:
        return 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log1p(-rest) + b * math.log(rest))
    if 1 - rest < (a + 1) / (a + b + 2):
        return front * _fraction(1 - rest, a, b) / a
    return 1 - front * _fraction(rest, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            found *= c * d
        if abs(c * d - 1) < _EXACT:
            break
    return found


def _away(x: float) -> float:
    """x, but never 0."""
    return x if abs(x) > _TINY else _TINY
