"""Profiles of parts (shards, days) added up to that of the whole. Pure.

Where the knots are the same, as those of profiles that were built `like` one another, every count of the sum is exact.
Where they are not, the sum has the knots of both; at a knot that only one side has, the other's count is taken from the
straight line between its own knots. That is off by less than the bin it lies in, and `Column.error` says by how much.
Categories that one side lists and the other does not are counted where they are listed; all rows add up in any case.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from mlgate.data.profiles.nouns import Column, Day, Profile
from mlgate.errors import MlgateError

KNOTS = 1024  # of the sum, beside the edges of its bins


def merge(profiles: Sequence[Profile]) -> Profile:
    """The profile of all their rows. Bins are those of the first one.

    `distinct` and `once` are no longer exact: as many values as the part with the most of them had, and the values that
    any part had once. A day is kept where all parts count it over the same bins.
    Raises MlgateError for none, and for profiles of different models, columns or versions of one file.
    """
    if not profiles:
        raise MlgateError("there are no profiles to be added up.")
    return reduce(_two, profiles)


def _two(a: Profile, b: Profile) -> Profile:
    if a.model != b.model:
        raise MlgateError(f"profiles of {a.model} and of {b.model} cannot be added up.", fix="Name those of one model.")
    if a.digest and b.digest and a.digest != b.digest:
        raise MlgateError(f"profiles of two versions of {a.model} cannot be added up.", fix="Make them of one.")
    if apart := sorted(set(a.columns) ^ set(b.columns)):
        raise MlgateError(
            f"the column {apart[0]!r} is in one of the profiles and not in the other.", fix="Describe the same columns."
        )
    if differing := [path for path in a.data if b.data.get(path, a.data[path]) != a.data[path]]:
        raise MlgateError(f"the profiles were made of different versions of {differing[0]}.", fix="Make them anew.")
    columns = {name: _column(one, b.columns[name], name) for name, one in a.columns.items()}
    return Profile(
        model=a.model,
        rows=a.rows + b.rows,
        columns=columns,
        prediction=_said(a.prediction, b.prediction, "prediction"),
        score=_said(a.score, b.score, "score"),
        days=_days(a, b),
        data={**a.data, **b.data},
        digest=a.digest or b.digest,
    )


def _said(a: Column | None, b: Column | None, name: str) -> Column | None:
    return _column(a, b, name) if a and b else a or b


def _column(a: Column, b: Column, name: str) -> Column:
    rows, missing = a.rows + b.rows, a.missing + b.missing
    if "hidden" in (a.kind, b.kind):  # what one part keeps private, the sum does
        of = a.of if a.kind == "hidden" else b.of
        return Column("hidden", rows, missing, of=of)
    if (a.kind, a.of) != (b.kind, b.of):
        raise MlgateError(
            f"{name} holds {a.of} in one of the profiles and {b.of} in the other.", key=name, fix="Mend its type."
        )
    one = Column(
        a.kind, rows, missing, max(a.distinct, b.distinct), a.of, edges=a.edges or b.edges,
        once=a.once + b.once, **_values(a, b),
    )  # fmt: skip
    if a.kind == "category":
        return one
    one = _ranges(one, a, b)
    knots = a.knots if a.knots == b.knots else _thinned(a, b)
    sums = [_at(a, knot) + _at(b, knot) for knot in knots]
    values = rows - missing
    off = _present(a) * _error(a, knots) + _present(b) * _error(b, knots)
    return replace(
        one,
        knots=knots,
        below=tuple(round(each) for each in sums),
        error=float(f"{off / values:.6g}") if values else 0.0,
    )


def _present(one: Column) -> int:
    return one.rows - one.missing


def _values(a: Column, b: Column) -> dict[str, Any]:
    """Listed values, and the rest. Numbers of few values in one part only are no categories of the whole."""
    if a.kind == "number" and bool(a.values) != bool(b.values) and _present(a) and _present(b):
        return {}
    listed = Counter(a.values) + Counter(b.values)
    names = sorted({*a.values, *b.values})
    return {
        "values": {name: listed[name] for name in names},
        "kept": a.kept or b.kept,
        "other": (max(a.other[0], b.other[0]), a.other[1] + b.other[1]),
    }


def _ranges(one: Column, a: Column, b: Column) -> Column:
    """With range, mean and spread: where a part is too small to say its own, the sum has none either."""
    able = [each for each in (a, b) if _present(each)]
    one = replace(one, outside=a.outside + b.outside, infinite=a.infinite + b.infinite)
    lows, highs = [each.least for each in able], [each.most for each in able]
    if able and None not in lows and None not in highs:
        one = replace(
            one,
            least=min(each for each in lows if each is not None),
            most=max(each for each in highs if each is not None),
        )
    pairs = [(_present(each) - each.infinite, each.mean, each.spread) for each in able]
    measured = [(size, mean, spread) for size, mean, spread in pairs if mean is not None and spread is not None]
    if not able or len(measured) < len(able):
        return one
    total = sum(size for size, _, _ in measured)
    around = sum(size / total * mean for size, mean, _ in measured)
    square = sum(
        (size - 1) / (total - 1) * spread**2 + size / (total - 1) * (mean - around) ** 2
        for size, mean, spread in measured
    )
    return replace(one, mean=float(f"{around:.12g}"), spread=float(f"{square**0.5:.12g}"))


# -- knots -------------------------------------------------------------------------------------------------------------


def _at(one: Column, knot: float) -> float:
    """How many values are at most that: counted at a knot of its own, else between its neighbours."""
    place = bisect_left(one.knots, knot)
    if place < len(one.knots) and one.knots[place] == knot:
        return one.below[place]
    low, high = _around(one, place)
    left = one.knots[place - 1] if place else one.least
    right = one.knots[place] if place < len(one.knots) else one.most
    if left is None or right is None or not left < right:
        return (low + high) / 2
    return low + (high - low) * min(1.0, max(0.0, (knot - left) / (right - left)))


def _around(one: Column, place: int) -> tuple[int, int]:
    """The counts on both sides of the bin before knot `place`."""
    below = (0, *one.below, _present(one))
    return below[place], below[place + 1]


def _error(one: Column, knots: Sequence[float]) -> float:
    """The largest share of its values that may be on the other side of one of these knots."""
    own = set(one.knots)
    strange = {bisect_left(one.knots, knot) for knot in knots if knot not in own}
    widest = max((high - low for low, high in (_around(one, place) for place in strange)), default=0)
    return one.error + (widest / _present(one) if _present(one) else 0.0)


def _thinned(a: Column, b: Column) -> tuple[float, ...]:
    """The knots of both; where they are too many, those that leave the bins most alike. The edges are among them."""
    every = sorted({*a.knots, *b.knots})
    if len(every) <= KNOTS:
        return tuple(every)
    sums = [_at(a, knot) + _at(b, knot) for knot in every]
    size = _present(a) + _present(b)
    chosen = set(a.edges or b.edges)
    chosen |= {every[min(bisect_left(sums, size * part / KNOTS), len(every) - 1)] for part in range(1, KNOTS)}
    return tuple(sorted(chosen))


# -- days --------------------------------------------------------------------------------------------------------------


def _days(a: Profile, b: Profile) -> tuple[Day, ...]:
    same = {n for n, one in a.columns.items() if (one.edges, one.kept) == (b.columns[n].edges, b.columns[n].kept)}
    found: dict[str, Day] = {}
    for day in (*a.days, *b.days):
        counts = {name: each for name, each in day.counts.items() if name in same}
        before = found.get(day.day)
        if before is not None:
            counts = {
                name: tuple(x + y for x, y in zip(each, counts[name], strict=True))
                for name, each in before.counts.items()
                if name in counts
            }
        found[day.day] = Day(day.day, day.rows + (before.rows if before else 0), counts)
    return tuple(found[day] for day in sorted(found))
