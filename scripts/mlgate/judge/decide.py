"""What bounds mean: better, no worse than the margin allows, worse, or not to be decided. Plain arithmetic."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal

from mlgate.judge.measures import Bounds

Outcome = Literal["superior", "non-inferior", "worse", "inconclusive"]

POWER = 0.9  # of a comparison that has as many rows as `needed` says
_WIDEST = 1.25  # times the normal bounds
_NORMAL = NormalDist()


def outcome(bounds: Bounds, margin: float, greater_is_better: bool, *, plain: Bounds | None = None) -> Outcome:
    """What `bounds` of challenger - ratio * champion say of a harm that may be `margin` at most (0 or more).

    A bound that lies on the margin passes; one that is NaN, or of too little data, decides nothing. A relative margin
    is in the ratio, so that `margin` is 0 and being above it is no more than not being worse: `plain` are then the
    bounds with ratio 1, by which the challenger may be superior. Raises ValueError for a margin that is no limit.
    """
    if not 0 <= margin < math.inf:
        raise ValueError(f"a margin is a number that is not negative, and {margin} is not")
    if bounds.too_little:
        return "inconclusive"
    low, high = _gain(bounds, greater_is_better)
    if not low <= high:  # NaN, or bounds that exclude each other
        return "inconclusive"
    if low >= -margin:
        return "superior" if _superior(plain or bounds, greater_is_better) else "non-inferior"
    return "worse" if high < -margin else "inconclusive"


def _superior(bounds: Bounds, greater_is_better: bool) -> bool:
    return not bounds.too_little and _gain(bounds, greater_is_better)[0] > 0


def _gain(bounds: Bounds, greater_is_better: bool) -> tuple[float, float]:
    """The bounds of what is gained: above 0 is better."""
    return (bounds.lower, bounds.upper) if greater_is_better else (-bounds.upper, -bounds.lower)


def relative_margin(bounds: Bounds, ratio: float) -> float:
    """The margin that `ratio` leaves between two equally good models: what `needed` takes of a relative rule."""
    return abs(1 - ratio) * abs(bounds.b)


def needed(bounds: Bounds, margin: float, confidence: float, power: float = POWER) -> int | None:
    """How many rows like these would show, with that power, that two equally good models are within the margin.

    n * (((z of the confidence) + (z of the power)) * standard error / margin)^2, where bounds that are wider than the
    normal ones (few clusters, skewed losses) count as wide as they are, up to a limit: with more rows they get nearer.
    None where no number of rows does: a margin of 0, or rows that say nothing of how much the difference varies.
    """
    normal = bounds.se * quantile(confidence)
    width = min(max((bounds.upper - bounds.lower) / 2, normal), _WIDEST * normal)
    spread = width + bounds.se * quantile(power)
    if not (margin > 0 and 0 < spread < math.inf and bounds.rows > 0):
        return None
    fold = spread / margin
    rows = bounds.rows * fold * fold
    return math.ceil(rows) if rows < math.inf else None


def bonferroni(confidence: float, count: int) -> float:
    """The confidence at which each of `count` comparisons is made, so that all of them together have `confidence`."""
    if count < 1:
        raise ValueError(f"{count} comparisons cannot share a confidence")
    return 1 - (1 - confidence) / count


def quantile(p: float) -> float:
    """Of the standard normal distribution: quantile(0.95) is 1.645. Raises ValueError outside 0 < p < 1."""
    return _NORMAL.inv_cdf(p)


def upper_tail(z: float) -> float:
    """The share of the standard normal distribution above z: upper_tail(1.645) is 0.05, and exact far out too."""
    return 0.5 * math.erfc(z / math.sqrt(2))
