"""Bounds from one number per independent unit (a row, a query, a whole cluster): what the unit adds to the difference.

The t interval, and where the numbers are skewed Hall's (1992) too; of the two the wider one counts on each side. A
sample that holds few of the rare large losses looks less skewed than what it was drawn from, and under-covers: the
skewness is therefore taken for larger than it is, the more so the fewer units make up the variance. Of metrics that are
no means the curvature counts as skewness (DiCiccio and Efron 1992, Biometrika 79, 231-245). Simulations in the tests
say what this achieves; losses without a finite variance (the squares of errors as wild as Student's t of 4) are beyond
it, as they are beyond every method. Nothing is drawn at random: the order of the units, and their names, cannot matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlgate.judge.measures import Bounds, UndefinedError
from mlgate.judge.paired import normal

if TYPE_CHECKING:
    from mlgate.data.rows import Floats

LEAST = 30  # units, or rows of a class, from which bounds may decide
LEAST_UNLIKE = 5  # units that must differ from all the others, before their spread says anything of other rows
TOO_LARGE = "the values are too large to be added up"
_MORE_SKEWED = 2.5  # the skewness is taken 1 + this / sqrt(m) fold, where m = units / kurtosis make up the variance
_MORE_CURVED = 3.0  # the same where the metric is no mean
_STRAIGHT = 0.01  # skewness of the mean below which curvature is not asked for
_ROUNDING = 1e-12  # of the metric's own size: less is no difference
_STEP = 0.5  # of one standard error; no weight gets below half of what it was
_BLOCK = 1 << 16
_EDGE = 0.95  # how far Hall's transformation is followed towards its end, where bounds are infinite


@dataclass(frozen=True)
class Sum:
    """What was measured: the values of both sides, their difference and how far the estimate may be off by nature."""

    a: float
    b: float
    difference: float
    rows: int
    too_low: float = 0.0  # the expected estimate is at most this much below the truth, and `too_high` above it
    too_high: float = 0.0


@dataclass(frozen=True)
class _Shape:
    """The t statistic's distribution: Student's, bent by the skewness of the mean."""

    df: float
    skew: float  # of the mean: that of a unit over the root of their number

    def below(self, t: float) -> float:
        """At most how likely a statistic is that is not above t."""
        return normal.upper_tail(-max(t, self._bent(t)), self.df)

    def above(self, t: float) -> float:
        return normal.upper_tail(min(t, self._bent(t)), self.df)

    def limits(self, z: float) -> tuple[float, float]:
        """The statistics that leave too little below and above: negative, and positive."""
        return min(-z, self._straight(-z)), max(z, self._straight(z))

    def follows(self, z: float) -> bool:
        """Whether the skewness still leaves bounds on both sides."""
        return _slope(abs(self.skew)) * (-z - abs(self.skew) / 6) > -_EDGE

    def _bent(self, t: float) -> float:
        slope = _slope(self.skew)
        if not slope:
            return t
        return math.expm1(min(slope * t, 700.0)) / slope + self.skew / 6

    def _straight(self, z: float) -> float:
        slope = _slope(self.skew)
        if not slope:
            return z
        return math.log1p(max(slope * (z - self.skew / 6), -_EDGE)) / slope


def _slope(skew: float) -> float:
    return 0.0 if abs(skew) < 1e-9 else 2 * skew / 3


def bounds(
    units: Floats,
    found: Sum,
    *,
    confidence: float,
    method: str,
    too_little: str = "",
    effective: float | None = None,
    moved: Callable[[Floats], float] | None = None,
) -> Bounds:
    """The bounds of the difference, whose error is the mean of `units` (m,), but for a constant.

    `effective` is how many equal units say as much as these unequal ones: m where they are equal.
    `moved` is, for a metric that is no mean, the difference when each unit weighs a given number (m,) of times what it
    does. `too_little` is why the bounds may not decide, whatever they say.
    Raises UndefinedError for what is no finite number.
    """
    size = len(units)
    unlike, mean, *moments = _moments(units, _ROUNDING * max(abs(found.a), abs(found.b), abs(found.difference)))
    if not all(map(math.isfinite, (found.difference, mean, *moments))):
        raise UndefinedError(TOO_LARGE)
    if not unlike or size < 2:
        return _alone(found, method, too_little or _nothing_varies(found))
    variance, cubes, fourths = moments
    se = math.sqrt(variance / (size - 1))
    skew = cubes / variance**1.5 / math.sqrt(size)
    if moved is not None and abs(skew) > _STRAIGHT:
        skew += 3 * _curvature(moved, (units - mean) / (size * se), found.difference, se)
    peaked = fourths / variance**2  # 3 where the units are normal
    df = max(1.0, (size if effective is None else effective) - 1)
    if moved is not None:  # what is known of the variance itself (Satterthwaite)
        df = max(1.0, min(df, 2 * size / max(peaked - 1, 1e-9)))
    more = _MORE_SKEWED if moved is None else _MORE_CURVED
    shape = _Shape(df, skew=(1 + more * math.sqrt(peaked / size)) * skew)
    z = normal.quantile(confidence, shape.df)
    if not too_little and unlike < LEAST_UNLIKE:
        too_little = f"only {unlike} differ from all the others, {LEAST_UNLIKE} needed"
    if not too_little and not shape.follows(z):
        too_little = "a few of them make nearly all of the difference"
    low, high = shape.limits(z)
    centre, slack = found.difference, (found.too_low, found.too_high)
    return Bounds(
        found.a,
        found.b,
        centre,
        lower=centre - se * high - slack[1],
        upper=centre - se * low + slack[0],
        se=se,
        rows=found.rows,
        method=method,
        below=_never if too_little else (lambda x: shape.below((centre + slack[0] - x) / se)),
        above=_never if too_little else (lambda x: shape.above((centre - slack[1] - x) / se)),
        too_little=too_little,
    )


def _moments(units: Floats, rounding: float) -> tuple[int, float, float, float, float]:
    """How many units differ from the value that most have; their mean; the second to fourth central moments.

    The count is exact below LEAST_UNLIKE, and no less than that above: if fewer than five differ, then of any nine the
    middle one has the value of all the others.
    """
    size = len(units)
    if not size:
        return 0, 0.0, 0.0, 0.0, 0.0
    most = float(np.median(units[: 2 * LEAST_UNLIKE - 1]))
    unlike, squares, cubes, fourths = 0, 0.0, 0.0, 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(units.mean())
        for start in range(0, size, _BLOCK):  # what fits into the processor's cache
            block = units[start : start + _BLOCK]
            unlike += int(np.count_nonzero(np.abs(block - most) > rounding))
            away = block - mean
            squared = np.square(away)
            squares += float(squared.sum())
            cubes += float(squared @ away)
            fourths += float(squared @ squared)
    return unlike, mean, squares / size, cubes / size, fourths / size


def _curvature(moved: Callable[[Floats], float], tilt: Floats, centre: float, se: float) -> float:
    """How far the metric bends when the units' weights move along what they add: per standard error, 0 for a mean."""
    up, down = moved(1 + _STEP * tilt), moved(1 - _STEP * tilt)
    return (up + down - 2 * centre) / (2 * se * _STEP**2)


def _alone(found: Sum, method: str, too_little: str) -> Bounds:
    centre = found.difference
    return Bounds(found.a, found.b, centre, centre, centre, 0.0, found.rows, method, too_little=too_little)


def _nothing_varies(found: Sum) -> str:
    if found.difference == 0 and found.a == found.b:
        return "the two do not differ anywhere, which says nothing of other rows"
    return "nothing varies from row to row, which says nothing of other rows"


_never: Callable[[float], float] = lambda _: 1.0  # noqa: E731  nothing is proven
