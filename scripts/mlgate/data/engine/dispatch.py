"""Which engine answers what: the one pass, Great Expectations, drift. Nothing is left without an Outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from mlgate.data.engine import natives
from mlgate.data.engine.compile import compiled
from mlgate.data.engine.plan import Plan, Values, finished
from mlgate.data.engine.scan import Scan
from mlgate.data.engine.values import Leave, Unfit, missing
from mlgate.data.nouns import Expectation, Outcome
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.reading import Table

T = TypeVar("T")

APART, DRIFT = "expect_rows_to_be_apart_from", "expect_column_drift_to_be_at_most"
NO_ROWS = "There are no rows, so nothing could be measured."


def run(
    con: DuckDBPyConnection,
    table: Table,
    expectations: Sequence[Expectation],
    *,
    now: datetime,
    other: Callable[[str], Table],
    examples: int = 5,
) -> list[Outcome]:
    """An Outcome for each expectation, in their order.

    `now` is what ages are measured from; `other` opens a second data file by its path. Raises MlgateError when the
    file itself cannot be read; what only one expectation cannot have is the `trouble` of its Outcome.
    """
    reader = Reader(con, table)
    numbered = list(enumerate(expectations))
    own = [(i, e) for i, e in numbered if e.type not in {APART, DRIFT}]
    answered = reader.read(lambda scan: in_one_pass(scan, [e for _, e in own], now, examples))
    found = {i: outcome for (i, _), outcome in zip(own, answered, strict=True) if outcome is not None}
    for i, e in numbered:
        if e.type == APART:
            found[i] = reader.read(lambda scan, e=e: _apart(scan, e, other, examples))  # type: ignore[misc]
    left = [(i, e) for i, e in own if i not in found]
    found |= dict(zip((i for i, _ in left), _others(reader, [e for _, e in left], examples), strict=True))
    drifting = [(i, e) for i, e in numbered if e.type == DRIFT]
    found |= dict(zip((i for i, _ in drifting), _drift(reader, [e for _, e in drifting], other), strict=True))
    return [found[i] for i in range(len(expectations))]


class Reader:
    """Reads a table, and in another way where the first one fails: a late value may show what a column really holds."""

    def __init__(self, con: DuckDBPyConnection, table: Table) -> None:
        self.con, self.table = con, table
        self.large = False

    def read(self, work: Callable[[Scan], T]) -> T:
        import duckdb  # noqa: PLC0415

        from mlgate.data import reading  # noqa: PLC0415

        # Every recovery changes at least one column, so they come to an end.
        for _ in range(len(self.table.columns) + 3):
            try:
                return work(Scan(self.con, self.table, large=self.large))
            except duckdb.OutOfMemoryException as error:
                if self.large:
                    raise MlgateError(
                        "needs more memory than there is, or more disk to spill to.",
                        file=self.table.shown,
                        fix="Raise --memory-limit.",
                    ) from error
                self.large = True
            except duckdb.Error as error:
                self.table = reading.recover(self.con, self.table, error)
        raise MlgateError("reads differently each time it is read.", file=self.table.shown)


@dataclass
class _Asked:
    """One expectation on its way to an Outcome."""

    expectation: Expectation
    plan: Plan | None = None
    outcome: Outcome | None = None  # None in the end: another engine is asked


def in_one_pass(scan: Scan, expectations: Sequence[Expectation], now: datetime, most: int) -> list[Outcome | None]:
    """The Outcome of each that DuckDB can answer; None for the rest. Raises duckdb.Error."""
    asked = prepared(scan, expectations, now)
    values = answers(scan, asked)
    for one in asked:
        _judge(scan, one, values)
    if values is not None and not values.rows:
        for one in asked:
            one.outcome = one.outcome or trouble(scan.engine, NO_ROWS)
    shown = [one for one in asked if most > 0 and one.outcome and one.outcome.holds is False and _breaks(one)]
    if shown and values is not None:
        broken = [(one.plan.broken(values), one.plan.shows) for one in shown if one.plan and one.plan.broken]
        for one, rows in zip(shown, scan.examples(broken, most), strict=True):
            one.outcome = replace(one.outcome, examples=rows) if one.outcome else None
    return [one.outcome for one in asked]


def prepared(scan: Scan, expectations: Sequence[Expectation], now: datetime) -> list[_Asked]:
    """Each with its plan, or with an Outcome that says why it cannot be measured, or with neither."""
    asked = [_Asked(expectation) for expectation in expectations]
    for one in asked:
        columns = scan.table.columns
        try:
            one.plan = compiled(one.expectation, columns, scan.table.format, now)
        except Unfit as error:
            one.outcome = trouble(scan.engine, str(error))
        except Leave:
            names = {column.name for column in columns}
            lacking = next((name for name in one.expectation.columns if name not in names), None)
            if lacking is not None:
                one.outcome = trouble(scan.engine, missing(columns, lacking))
            elif one.expectation.native:
                one.outcome = trouble(
                    scan.engine, f"{one.expectation.title or one.expectation.type} cannot be measured."
                )
    return asked


def answers(scan: Scan, asked: Sequence[_Asked]) -> Values | None:
    """All that the plans ask of the data; None when they ask nothing."""
    plans = [one.plan for one in asked if one.plan is not None]
    if not any(plan.needs for plan in plans):
        return None
    columns = [
        c for one in asked if one.plan and (one.plan.ranks or one.plan.distinct) for c in one.expectation.columns
    ]
    values = scan.values(plans, columns)
    if not values.rows:
        return values
    for plan in plans:
        try:
            query = plan.later(values) if plan.later else ""
        except (Unfit, Leave):
            continue  # and `judge` will say the same
        if query and query not in values.found:
            values.found[query] = scan.first(query)[0]
    return values


def _judge(scan: Scan, one: _Asked, values: Values | None) -> None:
    if one.plan is None:
        return
    rows = values.rows if values is not None else 0
    if one.plan.rows and not rows:
        one.outcome = trouble(scan.engine, NO_ROWS)
        return
    try:
        seen = one.plan.judge(values or Values({}))
    except Unfit as error:
        one.outcome = trouble(scan.engine, str(error), rows)
    except Leave:
        one.outcome = None
    else:
        one.outcome = finished(seen, rows, scan.engine)


def _breaks(one: _Asked) -> bool:
    return one.plan is not None and one.plan.broken is not None and bool(one.outcome and one.outcome.unexpected)


def trouble(engine: str, sentence: str, rows: int = 0) -> Outcome:
    return Outcome(engine=engine, holds=None, trouble=sentence, rows=rows)


def _apart(scan: Scan, expectation: Expectation, other: Callable[[str], Table], most: int) -> Outcome:
    path = str(expectation.kwargs.get("other") or "")
    try:
        table = other(path)
        seen, both, rows = natives.apart(scan.table, table, expectation.kwargs, scan.first, natives.view)
    except (Unfit, MlgateError) as error:
        return trouble(scan.engine, str(error))
    outcome = finished(seen, rows, scan.engine)
    if seen.unexpected and most > 0:
        columns = [left.name for left, _ in both.keys]
        return replace(outcome, examples=scan.examples([(both.broken, columns)], most)[0])
    return outcome


def _others(reader: Reader, expectations: Sequence[Expectation], most: int) -> list[Outcome]:
    """What Great Expectations answers. That it cannot be had is the trouble of these alone."""
    if not expectations:
        return []
    from mlgate.data import gx  # noqa: PLC0415

    try:
        return reader.read(lambda scan: gx.run(scan.con, scan.table, expectations, examples=most))
    except MlgateError as error:
        return [trouble("great_expectations", str(error))] * len(expectations)


def _drift(reader: Reader, expectations: Sequence[Expectation], other: Callable[[str], Table]) -> list[Outcome]:
    """All columns with the same reference together: their shares of alpha depend on how many they are."""
    if not expectations:
        return []
    from mlgate.data import drift  # noqa: PLC0415

    found: dict[int, Outcome] = {}
    paths = [str(e.kwargs.get("reference") or "") for e in expectations]
    for path in dict.fromkeys(paths):
        here = [i for i, one in enumerate(paths) if one == path]
        group = [expectations[i] for i in here]
        try:
            reference = other(path)
            outcomes = reader.read(lambda scan, r=reference, g=group: drift.run(scan.con, scan.table, r, g))  # type: ignore[misc]
        except MlgateError as error:
            outcomes = [trouble("drift", str(error))] * len(group)
        found |= dict(zip(here, outcomes, strict=True))
    return [found[i] for i in range(len(expectations))]


def compiles(expectation: Expectation, table: Table) -> bool:
    """Whether DuckDB answers it for this table, as far as can be said without reading the data."""
    from datetime import UTC  # noqa: PLC0415

    if expectation.type in {APART, DRIFT}:
        return expectation.type == APART
    try:
        compiled(expectation, table.columns, table.format, datetime.now(UTC))
    except Unfit:
        return True
    except Leave:
        return False
    return True
