"""A column of numbers, from all of its values. Pure."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlgate.data.profiles import categories, knots
from mlgate.data.profiles.nouns import FLOOR, Column, Of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def described(values: Floats, count: int, of: Of, like: Column | None = None) -> Column:
    """The column of so many rows whose values these are, in any order; they are sorted in place, and NaN is missing.

    `like`: a column of numbers whose knots, edges and categories are taken.
    """
    values += 0.0  # no negative zero, which would be another text
    values.sort()
    values = values[: int(np.searchsorted(values, math.nan))]
    one = Column("number", count, count - len(values), of=of)
    if not len(values):
        return one if like is None else replace(one, knots=like.knots, below=(0,) * len(like.knots), edges=like.edges)
    starts = knots.starts(values)
    one = replace(one, distinct=len(starts), **_moments(values))
    if like is not None:
        below = np.searchsorted(values, np.array(like.knots, dtype=np.float64), side="right")
        one = replace(one, knots=like.knots, below=tuple(below.tolist()), edges=like.edges)
    else:
        places, counts = knots.knots(values, starts)
        one = replace(one, knots=places, below=counts, edges=knots.edges(places, counts, len(values)))
    few = len(starts) <= categories.FEW if like is None else bool(like.values)
    return _with_values(one, values, starts, like) if few else one


def _with_values(one: Column, values: Floats, starts: NDArray[np.int64], like: Column | None) -> Column:
    """Numbers of few different values are categories as well, where any of them may be said."""
    each = np.diff(np.append(starts, len(values))).tolist()
    pairs = list(zip(map(written, values[starts].tolist()), each, strict=True))
    seen = categories.counted(pairs, (0, 0), one.rows, only=None if like is None else like.values)
    if not seen.values:
        return one
    kept = seen.kept if like is None else like.kept
    if 0 < seen.other[1] < FLOOR:  # what the others come to would follow from all that is said
        said = np.repeat([float(name) for name in seen.values], list(seen.values.values()))
        around = _around(said[np.isfinite(said)])
        one = replace(one, mean=around["mean"], spread=around["spread"])
    return replace(one, values=seen.values, kept=kept, other=seen.other, once=sum(n == 1 for n in each))


def written(value: float) -> str:
    """A number as the name of a category: 3, not 3.0."""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _moments(values: Floats) -> dict[str, Any]:
    """Of sorted values: range, mean and standard deviation, of enough of them.

    What lies outside of the range counts as if it lay at its end: else the mean would tell the largest income.
    """
    finite = values[np.searchsorted(values, -math.inf, side="right") : np.searchsorted(values, math.inf)]
    infinite = len(values) - len(finite)
    around = knots.ends(finite)
    if around is None:
        return {"infinite": infinite}
    low, high = around
    outside = int(np.searchsorted(finite, low) + len(finite) - np.searchsorted(finite, high, side="right"))
    return {
        "least": low, "most": high, "outside": outside, "infinite": infinite, **_around(np.clip(finite, low, high))
    }  # fmt: skip


def _around(finite: Floats) -> dict[str, float]:
    """Mean and standard deviation; `finite` is used up."""
    # Scaled, so that no square is beyond what a double holds.
    size = float(np.abs(finite).max(initial=0.0)) or 1.0
    finite /= size
    mean = float(finite.mean())
    finite -= mean
    spread = math.sqrt(float(np.square(finite, out=finite).sum()) / (len(finite) - 1))
    return {"mean": _short(mean * size), "spread": _short(spread * size)}


def _short(value: float) -> float:
    """Twelve digits: what adding up in another order leaves the same."""
    return float(f"{value:.12g}") + 0.0
