"""What a reference profile holds. Plain data; its JSON is canonical, so the same rows give the same bytes.

One tie rule holds everywhere: a value that is equal to a knot belongs to the bin below it; bins are (a, b], the first
and the last one are open. Numbers are compared as doubles, moments as seconds since 1970 (UTC).

One floor holds everywhere: what fewer than `FLOOR` rows share is in no profile. Categories that are rarer are counted
together; every bin between knots has that many rows; a knot lies between two values, unless that many rows have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SCHEMA = 1
FLOOR = 10  # rows that have to share what is written down
Kind = Literal["number", "category", "hidden"]
Of = Literal["number", "moment", "boolean", "text", "private", "other"]


@dataclass(frozen=True)
class Column:
    """One column. `missing` counts nulls and NaN; `rows` are missing ones and values together.

    number:   `knots` ascending and frozen; `below[i]` = how many values are <= knots[i]. `least`/`most` hold all values
              but `outside`, fewer than FLOOR on each side. Numbers of few different values are categories as well:
              `values` by the number's text.
    category: `values` -> rows, without those too rare to be told apart; `other` = (different values, rows) of these;
              `once` = how many of the values are there only once.
    hidden:   a private column, or one of lists and the like: nothing but how often it is missing.
    `edges` or `kept` are the frozen bins that PSI compares and days count: see `frozen`.
    """

    kind: Kind
    rows: int
    missing: int
    distinct: int = 0
    of: Of = "number"
    knots: tuple[float, ...] = ()
    below: tuple[int, ...] = ()
    edges: tuple[float, ...] = ()  # some of the knots, about the deciles
    least: float | None = None
    most: float | None = None
    outside: int = 0
    infinite: int = 0  # values that are; mean and spread leave them out
    mean: float | None = None
    spread: float | None = None  # standard deviation, n - 1
    values: Mapping[str, int] = field(default_factory=dict)
    kept: tuple[str, ...] = ()  # those of the values that have a bin of their own
    other: tuple[int, int] = (0, 0)
    once: int = 0
    error: float = 0.0  # the share of rows that may be on the other side of a knot: 0 unless unlike knots were merged


@dataclass(frozen=True)
class Frozen:
    """The bins of one column and its rows in them.

    Numbers: one bin up to each edge, the one above, missing ones. Categories, and numbers that are: one each, all
    others together (also those that nobody knew), missing ones.
    """

    edges: tuple[float, ...]
    kept: tuple[str, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Day:
    """One day (UTC) of the reference: rows, and per column the counts of its frozen bins, in the order of `Frozen`."""

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
    data: Mapping[str, str] = field(default_factory=dict)  # path -> "dvc-md5:..." or "sha256:..." of what made it
    digest: str = ""  # sha256 of the model, where it is known
