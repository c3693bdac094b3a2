"""The bins that a profile froze, with what they are called: the same for every window, so that readings compare. Pure.

- Numbers: one bin up to each of the profile's edges, (a, b], open at both ends, and one for missing values.
- Numbers of few different values, and categories: one bin for each value that the profile keeps, one for all others
  (those that are rare in the reference and those that it does not know), and one for missing values.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from mlgate.data.profiles.frozen import frozen
from mlgate.data.profiles.nouns import Column

MISSING, OTHER = "missing", "other"


@dataclass(frozen=True)
class Bins:
    """`before`: rows of the reference in each bin; the last one is of missing values."""

    labels: tuple[str, ...]
    before: tuple[int, ...]
    edges: tuple[float, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def categories(self) -> bool:
        return OTHER in self.labels[-2:]


def bins(column: Column) -> Bins:
    """Of a column of a profile. One that is hidden has a bin for all of its values."""
    found = frozen(column)
    if column.kind != "hidden" and (column.kind == "category" or column.values):
        return Bins((*found.kept, OTHER, MISSING), found.counts, kept=found.kept)
    return Bins((*spans(column), MISSING), found.counts, edges=found.edges)


def spans(column: Column) -> list[str]:
    """`<= 18`, `18 to 25`, ..., `> 70`; days where a column holds moments."""
    if not column.edges:
        return ["all values"]
    said = [written(edge, column.of) for edge in column.edges]
    return [f"<= {said[0]}", *(f"{a} to {b}" for a, b in pairwise(said)), f"> {said[-1]}"]


def written(value: float, of: str) -> str:
    """A value of a column of that, as people read it: moments are days."""
    if of != "moment":
        return f"{value:.4g}"
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)
    except (OverflowError, ValueError):
        return f"{value:.4g} s"
    return f"{moment:%Y-%m-%d}"
