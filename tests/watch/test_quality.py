"""The training contract, held against a window."""

# ruff: noqa: S608 -- SQL of constants

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pytest

from mlgate.data import contract, reading
from mlgate.model import Verdict
from mlgate.watch import quality
from mlgate.watch.nouns import Section

CONTRACT = """
schema: 1
name: persons
table: {rows: [1000, null]}
columns:
  id: {type: integer, unique: true}
  age: {type: integer, min: 0, max: 120, nulls: 10%}
  health: {type: text, in: [good, fair, poor]}
  born: {type: date, min: 1900-01-01}
  iban: {type: text, length: [15, 34], private: true}
  visited: {type: integer, in: [0, 1]}
"""


@dataclass
class Logs:
    relation: str
    features: Mapping[str, str]
    types: Mapping[str, str] = field(default_factory=dict)
    misfits: Mapping[str, int] = field(default_factory=dict)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    found = reading.connect()
    yield found
    found.close()


def section(
    con: Any, change: str = "", *, rows: int = 600, min_rows: int = 500, misfits: Any = None, text: str = CONTRACT
) -> Section:
    con.execute(
        f"""CREATE OR REPLACE TABLE logs AS SELECT * {f"REPLACE ({change})" if change else ""} FROM (
        SELECT i % 90 AS age, ['good', 'fair', 'poor'][i % 3 + 1] AS health, '1980-02-' || (10 + i % 10) AS born,
        'DE' || (10000000000000 + i) AS iban, i AS other FROM range({rows}) t(i))"""
    )
    logs = Logs("logs", {name: f'"{name}"' for name in ("age", "health", "born", "iban")}, misfits=misfits or {})
    return quality.section(con, logs, contract.load(text.encode(), "contracts/persons.yaml"), min_rows=min_rows)


def states(found: Section) -> dict[str, str]:
    return {one.name: one.state for one in found.measures}


def test_a_window_that_keeps_the_contract(con: Any) -> None:
    found = section(con)
    assert found.state == "ok", [check.reason for check in found.checks]
    assert set(states(found).values()) == {"ok"}
    assert next(one for one in found.measures if one.name == "contract_failures").value == 0
    assert {check.verdict for check in found.checks} == {Verdict.PASS}
    assert all(check.id.startswith("watch.data.") and check.group == "watch" for check in found.checks)


def test_what_does_not_apply_is_said(con: Any) -> None:
    said = "\n".join(section(con).not_run)
    assert "about the training file" in said  # at least 1,000 rows
    assert "the same value may come twice" in said  # a unique id
    (line,) = [line for line in said.splitlines() if "not logged" in line]
    assert "because it is not logged: " in line, "one line, and none for each expectation"
    assert "visited" in line


def test_a_value_out_of_range(con: Any) -> None:
    found = section(con, "CASE WHEN other < 6 THEN 150 ELSE age END AS age")
    assert found.state == "breached"
    broken = [one for one in found.measures if one.state == "breached"]
    assert [one.name for one in broken] == ["contract_failures", "age.max"]
    assert broken[1].value == pytest.approx(0.01)
    check = next(one for one in found.checks if one.verdict is Verdict.FAIL)
    assert (check.unexpected, check.location and check.location.file) == (6, "contracts/persons.yaml")
    # A row of a window is somebody's, and has no number to be found by.
    assert (check.examples, check.reason) == ((), "6 of 600 rows (1 %) break it.")


def test_a_private_value_is_never_shown(con: Any) -> None:
    found = section(con, "CASE WHEN other < 6 THEN 'SECRET' ELSE iban END AS iban")
    assert found.state == "breached"
    assert "SECRET" not in str(found)


def test_text_that_is_a_date_is_one_and_other_text_is_not(con: Any) -> None:
    assert section(con, "CASE WHEN other = 3 THEN '1880-01-01' ELSE born END AS born").state == "breached"
    found = section(con, "CASE WHEN other = 3 THEN 'yesterday' ELSE born END AS born")
    assert states(found)["born.type"] == "breached"


def test_values_that_the_logs_could_not_give_are_not_missing_but_wrong(con: Any) -> None:
    found = section(con, misfits={"age": 4})
    assert states(found)["age.type"] == "breached"
    assert next(one for one in found.checks if one.id == "watch.data.age.type").unexpected == 4


def test_a_warning_breaks_its_own_limit_and_not_the_section(con: Any) -> None:
    text = CONTRACT.replace("schema: 1", "schema: 1\nseverity: warn")
    found = section(con, "CASE WHEN other < 6 THEN 150 ELSE age END AS age", text=text)
    assert (found.state, states(found)["age.max"]) == ("ok", "breached")
    assert Verdict.WARN in {check.verdict for check in found.checks}


@pytest.mark.parametrize("rows", [0, 499])
def test_too_few_rows_are_unknown(con: Any, rows: int) -> None:
    found = section(con, rows=rows)
    assert found.state == "unknown"
    assert set(states(found).values()) == {"unknown"}
    assert [check.verdict for check in found.checks] == [Verdict.INCONCLUSIVE]


def test_a_contract_about_nothing_that_is_logged_is_unknown(con: Any) -> None:
    found = section(con, text="schema: 1\ncolumns: {visited: {in: [0, 1]}}\n")
    assert found.state == "unknown"
    assert "No expectation of the contract is about a feature that is logged" in found.checks[0].reason


def test_a_column_without_any_value_is_not_ok(con: Any) -> None:
    found = section(con, "NULL::BIGINT AS age")
    assert found.state != "ok"
