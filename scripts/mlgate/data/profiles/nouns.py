"""What a reference profile holds. Plain data; its JSON is canonical, so the same rows give the same bytes.

One tie rule holds everywhere: a value that is equal to a knot belongs to the bin below it; bins are (a, b], the first
and the last one are open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SCHEMA = 1
Kind = Literal["number", "category"]


@dataclass(frozen=True)
class Column:
    """One column. `missing` counts nulls and NaN; `rows` of the profile are missing ones and values together.

    number:   `knots` ascending and frozen; `below[i]` = how many values are <= knots[i]. `least`/`most` are clipped so
              that they are nobody's own. Numbers of few different values are categories as well: `values`.
    category: `values` -> rows, without those too rare to be told apart; `other` = (different values, rows) of these;
              `once` = how many of the values are there only once.
    """

    kind: Kind
    missing: int
    distinct: int
    knots: tuple[float, ...] = ()
    below: tuple[int, ...] = ()
    least: float | None = None
    most: float | None = None
    mean: float | None = None
    spread: float | None = None  # standard deviation
    values: Mapping[str, int] = field(default_factory=dict)
    other: tuple[int, int] = (0, 0)
    once: int = 0


@dataclass(frozen=True)
class Day:
    """One day of the reference: rows, and per column the counts of its frozen bins (deciles, or categories)."""

    day: str  # 2026-10-01
    rows: int
    counts: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Profile:
    """Of one model's training data and predictions."""

    model: str
    rows: int
    columns: Mapping[str, Column]  # features
    prediction: Column | None = None
    score: Column | None = None
    days: tuple[Day, ...] = ()
    data: Mapping[str, str] = field(default_factory=dict)  # path -> "sha256:..." of what it was made of
    digest: str = ""  # sha256 of the model, where it is known
