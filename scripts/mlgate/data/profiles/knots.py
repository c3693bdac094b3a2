"""Knots: where the distribution function of a column is written down. Pure.

A knot stands near a quantile, at the shortest decimal that lies between two values there: it is short, it is nobody's
own value, and how many values are at most that is counted exactly. A value that many rows share has a knot of its own
and one just before it, so that a jump stays a jump.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mlgate.data.profiles.nouns import FLOOR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

BINS = 1024  # at most; between two knots lies a thousandth of the values
_PLAY = 0.1  # of a bin: how far from its quantile a knot may be, to be short


def starts(values: Floats) -> Counts:
    """Where each different value begins among the sorted ones."""
    return (
        np.concatenate(([0], np.flatnonzero(values[1:] != values[:-1]) + 1)) if len(values) else np.zeros(0, np.int64)
    )


def knots(values: Floats, begin: Counts, *, floor: int = FLOOR) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Knots of sorted values without NaN, and how many of the values are at most each. `begin`: their `starts`.

    Between two knots, before the first and after the last one are at least `floor` values.
    """
    size = len(values)
    bins = min(BINS, int(size * (1 - 2 * _PLAY)) // floor)  # so that even the shortest bin has enough
    if bins < 2:
        return (), ()
    different, until = values[begin], np.append(begin[1:], size)  # how many values are at most that
    width = size / bins
    targets = np.arange(1, bins) * width
    firsts = np.searchsorted(until, np.ceil(targets - width * _PLAY).astype(np.int64))
    lasts = np.searchsorted(until, np.floor(targets + width * _PLAY).astype(np.int64), side="right") - 1
    chosen: list[float] = []
    for pair in dict.fromkeys(zip(firsts.tolist(), lasts.tolist(), strict=True)):
        chosen += _about(different, until, pair, floor)
    found = np.unique(np.array([knot for knot in chosen if math.isfinite(knot)], dtype=np.float64))
    below = np.searchsorted(values, found, side="right")
    return _apart(found, below, size, floor)


def _about(different: Floats, until: Counts, among: tuple[int, int], floor: int) -> list[float]:
    """Where a knot may be: after one of the values `among`; two around a value that many rows share."""
    at = among[0]
    if at <= among[1]:
        return between(different, until, among, floor)
    # The rows of this value reach beyond the play on both sides.
    before = between(different, until, (at - 1, at - 1), floor, near=True) if at else []
    return [*before, *_own(different, until, at, floor)]


def _own(different: Floats, until: Counts, at: int, floor: int) -> list[float]:
    rows = int(until[at]) - (int(until[at - 1]) if at else 0)
    return [float(different[at])] if rows >= floor else between(different, until, (at, at), floor)


def between(different: Floats, until: Counts, among: tuple[int, int], floor: int, *, near: bool = False) -> list[float]:
    """A short decimal that is not below the first value of `among`, and is below the one after the last of them.

    It is a value only where `floor` rows have it. `near`: close to the upper end.
    """
    first, last = among
    if last + 1 >= len(different):
        return []
    low, high = float(different[first]), float(different[last + 1])
    gap = (first + last) // 2
    inner = float(different[gap]) / 2 + float(different[gap + 1]) / 2  # between two values, whatever lies around them
    wanted = [low / 8 + high / 8 * 7, low, inner] if near else [low, low / 2 + high / 2, inner]
    able = [one for one in wanted if math.isfinite(one)]
    for digits in (*range(1, 16), 17):
        for one in able:
            short = float(f"{one:.{digits}g}")
            if low <= short < high and _shared(different[: last + 1], until, short, floor):
                return [short + 0.0]  # no negative zero
    return []


def _shared(different: Floats, until: Counts, knot: float, floor: int) -> bool:
    """Whether a knot is no value, or one of enough rows."""
    at = int(np.searchsorted(different, knot))
    if at == len(different) or different[at] != knot:
        return True
    return int(until[at]) - (int(until[at - 1]) if at else 0) >= floor


def _apart(found: Floats, below: Counts, size: int, floor: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Without the knots that have fewer than `floor` values between them."""
    kept: list[tuple[float, int]] = []
    reached = 0
    for knot, count in zip(found.tolist(), below.tolist(), strict=True):
        if count - reached >= floor and size - count >= floor:
            kept.append((knot, count))
            reached = count
    return tuple(knot for knot, _ in kept), tuple(count for _, count in kept)


def edges(knots: tuple[float, ...], below: tuple[int, ...], size: int, *, many: int = 10) -> tuple[float, ...]:
    """The knots nearest to the deciles, without repetition: the frozen edges of bins."""
    if not knots:
        return ()
    counts = np.array(below, dtype=np.float64)
    places = [int(np.abs(counts - size * part / many).argmin()) for part in range(1, many)]
    return tuple(knots[place] for place in sorted(set(places)))


def ends(values: Floats, *, floor: int = FLOOR) -> tuple[float, float] | None:
    """A range that holds all of the sorted, finite values but fewer than `floor` on each side; it is round."""
    if len(values) < 2 * floor:
        return None
    low, high = float(values[floor - 1]), float(values[-floor])
    around = max(high / 2 - low / 2, max(abs(low), abs(high)) / 2)
    inner = high / 2 - low / 2
    # A hundredth of the range, as a power of ten; of a constant, of its size.
    step = math.floor(math.log10(inner if inner > around * 1e-12 else around)) - 1 if around > 0 else 0
    return _outward(low, step, down=True), _outward(high, step, down=False)


def _outward(value: float, step: int, *, down: bool) -> float:
    """The next multiple of ten to the power of `step`, away from the middle; the value where no double is that."""
    from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal  # noqa: PLC0415

    context = Context(prec=400, Emin=-2000, Emax=2000)
    rounded = Decimal(value).scaleb(-step, context).to_integral_value(ROUND_FLOOR if down else ROUND_CEILING, context)
    found = float(rounded.scaleb(step, context))
    if not math.isfinite(found) or (found > value if down else found < value):
        return value
    return found + 0.0
