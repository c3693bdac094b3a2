"""Shares of rows that are right, or wrong: Tango's score interval for their paired difference, Wilson's for one.

Tango, T. (1998), Equivalence test and confidence interval for the difference in proportions for the paired-sample
design, Statistics in Medicine 17, 891-908. Only pairs in disagreement and the number of rows count. It calls 3 to 6 %
of samples non-inferior at a true difference on the margin and alpha 5 %, and less where few pairs are expected to
disagree. A ratio other than 1 needs all four cells and is answered by the tilted cells (cells.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mlgate.data.rows import Predicted, Rows
from mlgate.judge import decide
from mlgate.judge.estimate import read
from mlgate.judge.measures import Bounds, Spec, UndefinedError
from mlgate.judge.paired import binary, cells

METHOD = "Tango"
WILSON = "Wilson"

_BLOCK = 1 << 18
_HALVINGS = 200


def bounds(spec: Spec, rows: Rows, a: Predicted, b: Predicted, *, confidence: float, ratio: float = 1.0) -> Bounds:
    """Of the share of `a` minus `ratio` times that of `b`. Raises UndefinedError."""
    if ratio != 1.0:
        return cells.bounds(spec, rows, a, b, confidence=confidence, ratio=ratio)
    count = _rows(rows)
    only_a, only_b, both = _right(rows, a, b)
    values = _share(spec, only_a + both, count), _share(spec, only_b + both, count)
    sign = 1 if spec.name == "accuracy" else -1
    more, less = (only_a, only_b) if sign > 0 else (only_b, only_a)
    difference = (more - less) / count
    too_little = binary.too_few(spec, rows, binary.of_classes(rows))
    se = standard_error(more, less, count)
    if se == 0:
        why = too_little or (binary.SAME if more == 0 else binary.FLAT)
        return binary.alone(values, difference, count, METHOD, why)
    lower, upper = interval(more, less, count, decide.quantile(confidence))
    return Bounds(
        *values,
        difference,
        lower=lower,
        upper=upper,
        se=se,
        rows=count,
        method=METHOD,
        below=_never if too_little else lambda x: decide.upper_tail(-statistic(more, less, count, x)),
        above=_never if too_little else lambda x: decide.upper_tail(statistic(more, less, count, x)),
        too_little=too_little,
    )


def level(spec: Spec, rows: Rows, a: Predicted, *, confidence: float) -> Bounds:
    """Of the share of `a` alone. Raises UndefinedError."""
    count = _rows(rows)
    share = _share(spec, _right(rows, a, a)[2], count)
    too_little = binary.too_few(spec, rows, binary.of_classes(rows))

    def z(x: float) -> float:
        spread = math.sqrt(max(x * (1 - x), 0.0) / count)
        return (share - x) / spread if spread else math.copysign(math.inf, share - x)

    lower, upper = wilson(share, count, decide.quantile(confidence))
    return Bounds(
        share,
        0.0,
        share,
        lower=lower,
        upper=upper,
        se=math.sqrt(share * (1 - share) / count),
        rows=count,
        method=WILSON,
        below=_never if too_little else lambda x: decide.upper_tail(-z(x)),
        above=_never if too_little else lambda x: decide.upper_tail(z(x)),
        too_little=too_little,
    )


def statistic(more: int, less: int, count: int, difference: float) -> float:
    """How many standard errors the observed difference lies above `difference` (-1 to 1), as Tango (1998) has it."""
    if not -1 < difference < 1:
        return math.copysign(math.inf, -difference)
    if difference < 0:  # the same seen from the other side, where nothing cancels
        return -statistic(less, more, count, -difference)
    middle = (2 * count - more + less) * difference - more - less
    last = -less * difference * (1 - difference)
    root = math.sqrt(middle * middle - 8 * count * last)
    rest = (root - middle) / (4 * count) if middle < 0 else -2 * last / (root + middle) if root + middle else 0.0
    variance = count * (2 * rest + difference * (1 - difference))
    gap = more - less - count * difference
    if variance <= 0:
        return math.copysign(math.inf, gap) if gap else 0.0
    return gap / math.sqrt(variance)


def interval(more: int, less: int, count: int, z: float) -> tuple[float, float]:
    """The differences that lie within z > 0 standard errors of (more - less) / count."""
    estimate = (more - less) / count
    lower = _where(lambda x: statistic(more, less, count, x) < z, -1.0, estimate)
    upper = -_where(lambda x: statistic(less, more, count, x) < z, -1.0, -estimate)
    return lower, upper


def wilson(share: float, count: float, z: float) -> tuple[float, float]:
    """Wilson (1927), Journal of the American Statistical Association 22, 209-212."""
    wide = z * z / count
    centre = (share + wide / 2) / (1 + wide)
    half = z / (1 + wide) * math.sqrt(share * (1 - share) / count + wide / (4 * count))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))  # but for rounding


def standard_error(more: int, less: int, count: int) -> float:
    """Of (more - less) / count."""
    return math.sqrt(max(0.0, more + less - (more - less) ** 2 / count)) / count


def _where(within: Callable[[float], bool], outside: float, inside: float) -> float:
    """Where `within` begins to hold, on the way from `outside` to `inside`."""
    for _ in range(_HALVINGS):
        middle = (outside + inside) / 2
        if middle in (outside, inside):
            break
        if within(middle):
            inside = middle
        else:
            outside = middle
    return inside


def _right(rows: Rows, a: Predicted, b: Predicted) -> tuple[int, int, int]:
    """Rows that only `a` has right, only `b`, and both."""
    by_a, by_b = read.decided(a), read.decided(b)
    only_a = only_b = both = 0
    for start in range(0, rows.count, _BLOCK):
        part = slice(start, start + _BLOCK)
        right_a, right_b = by_a[part] == rows.label[part], by_b[part] == rows.label[part]
        together = int(np.count_nonzero(right_a & right_b))
        both += together
        only_a += int(np.count_nonzero(right_a)) - together
        only_b += int(np.count_nonzero(right_b)) - together
    return only_a, only_b, both


def _share(spec: Spec, right: int, count: int) -> float:
    return right / count if spec.name == "accuracy" else (count - right) / count


def _rows(rows: Rows) -> int:
    if not rows.count:
        raise UndefinedError("there are no rows")
    return rows.count


def _never(_: float) -> float:
    return 1.0
