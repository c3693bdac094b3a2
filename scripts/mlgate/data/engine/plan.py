"""What one expectation needs of the scan, and what it makes of the answer. Pure: SQL text in, an Outcome out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil, floor
from typing import Any

from mlgate.data.engine.values import Unfit
from mlgate.data.nouns import Outcome

ROWS = "count(*)"
# Where a query says FROM: the data, and the data with mlgate_file and mlgate_row. No text constant can hold these.
VIEW, NUMBERED = "\0view\0", "\0numbered\0"


@dataclass(frozen=True)
class Distinct:
    """How many different values (or tuples) there are among the rows `where`. Exact, and its memory can be limited."""

    keys: tuple[str, ...]
    where: str

    @property
    def sql(self) -> str:
        key = self.keys[0] if len(self.keys) == 1 else f"row({', '.join(self.keys)})"
        return f"count(DISTINCT {key}) FILTER (WHERE {self.where})"


@dataclass(frozen=True)
class Rank:
    """Which of n sorted values: `share` of the way from the first (0) to the last (1)."""

    share: float
    rounding: str = "nearest"  # half to even, as numpy does | lower | higher

    def index(self, n: int) -> int:
        """Counting from 0."""
        place = (n - 1) * self.share
        if self.rounding == "nearest":
            return round(place)
        return floor(place) if self.rounding == "lower" else ceil(place)

    @property
    def function(self) -> str:
        return {"nearest": "round_even", "lower": "floor", "higher": "ceil"}[self.rounding]


@dataclass(frozen=True)
class Ranks:
    """Values of a column at given places of its sorted order, exactly."""

    sql: str
    type: str
    ranks: tuple[Rank, ...]

    @property
    def count(self) -> str:
        return f"count({self.sql})"

    @property
    def inline(self) -> str:
        """All in one aggregate: every value is held in memory."""
        places = ", ".join(
            f"CAST({rank.function}((count({self.sql}) - 1) * CAST('{rank.share!r}' AS DOUBLE)"
            f"{', 0' if rank.rounding == 'nearest' else ''}) AS BIGINT) + 1"
            for rank in self.ranks
        )
        # `list` keeps missing values too; list_sort would put them first.
        return f"list_select(list_sort(list({self.sql}) FILTER (WHERE {self.sql} IS NOT NULL)), [{places}])"


class Values:
    """What the scan found: an aggregate's SQL -> its value."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.found = dict(found)

    def __getitem__(self, sql: str) -> Any:
        return self.found[sql]

    @property
    def rows(self) -> int:
        return int(self.found[ROWS])

    def count(self, sql: str) -> int:
        value = self.found[sql]
        if value is None:
            raise Unfit("DuckDB gave no count.")
        return int(value)


@dataclass(frozen=True)
class Seen:
    """What came of one expectation, before it is dressed as an Outcome. `holds` has no default on purpose."""

    holds: bool
    observed: float | int | str | None = None
    nulls: int = 0
    unexpected: int | None = None


@dataclass(frozen=True)
class Plan:
    """How an expectation is answered.

    `judge` raises Unfit when the values allow no answer, and Leave when only Great Expectations can give one.
    """

    judge: Callable[[Values], Seen]
    needs: tuple[str, ...] = ()  # aggregates of the one pass
    distinct: tuple[Distinct, ...] = ()
    ranks: tuple[Ranks, ...] = ()
    later: Callable[[Values], str] | None = None  # a query that the first answers ask for, or ""
    broken: Callable[[Values], str] | None = None  # SQL that is true for a row that breaks it
    shows: tuple[str, ...] = field(default=())  # the columns to show of such a row
    rows: bool = True  # False: it is about the columns, and holds or not for a file without rows too


def share_kept(judged: int, unexpected: int, mostly: float) -> bool:
    """Great Expectations' rule, to the bit: (rows - unexpected) / rows >= mostly."""
    return (judged - unexpected) / judged >= mostly


def mostly(kwargs: Mapping[str, Any]) -> float:
    value = kwargs.get("mostly")
    return 1.0 if value is None else float(value)


def finished(seen: Seen, rows: int, engine: str) -> Outcome:
    return Outcome(
        engine=engine,
        holds=seen.holds,
        observed=seen.observed,
        rows=rows,
        nulls=seen.nulls,
        unexpected=seen.unexpected,
    )
