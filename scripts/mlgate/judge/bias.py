"""What a bias report holds: the groups, what was measured in each, and how far they lie apart. Plain data."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

BIAS_SCHEMA = 1


@dataclass(frozen=True)
class Rates:
    """Of one model in one group, between 0 and 1; None where no row counts towards it."""

    selection_rate: float | None
    true_positive_rate: float | None
    false_positive_rate: float | None
    precision: float | None


@dataclass(frozen=True)
class Group:
    name: str
    rows: int
    base_rate: float | None  # the share of positive labels
    challenger: Rates
    champion: Rates | None
    not_judged: str = ""  # why, where it is too small: "98 rows, 300 needed"


@dataclass(frozen=True)
class Value:
    """A metric of one model, or its change: with both one-sided bounds, and the two groups that are furthest apart."""

    value: float
    lower: float
    upper: float
    lowest: str = ""
    highest: str = ""


@dataclass(frozen=True)
class Metric:
    name: str
    challenger: Value | None
    champion: Value | None
    change: Value | None  # challenger - champion
    reason: str = ""  # why there is no value
    not_judged: tuple[tuple[str, str], ...] = ()  # groups that the table judges and this metric cannot, and why
    limits: dict[str, str] = field(default_factory=dict)  # of the rules, where there are any


@dataclass(frozen=True)
class Table:
    """One column of groups, or one combination, on one evaluation set."""

    set: str
    by: str
    rows: int
    min_rows: int
    groups: tuple[Group, ...]
    metrics: tuple[Metric, ...]


@dataclass(frozen=True)
class Slice:
    """One limit of one group, as it was settled."""

    set: str
    metric: str
    group: str
    limit: str  # "absolute_regression"
    rows: int | None
    challenger: float | None
    champion: float | None
    change: float | None
    relative: bool
    interval: tuple[float, float] | None
    expected: str
    verdict: str
    reason: str


@dataclass(frozen=True)
class Verdicts:
    """A check of slices or fairness, as it was settled."""

    id: str
    title: str
    verdict: str
    reason: str


@dataclass(frozen=True)
class Bias:
    """The whole report about one model. `confidence` is that of each one-sided bound."""

    model: str
    commit: str
    champion: str  # its commit, "" where there is none
    confidence: float
    tables: tuple[Table, ...]
    checks: tuple[Verdicts, ...] = ()
    slices: tuple[Slice, ...] = ()
    notes: tuple[str, ...] = ()  # what was not measured at all, and why
    tool: str = ""

    def to_json(self) -> str:
        """Canonical: sorted keys, two-space indent, UTF-8, a newline at the end."""
        data: dict[str, Any] = {"schema": BIAS_SCHEMA, "kind": "bias-report", "four_fifths": FOUR_FIFTHS}
        data |= asdict(self)
        return json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


FOUR_FIFTHS = (
    "A selection rate of a group below four fifths of the highest is what 29 CFR 1607.4(D) generally regards as "
    "evidence of adverse impact. It is a rule of thumb: smaller differences can count, larger ones can be excused, and "
    "in small groups it is often wrong either way. Nothing here is legal advice."
)
