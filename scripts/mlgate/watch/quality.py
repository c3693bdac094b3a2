"""The training contract, held against what production got.

Expectations about single rows and about columns mean the same for a window as for the training data. Those about the
file as a whole do not: a window has as many rows as people asked, and the same person may ask twice. They are left out,
and said to be, as is what is about columns that are not logged.
"""

# ruff: noqa: S608 -- every name is quoted by `sql`, and the expressions are those of the logs

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from mlgate.data.nouns import Contract, Expectation, Outcome
from mlgate.judge import contract as judge
from mlgate.model import Check, Verdict
from mlgate.watch.nouns import Measure, Section, State

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.reading import Table

_KIND = "expect_column_values_to_be_of_kind"
# What says more about how many rows there are than about what they hold.
_WHOLE = {
    "expect_column_values_to_be_unique": "the same value may come twice",
    "expect_compound_columns_to_be_unique": "the same values may come twice",
    "expect_column_proportion_of_unique_values_to_be_between": "it depends on how many rows there are",
    "expect_column_unique_value_count_to_be_between": "it depends on how many rows there are",
    "expect_column_sum_to_be_between": "it depends on how many rows there are",
    "expect_column_distinct_values_to_contain_set": "a window need not hold every value",
    "expect_column_distinct_values_to_equal_set": "a window need not hold every value",
    "expect_rows_to_be_apart_from": "it is about another file",
    "expect_column_drift_to_be_at_most": "`monitor.drift` says more of it",
}


class Logged(Protocol):
    """What the logs gave, as far as it is needed here."""

    @property
    def relation(self) -> str: ...
    @property
    def features(self) -> Mapping[str, str]: ...
    @property
    def types(self) -> Mapping[str, str]: ...
    @property
    def misfits(self) -> Mapping[str, int]: ...


@dataclass(frozen=True)
class _Asked:
    """What is held against the window, and what is not, with why."""

    able: tuple[Expectation, ...]
    left: tuple[str, ...]


def section(
    con: DuckDBPyConnection, logged: Logged, contract: Contract, *, min_rows: int, now: datetime | None = None
) -> Section:
    """The section `data`. Raises MlgateError where the rows cannot be read."""
    rows = int(con.execute(f"SELECT count(*) FROM {logged.relation}").fetchall()[0][0])
    asked = chosen(contract, logged.features)
    if rows < min_rows or not asked.able:
        why = f"{rows:,} rows in the window, and min_rows is {min_rows:,}."
        if rows >= min_rows:
            why = "No expectation of the contract is about a feature that is logged, so nothing could be checked."
        return _unknown(why, asked, rows)
    outcomes = _outcomes(con, logged, asked.able, now or datetime.now(UTC))
    measures: list[Measure] = []
    checks: list[Check] = []
    failures = unmeasured = 0
    for expectation, outcome in zip(asked.able, outcomes, strict=True):
        seen = _with_misfits(expectation, outcome, logged.misfits)
        check = _check(expectation, seen, contract)
        state: State = "ok" if seen.holds else "unknown" if seen.holds is None else "breached"
        failures += state == "breached" and expectation.severity == "error"
        unmeasured += state == "unknown"
        checks.append(check)
        measures.append(Measure("data", expectation.id, state, _value(seen), None, rows, check.reason))
    whole = _whole(failures, unmeasured, rows, len(asked.able))
    return Section("data", whole.state, (whole, *measures), tuple(checks), not_run=asked.left)


def chosen(contract: Contract, features: Mapping[str, str]) -> _Asked:
    """Which expectations a window can be held to."""
    able, left = [], []
    missing: dict[str, None] = {}  # a contract says several things about each column, and one line says it all
    for one in contract.expectations:
        lacking = [column for column in one.columns if column not in features]
        if one.type.startswith("expect_table_"):
            left.append(f"{one.title or one.id}: it is about the training file, not about a window.")
        elif one.type in _WHOLE:
            left.append(f"{one.title or one.id}: {_WHOLE[one.type]}.")
        elif lacking:
            missing |= dict.fromkeys(lacking)
        else:
            able.append(one)
    if missing:
        left.append(f"Not held to the contract, because it is not logged: {', '.join(missing)}.")
    return _Asked(tuple(able), tuple(left))


def _outcomes(
    con: DuckDBPyConnection, logged: Logged, expectations: Sequence[Expectation], now: datetime
) -> list[Outcome]:
    from mlgate.data import engine  # noqa: PLC0415
    from mlgate.errors import MlgateError  # noqa: PLC0415

    def other(path: str) -> Table:
        raise MlgateError("no other file belongs to a window.", file=path)

    table = _table(con, logged, expectations)
    return engine.run(con, table, expectations, now=now, other=other)


def _table(con: DuckDBPyConnection, logged: Logged, expectations: Sequence[Expectation]) -> Table:
    """The window as a data file is: the features that the contract names, as columns.

    JSON has no dates: text in which every value is one is taken for that where the contract says it is a date.
    """
    from mlgate.data.reading import Column, Table, sql  # noqa: PLC0415

    names = dict.fromkeys(column for one in expectations for column in one.columns)
    found = con.execute(
        f"DESCRIBE SELECT {', '.join(f'{logged.features[name]} AS c{i}' for i, name in enumerate(names))} "
        f"FROM {logged.relation}"
    ).fetchall()
    wanted = {str(e.kwargs["column"]): str(e.kwargs.get("kind")) for e in expectations if e.type == _KIND}
    columns, listed = [], []
    for name, row in zip(names, found, strict=True):
        expression, type_ = f"({logged.features[name]})", str(row[1])
        if type_ == "JSON":
            expression, type_ = f"({expression} ->> '$')", "VARCHAR"
        moment = {"date": "DATE", "timestamp": "TIMESTAMPTZ"}.get(wanted.get(name, ""))
        if type_ == "VARCHAR" and moment and _all_are(con, logged.relation, expression, moment):
            expression, type_ = f"CAST({expression} AS {moment})", moment.replace("TZ", " WITH TIME ZONE")
        columns.append(Column(name, type_))
        listed.append(f"{expression} AS {sql.name(name)}")
    selected = f"SELECT {', '.join(listed)}"
    return Table(
        shown="the logs",
        files=(),
        format="parquet",
        relation=f"({selected} FROM {logged.relation})",
        numbered=f"({selected}, '' AS mlgate_file, row_number() OVER () AS mlgate_row FROM {logged.relation})",
        columns=tuple(columns),
    )


def _all_are(con: DuckDBPyConnection, relation: str, expression: str, type_: str) -> bool:
    query = (
        f"SELECT count(*) FROM {relation} WHERE {expression} IS NOT NULL AND TRY_CAST({expression} AS {type_}) IS NULL"
    )
    return not con.execute(query).fetchall()[0][0]


def _with_misfits(expectation: Expectation, outcome: Outcome, misfits: Mapping[str, int]) -> Outcome:
    """Values of another type are missing in what the logs gave: the expectation of a type still hears of them."""
    bad = misfits.get(str(expectation.kwargs.get("column")), 0)
    if expectation.type != _KIND or not bad or outcome.holds is None:
        return outcome
    unexpected, nulls = (outcome.unexpected or 0) + bad, max(0, outcome.nulls - bad)
    mostly = expectation.kwargs.get("mostly")
    kept = 1 - unexpected / max(1, outcome.rows - nulls)
    holds = kept >= (1.0 if mostly is None else float(mostly))
    return replace(outcome, holds=holds, unexpected=unexpected, nulls=nulls)


def _check(expectation: Expectation, outcome: Outcome, contract: Contract) -> Check:
    """As validate-data shows it. What could not be measured is no fault of the configuration here."""
    # A row of production is somebody's: it would stand in the ledger for good, and has no number to be found by.
    held = judge.Held(expectation, replace(outcome, examples=()), "logs", contract.file, contract.private)
    found = judge.check(held)
    verdict = Verdict.INCONCLUSIVE if found.verdict is Verdict.ERROR else found.verdict
    return found.model_copy(update={"id": f"watch.data.{expectation.id}", "group": "watch", "verdict": verdict})


def _value(outcome: Outcome) -> float | None:
    """The share of values that break it, or what an aggregate came to; 1 and 0 where it is neither."""
    if outcome.holds is None:
        return None
    if outcome.unexpected is not None:
        return outcome.unexpected / max(1, outcome.rows - outcome.nulls)
    if isinstance(outcome.observed, int | float) and not isinstance(outcome.observed, bool):
        return float(outcome.observed)
    return 0.0 if outcome.holds else 1.0


def _whole(failures: int, unmeasured: int, rows: int, many: int) -> Measure:
    said = f"{failures} of {many} expectations do not hold" + (f", {unmeasured} unmeasured" if unmeasured else "") + "."
    state: State = "breached" if failures else "unknown" if unmeasured else "ok"
    value = None if state == "unknown" else float(failures)
    return Measure("data", "contract_failures", state, value, 0.0, rows, said)


def _unknown(why: str, asked: _Asked, rows: int) -> Section:
    measures = [Measure("data", "contract_failures", "unknown", limit=0.0, rows=rows, reason=why)]
    measures += [Measure("data", one.id, "unknown", rows=rows, reason=why) for one in asked.able]
    check = Check(
        id="watch.data.contract",
        title="the contract",
        verdict=Verdict.INCONCLUSIVE,
        group="watch",
        reason=why,
        rows=rows,
    )
    return Section("data", "unknown", tuple(measures), (check,), not_run=asked.left)
