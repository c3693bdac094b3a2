"""The contract proposed from a file: it loads, the file keeps it, and it is not silly."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.files import Data
from mlgate.data import contract, engine, profile
from mlgate.errors import MlgateError

pytest.importorskip("duckdb")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return Data(tmp_path)


def proposed(data: Data, file: str) -> str:
    return profile.propose(data.con, data.open(file), name=file)


def broken(data: Data, file: str, text: str) -> list[str]:
    """What the file does not keep of a contract."""
    said = contract.load(text.encode(), "c.yaml")

    def other(path: str) -> Any:
        raise AssertionError(path)

    outcomes = engine.run(data.con, data.open(file), said.expectations, now=NOW, other=other)
    return [
        f"{e.title}: {o.observed} {o.trouble}" for e, o in zip(said.expectations, outcomes, strict=True) if not o.holds
    ]


def column(data: Data, name: str, values: list[Any], type_: Any = None) -> str:
    """The line proposed for one column."""
    pq.write_table(pa.table({name: pa.array(values, type_)}), data.root / "a.parquet")
    text = proposed(data, "a.parquet")
    assert broken(data, "a.parquet", text) == []
    return text.splitlines()[-1].strip()


ages = [25 + n % 40 for n in range(1000)]
days = [dt.date(2019, 3, 1) + dt.timedelta(n) for n in range(500)]

COLUMNS: dict[str, tuple[str, list[Any], Any, str]] = {
    "integers": ("age", ages, None, "age: {type: integer, nulls: 0, min: 20, max: 70, mean: [38, 51]}"),
    "never below zero": (
        "v",
        list(range(100)),
        None,
        "v: {type: integer, nulls: 0, min: 0, max: 100, mean: [30, 70]}",
    ),
    "shares": (
        "p",
        [n / 1000 for n in range(20, 990)],
        None,
        "p: {type: number, nulls: 0, min: 0, max: 1, mean: [0.3, 0.7]}",
    ),
    "negative": ("t", [-12.5, 3.25, 7.0], None, "t: {type: number, nulls: 0, min: -20, max: 10}"),
    "one text": ("c", ["a"] * 50, None, "c: {type: text, nulls: 0, length: [1, 1]}"),
    "one value": ("c", [3] * 50, None, "c: {type: integer, nulls: 0}"),
    "only zero": ("c", [0] * 50, None, "c: {type: integer, nulls: 0}"),
    "nan is missing": ("x", [1.0, float("nan"), 2.0] * 50, None, "x: {type: number, nulls: 50%, min: 1, max: 2}"),
    "infinite": ("x", [1.0, float("inf")], None, "x: {type: number, nulls: 0}"),
    "a set": ("plan", ["pro", "basic", None] * 50, None, "plan: {type: text, nulls: 50%, in: [basic, pro]}"),
    "a set of odd words": (
        "w",
        ["yes", "1", "a: b", ""] * 50,
        None,
        'w: {type: text, nulls: 0, in: ["", "1", "a: b", "yes"]}',
    ),
    "names": ("city", [f"city {n}" for n in range(90)], None, "city: {type: text, nulls: 0, length: [1, 10]}"),
    "an identifier": ("user_id", list(range(7, 400)), None, "user_id: {type: integer, nulls: 0, min: 0, unique: true}"),
    "an identifier that is none": ("user_id", [1, 1] * 60, None, "user_id: {type: integer, nulls: 0}"),
    "unique by chance": ("x", [0.5, 1.5, 2.5], None, "x: {type: number, nulls: 0, min: 0, max: 3}"),
    "boolean": ("b", [True, False, None], None, "b: {type: boolean, nulls: 50%}"),
    "dates": ("day", days, None, "day: {type: date, nulls: 0, min: 2019-01-01}"),
    "times": (
        "at",
        [dt.datetime(2020, 5, 5, 1)],
        pa.timestamp("us"),
        "at: {type: timestamp, nulls: 0, min: 2020-01-01T00:00:00}",
    ),
    "moments": ("at", [0], pa.timestamp("us", "UTC"), "at: {type: timestamp, nulls: 0, min: 1970-01-01T00:00:00Z}"),
    "decimals": ("d", [Decimal("1.10"), Decimal("9.90")], None, "d: {type: number, nulls: 0, min: 1, max: 10}"),
    "large": ("u", [2**64 - 1, 2**63], pa.uint64(), "u: {type: integer, nulls: 0, min: 9e18, max: 1.9e19}"),
    "few missing": ("x", [None] + ["a", "b"] * 500, None, "x: {type: text, nulls: 1%, in: [a, b]}"),
    "nearly all missing": ("x", [None] * 99 + [1], None, "x: {type: integer}"),
    "private": (
        "email",
        [f"{n}@example.org" for n in range(50)],
        None,
        "email: {type: text, nulls: 0, length: [1, 30], private: true}",
    ),
    "an odd name": ("no", [True], None, '"no": {type: boolean, nulls: 0}'),
    "an odder name": ('a: "b" #', [True], None, '"a: \\"b\\" #": {type: boolean, nulls: 0}'),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_what_is_proposed_for_a_column(data: Data, case: str) -> None:
    name, values, type_, line = COLUMNS[case]
    assert column(data, name, values, type_) == line


def test_a_proposal_says_where_its_numbers_come_from(data: Data) -> None:
    data.write("data/persons.csv", "id,age,note\n" + "".join(f"{n},{25 + n % 40},\n" for n in range(1234)))
    text = proposed(data, "data/persons.csv")
    assert text == (
        "# Proposed from data/persons.csv: 1,234 rows, 3 columns. Each comment says what was seen.\n"
        "# Read it, tighten what you know better, and remove what holds by chance.\n"
        "schema: 1\n"
        "name: persons\n"
        "table:\n"
        "  rows: [600, null] # 1,234; half of them at least\n"
        "columns:\n"
        "  # none missing; 0 to 1233; an identifier, and no value occurs twice\n"
        "  id: {type: integer, nulls: 0, min: 0, unique: true}\n"
        "  # none missing; 25 to 64; mean 44.42, and half a standard deviation around it\n"
        "  age: {type: integer, nulls: 0, min: 20, max: 70, mean: [38, 51]}\n"
        "  # no value, so nothing can be said of it\n"
        "  note: {}\n"
    )
    assert broken(data, "data/persons.csv", text) == []


def test_late_values_are_seen(data: Data) -> None:
    data.write("a.csv", "zip\n" + "10115\n" * 5000 + "01067\n")
    assert 'in: ["01067", "10115"]' in proposed(data, "a.csv")


def test_other_data_break_a_proposal(data: Data) -> None:
    rows = [f"{n},{25 + n % 40},{'ab'[n % 2]}\n" for n in range(400)]
    data.write("a.csv", "id,age,plan\n" + "".join(rows))
    text = proposed(data, "a.csv")
    for wrong in ("400,300,a\n", "3,30,a\n", "400,30,c\n", "400,,a\n", "400,x,a\n"):
        data.write("b.csv", "id,age,plan\n" + "".join(rows) + wrong)
        assert broken(data, "b.csv", text)
    data.write("b.csv", "id,age,plan\n" + "".join(rows[:100]))
    assert broken(data, "b.csv", text)


def test_nothing_is_proposed_for_a_file_without_rows(data: Data) -> None:
    data.write("a.csv", "a,b\n")
    with pytest.raises(MlgateError, match=r"a\.csv has no rows, so there is nothing to propose"):
        proposed(data, "a.csv")


def test_many_columns(data: Data) -> None:
    rows = [",".join(f"c{n}" for n in range(510)), *[",".join(str(n * i) for n in range(510)) for i in range(10)]]
    data.write("a.csv", "\n".join(rows))
    text = proposed(data, "a.csv")
    assert len(contract.load(text.encode(), "c.yaml").expectations) > 510


VALUES = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(),
    pa.string(): st.text(st.characters(exclude_categories=["Cs"]), max_size=70),
    pa.bool_(): st.booleans(),
    pa.date32(): st.dates(),
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("us", "UTC"): st.datetimes(),
    pa.decimal128(30, 10): st.decimals(-(10**19), 10**19, places=10, allow_nan=False),
}


@st.composite
def tables(draw: st.DrawFn) -> Any:
    rows = draw(st.sampled_from([1, 2, 7, 40, 130]))
    types = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=4))
    names = draw(st.permutations(["id", "a", "b c", "no", "é", "user_id", "1", "email"]))[: len(types)]
    columns = []
    for type_ in types:
        some = draw(st.lists(st.none() | VALUES[type_], min_size=1, max_size=12))
        columns.append(pa.array((some * rows)[:rows], type_))
    return pa.table(columns, names=names)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
def test_a_file_keeps_its_own_proposal(data: Data, table: Any) -> None:
    pq.write_table(table, data.root / "a.parquet")
    text = proposed(data, "a.parquet")
    assert broken(data, "a.parquet", text) == []
