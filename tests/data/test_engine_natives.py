"""Rows apart from another file, the newest value, kinds in text files; and what is handed on to other engines."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pytest
from engine_tables import NOW, check, column, opened, write

from mlgate.data import engine, reading
from mlgate.data.engine.dispatch import Reader
from mlgate.data.nouns import Expectation, Outcome
from mlgate.errors import MlgateError


@pytest.mark.parametrize(
    ("type_", "value", "max_age", "holds"),
    [
        ("TIMESTAMP", "2026-11-21 11:00:00", 3600, True),  # the boundary passes
        ("TIMESTAMP", "2026-11-21 10:59:59.999999", 3600, False),
        ("TIMESTAMP", "2026-11-21 12:10:00", 3600, True),  # clocks differ a little
        ("TIMESTAMP", "2026-11-21 12:11:00", 3600, False),  # still to come
        ("TIMESTAMPTZ", "2026-11-21 13:00:00+02", 3600, True),
        ("TIMESTAMPTZ", "2026-11-21 10:00:00+02", 3600, False),
        ("DATE", "2026-11-20", 2 * 86400, True),
        ("DATE", "2026-11-22", 86400, True),  # tomorrow has begun in the east
        ("DATE", "2026-11-23", 86400, False),
        ("DATE", "2026-11-18", 2 * 86400, False),
    ],
)
def test_the_newest_value(tmp_path: Path, type_: str, value: str, max_age: float, holds: bool) -> None:
    path = column(tmp_path, type_, [f"'{value}'", "'2020-01-01'", "NULL"])
    outcome = check(path, "newest_to_be_within", column="x", max_age=max_age)
    assert outcome.holds is holds
    assert str(outcome.observed).startswith(("2026-11-2", "2026-11-18"))
    assert outcome.nulls == 1


@pytest.mark.parametrize(
    ("type_", "values", "said"),
    [
        ("VARCHAR", ["'yesterday'"], "not timestamps"),
        ("BIGINT", ["20261121"], "not timestamps"),
        ("TIMESTAMP", ["NULL"], "missing"),
        ("TIMESTAMP", ["'infinity'"], "infinite"),
        ("TIMESTAMP", [], "no rows"),
    ],
)
def test_what_says_nothing_about_age_never_passes(tmp_path: Path, type_: str, values: list[str], said: str) -> None:
    outcome = check(column(tmp_path, type_, values), "newest_to_be_within", column="x", max_age=1e12)
    assert outcome.holds is None
    assert said in outcome.trouble


def apart(tmp_path: Path, here: str, there: str, by: list[str]) -> Outcome:
    other = write(tmp_path, there, "train.parquet")
    return check(
        write(tmp_path, here, "test.parquet"),
        "expect_rows_to_be_apart_from",
        others={"train": other},
        by=by,
        other="train",
    )


def test_rows_that_are_in_the_other_file_are_counted_and_shown(tmp_path: Path) -> None:
    outcome = apart(
        tmp_path,
        "SELECT range AS person, 2020 AS year FROM range(95, 105)",
        "SELECT range AS person, CASE WHEN range = 97 THEN 2019 ELSE 2020 END AS year FROM range(100)",
        ["person", "year"],
    )
    assert (outcome.holds, outcome.unexpected, outcome.rows, outcome.trouble) == (False, 4, 10, "")
    assert [one.values["person"] for one in outcome.examples] == ["95", "96", "98", "99"]
    assert [one.row for one in outcome.examples] == [1, 2, 4, 5]


def test_rows_apart(tmp_path: Path) -> None:
    outcome = apart(tmp_path, "SELECT range AS p FROM range(5)", "SELECT range + 5.0 AS p FROM range(5)", ["p"])
    assert (outcome.holds, outcome.unexpected) == (True, 0)


NO_KEY = "SELECT CASE WHEN range < 2 THEN NULL ELSE range + {} END AS p FROM range(5)"


@pytest.mark.parametrize(
    ("here", "there", "said"),
    [
        (NO_KEY.format(0), "SELECT range + 10 AS p FROM range(5)", "2 rows here lack p"),
        ("SELECT range AS p FROM range(5)", NO_KEY.format(10), "2 rows in train lack p"),
        (NO_KEY.format(0), NO_KEY.format(10), "2 rows here and 2 rows in train lack p"),
        (
            "SELECT CAST('nan' AS DOUBLE) AS p",
            "SELECT CAST('nan' AS DOUBLE) AS p",
            "1 rows here and 1 rows in train lack p",
        ),
        ("SELECT range AS p FROM range(0)", "SELECT range AS p FROM range(5)", "no rows"),
        ("SELECT range AS p FROM range(5)", "SELECT range AS p FROM range(0)", "train has no rows"),
        (
            "SELECT range AS p FROM range(5)",
            "SELECT CAST(range AS VARCHAR) AS p FROM range(5)",
            "no row could ever be equal",
        ),
        ("SELECT range AS P FROM range(5)", "SELECT range AS p FROM range(5)", "Did you mean 'P'?"),
        ("SELECT range AS p FROM range(5)", "SELECT range AS P FROM range(5)", "train: There is no column 'p'."),
        ("SELECT [1] AS p", "SELECT [1] AS p", "cannot be told apart"),
    ],
)
def test_rows_that_cannot_be_told_apart_are_named(tmp_path: Path, here: str, there: str, said: str) -> None:
    outcome = apart(tmp_path, here, there, ["p"])
    assert outcome.holds is None
    assert said in outcome.trouble


def test_an_equal_row_counts_also_where_others_lack_a_key(tmp_path: Path) -> None:
    outcome = apart(tmp_path, NO_KEY.format(0), "SELECT 4 AS p", ["p"])
    assert (outcome.holds, outcome.unexpected, outcome.nulls) == (False, 1, 2)


def test_without_columns_nothing_is_told_apart(tmp_path: Path) -> None:
    assert "apart_by" in apart(tmp_path, "SELECT 1 AS p", "SELECT 1 AS p", []).trouble


def test_another_file_that_cannot_be_read_is_that_checks_trouble(tmp_path: Path) -> None:
    def other(path: str) -> Any:
        raise MlgateError("is not there.", file=path)

    con = reading.connect()
    found = engine.run(
        con,
        opened(con, write(tmp_path, "SELECT 1 AS p")),
        [
            Expectation("expect_rows_to_be_apart_from", {"by": ["p"], "other": "gone.parquet"}),
            Expectation("expect_column_to_exist", {"column": "p"}),
        ],
        now=NOW,
        other=other,
    )
    assert [one.holds for one in found] == [None, True]
    assert found[0].trouble == "gone.parquet is not there."


@pytest.mark.parametrize(
    ("values", "kind", "unexpected"),
    [
        (["1", "2", "n/a"], "integer", 1),
        (["1", "2.5", "007", "1e3", "x"], "number", 2),
        (["1", "2"], "text", 0),
        (["true", "False", "maybe"], "boolean", 1),
        (["2020-01-01", "2020-02-30", "soon"], "date", 2),
        (["2020-01-01 10:00:00", "2020-01-01", "soon"], "timestamp", 1),
    ],
)
def test_kinds_in_a_text_file_are_those_of_the_values(
    tmp_path: Path, values: list[str], kind: str, unexpected: int
) -> None:
    path = tmp_path / "data.csv"
    path.write_text("\n".join(["x,y", *(f"{value},1" for value in values)]) + "\n")
    outcome = check(path, "values_to_be_of_kind", column="x", kind=kind)
    assert (outcome.unexpected, outcome.trouble) == (unexpected, "")


def handed(monkeypatch: pytest.MonkeyPatch, name: str, run: Any) -> None:
    module = ModuleType(f"mlgate.data.{name}")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(f"mlgate.data.{name}", module, raising=False)


def test_what_does_not_compile_is_handed_on_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gx(_con: Any, _table: Any, expectations: list[Expectation], *, examples: int) -> list[Outcome]:
        assert examples == 5
        return [Outcome("gx", True, observed=one.kwargs["type_"]) for one in expectations]

    def drift(_con: Any, _table: Any, reference: Any, expectations: list[Expectation]) -> list[Outcome]:
        return [Outcome("drift", True, observed=f"{reference.shown} {one.kwargs['psi']}") for one in expectations]

    handed(monkeypatch, "gx", gx)
    handed(monkeypatch, "drift", drift)
    path = write(tmp_path, "SELECT range AS x FROM range(3)")
    con = reading.connect()
    of_type, drifts = "expect_column_values_to_be_of_type", "expect_column_drift_to_be_at_most"
    found = engine.run(
        con,
        opened(con, path),
        [
            Expectation(drifts, {"column": "x", "psi": 1, "reference": "a"}),
            Expectation(of_type, {"column": "x", "type_": "int64"}),
            Expectation("expect_column_values_to_be_unique", {"column": "x"}),
            Expectation(drifts, {"column": "x", "psi": 2, "reference": "b"}),
            Expectation(of_type, {"column": "X", "type_": "int64"}),
            Expectation(of_type, {"column": "x", "type_": "str"}),
            Expectation(drifts, {"column": "x", "psi": 3, "reference": "a"}),
        ],
        now=NOW,
        other=lambda name: opened(con, path, shown=name),
    )
    assert [one.observed for one in found] == ["a 1", "int64", None, "b 2", None, "str", "a 3"]
    assert found[4].trouble == "There is no column 'X'. Did you mean 'x'?"
    assert found[2].holds is True


def test_an_engine_that_cannot_be_had_is_the_trouble_of_its_own_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gx(*_: Any, **__: Any) -> list[Outcome]:
        raise MlgateError("great_expectations is not installed.")

    handed(monkeypatch, "gx", gx)
    path = write(tmp_path, "SELECT 1 AS x")
    assert (
        check(path, "values_to_be_of_type", column="x", type_="int64").trouble == "great_expectations is not installed."
    )


def test_a_table_that_fails_while_it_is_read_is_read_in_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    con = reading.connect()
    table = opened(con, write(tmp_path, "SELECT 1 AS x"))
    tried: list[str] = []

    def work(_scan: Any) -> str:
        tried.append("read")
        if len(tried) == 1:
            raise duckdb.ConversionException("Could not convert string 'x' to INT64")
        return "done"

    monkeypatch.setattr(reading, "recover", lambda _con, given, _error: given)
    assert Reader(con, table).read(work) == "done"

    def never(_scan: Any) -> str:
        raise duckdb.ConversionException("again")

    with pytest.raises(MlgateError, match="differently"):
        Reader(con, table).read(never)


def test_memory_that_does_not_suffice_is_said_after_the_thrifty_way_was_tried(tmp_path: Path) -> None:
    con = reading.connect()
    ways: list[bool] = []

    def work(scan: Any) -> None:
        ways.append(scan.large)
        raise duckdb.OutOfMemoryException("failed to allocate")

    with pytest.raises(MlgateError, match="memory"):
        Reader(con, opened(con, write(tmp_path, "SELECT 1 AS x"))).read(work)
    assert ways == [False, True]
