# ruff: noqa: S608 -- every name and constant is escaped by `values`
"""Values at given places of a column's sorted order, exactly, in memory that does not grow with the rows.

DuckDB's own quantiles hold every value. Here the values are counted in buckets between the least and the greatest; the
bucket that holds the place is divided again, until few enough values are left to sort. Every pass reads the column once
and keeps only counts. Buckets follow the order of the values whatever the rounding of their borders, because each knows
the least and greatest value that fell into it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

_BUCKETS = 4096
_FEW = 10_000  # values of one bucket that may be fetched

Ask = Callable[[str], list[tuple[Any, ...]]]


def bounds(value: str, type_: str) -> tuple[str, str, str, str]:
    """Aggregates that `select` starts from: the least and greatest finite value, how many are -inf, how many finite."""
    if type_ not in {"FLOAT", "DOUBLE"}:
        return f"min({value})", f"max({value})", "0", f"count({value})"
    finite = f"FILTER (WHERE isfinite({value}))"
    below = f"count(*) FILTER (WHERE {value} = CAST('-inf' AS DOUBLE))"
    return f"min({value}) {finite}", f"max({value}) {finite}", below, f"count(*) {finite}"


def select(
    ask: Ask, source: str, value: str, type_: str, *, found_bounds: Sequence[Any], places: Sequence[int]
) -> list[Any]:
    """The values at `places` (from 0) among those of the column `value` of `source` that are not missing."""
    low, high, below, count = found_bounds
    found: dict[int, Any] = {}
    inner = []
    for place in dict.fromkeys(places):
        if place < below:
            found[place] = float("-inf")
        elif place >= below + count:
            found[place] = float("inf")
        else:
            inner.append(place)
    search = _Search(ask, source, value, type_)
    search.within(low, high, {place - below: place for place in inner}, found)
    search.fetch(found)
    return [found[place] for place in places]


class _Search:
    def __init__(self, ask: Ask, source: str, value: str, type_: str) -> None:
        self.ask, self.source, self.value, self.type = ask, source, value, type_
        self.parts: list[tuple[str, int, dict[int, int]]] = []  # SQL, how many values, wanted: to be fetched together

    def constant(self, value: Any) -> str:
        return f"CAST('{value!r}' AS {self.type})" if isinstance(value, float) else f"CAST('{value}' AS {self.type})"

    def within(self, low: Any, high: Any, wanted: dict[int, int], found: dict[int, Any]) -> None:
        """`wanted`: place among the values from `low` to `high` -> place asked for, at which to put it in `found`."""
        if not wanted:
            return
        if low == high:
            found.update(dict.fromkeys(wanted.values(), low))
            return
        inside = f"{self.value} BETWEEN {self.constant(low)} AND {self.constant(high)}"
        # Halved, so that the distance of two doubles is never infinite.
        start, width = f"CAST({self.constant(low)} AS DOUBLE) / 2", (float(high) / 2 - float(low) / 2) / _BUCKETS
        if not width:
            self.sorted(inside, wanted, found)
            return
        bucket = f"floor((CAST({self.value} AS DOUBLE) / 2 - {start}) / CAST('{width!r}' AS DOUBLE))"
        bucket = f"CAST(least({_BUCKETS - 1}, greatest(0, {bucket})) AS INTEGER)"
        counted = self.ask(
            f"SELECT {bucket}, count(*), min({self.value}), max({self.value}) "
            f"FROM {self.source} WHERE {inside} GROUP BY 1 ORDER BY 1"
        )
        before = 0
        for _, count, least, most in counted:
            here = {place - before: asked for place, asked in wanted.items() if before <= place < before + count}
            before += count
            if here and least != most and len(counted) == 1:
                self.sorted(inside, here, found)  # doubles cannot tell them apart
            elif here and least != most and count <= _FEW:
                part = f"{self.value} BETWEEN {self.constant(least)} AND {self.constant(most)}"
                self.parts.append((part, count, here))
            else:
                self.within(least, most, here, found)

    def fetch(self, found: dict[int, Any]) -> None:
        """The small parts, which come in the order of their values."""
        if not self.parts:
            return
        inside = " OR ".join(f"({part})" for part, _, _ in self.parts)
        values = self.ask(f"SELECT {self.value} FROM {self.source} WHERE {inside} ORDER BY 1")
        before = 0
        for _, count, wanted in self.parts:
            found.update({asked: values[before + place][0] for place, asked in wanted.items()})
            before += count

    def sorted(self, inside: str, wanted: dict[int, int], found: dict[int, Any]) -> None:
        for place, asked in wanted.items():
            query = f"SELECT {self.value} FROM {self.source} WHERE {inside} ORDER BY 1 LIMIT 1 OFFSET {place}"
            found[asked] = self.ask(query)[0][0]
