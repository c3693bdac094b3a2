"""What a contract says (`Expectation`) and what an engine saw of it (`Outcome`). Plain data, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlgate.model import Example

Severity = Literal["error", "warn"]


@dataclass(frozen=True)
class Expectation:
    """One expectation of a contract, whichever way it was spelled.

    `type` and `kwargs` are those of Great Expectations, or of ours where it has none (`NATIVE`).
    """

    type: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = "error"
    key: str = ""  # where it stands in the contract: columns.age.min, expectations[3]
    line: int | None = None
    id: str = ""  # unique in its contract and stable: age.min, expectations.3
    title: str = ""  # as a person says it: "age: at least 0"
    expected: str = ""  # what is allowed, in words: "at least 0 in 99 % of rows"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it names."""
        one = [self.kwargs[key] for key in ("column", "column_A", "column_B") if key in self.kwargs]
        return (*one, *self.kwargs.get("column_list", ()))

    @property
    def native(self) -> bool:
        return self.type in NATIVE


# What Great Expectations cannot say; each with what it needs.
NATIVE = frozenset(
    {
        "expect_column_values_to_be_of_kind",  # column, kind: integer|number|text|boolean|date|timestamp, mostly
        "expect_column_null_count_to_be_at_most",  # column, max_value (a count)
        "expect_column_newest_to_be_within",  # column, max_age (seconds): the newest value is not older, nor to come
        "expect_rows_to_be_apart_from",  # by (columns), other (path): no row of this file is in the other one
        "expect_column_drift_to_be_at_most",  # column, psi, ks (a distance), alpha: against the reference data
    }
)


@dataclass(frozen=True)
class Contract:
    """All that one contract says, in its own order. `digest` is the sha256 of the file."""

    file: str
    digest: str
    expectations: tuple[Expectation, ...]
    private: frozenset[str] = frozenset()  # columns whose values are never shown
    name: str = ""


@dataclass(frozen=True)
class Outcome:
    """What an engine saw of one expectation.

    `holds` is None when it could not be measured, and `trouble` says why: never to be taken for a pass.
    """

    engine: str  # "duckdb 2.0.0", "great_expectations 1.24.1"
    holds: bool | None
    trouble: str = ""
    undecided: bool = False  # with `holds` None: it was measured, and there are too few rows to tell
    observed: float | int | str | None = None  # what an aggregate came to; None for checks of single rows
    rows: int = 0  # rows in the data
    nulls: int = 0  # of them left out, because the value is missing
    unexpected: int | None = None  # of the rest, how many break it; None for an aggregate
    examples: tuple[Example, ...] = ()  # the first of them, in the order of the file, unmasked
