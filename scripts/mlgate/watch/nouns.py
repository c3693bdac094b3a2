"""The nouns of watching: windows, and what was measured in one. Plain data, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from mlgate.model import Check, ColumnSeen

Kind = Literal["data", "drift", "performance", "fairness", "slo", "business", "estimated", "rule"]
State = Literal["ok", "breached", "unknown"]
_FORM = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, order=True)
class Window:
    """[since, until), both aware and in UTC, whole seconds. Windows of one length do not overlap."""

    since: datetime
    until: datetime

    @classmethod
    def before(cls, moment: datetime, length: timedelta) -> Window:
        """The last whole window that has ended by then: windows are counted from 1970-01-01, a Thursday."""
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        end = epoch + ((moment - epoch) // length) * length
        return cls(end - length, end)

    def earlier(self, many: int = 1) -> Window:
        """The window that many before this one."""
        back = many * (self.until - self.since)
        return Window(self.since - back, self.until - back)

    def __str__(self) -> str:
        return f"{self.since:{_FORM}}/{self.until:{_FORM}}"

    @classmethod
    def parse(cls, text: str) -> Window:
        """From its text. Raises ValueError for what is none."""
        since, _, until = text.partition("/")
        return cls(*(datetime.strptime(one, _FORM).replace(tzinfo=UTC) for one in (since, until)))


@dataclass(frozen=True)
class Measure:
    """One number of a window. What could not be measured is `unknown`, has no value and says why.

    `name` is what sentences of mlgate.yaml call it: `psi.age`, `drift_share`, `auc`, `latency_p95`. Shares are
    fractions, times are seconds. Without a `limit` it is `ok` when it was measured: nothing was asked of it.
    """

    kind: Kind
    name: str
    state: State
    value: float | None = None
    limit: float | None = None
    rows: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Section:
    """What one section of `monitor` came to: its measures, the checks that show them, and columns for the table.

    `state` is that of the section as a whole (the reading of its own name): `breached` where any of its limits is,
    `unknown` where nothing could be measured, and also where nothing is breached and something could not be.
    """

    kind: Kind
    state: State
    measures: tuple[Measure, ...] = ()
    checks: tuple[Check, ...] = ()  # group `watch`
    columns: tuple[ColumnSeen, ...] = ()
    not_run: tuple[str, ...] = ()
    facts: Mapping[str, str | float] = field(default_factory=dict)


def state_of(measures: tuple[Measure, ...]) -> State:
    """That of a section with these measures."""
    states = {one.state for one in measures}
    if "breached" in states:
        return "breached"
    return "unknown" if "unknown" in states or not states else "ok"
