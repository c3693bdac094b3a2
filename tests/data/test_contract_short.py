"""The shorter spelling of a contract: each key is one expectation."""

# ruff: noqa: E501 -- a row of a table reads best on one line

from __future__ import annotations

from typing import Any

import pytest

from mlgate.data.contract import load
from mlgate.data.contract.short import Column, Table
from mlgate.data.nouns import Contract, Expectation


def contract(text: str) -> Contract:
    return load(text.encode(), "contracts/persons.yaml")


def one(text: str, key: str) -> Expectation:
    found = [each for each in contract(f"schema: 1\n{text}\n").expectations if each.id == key]
    assert len(found) == 1, [each.id for each in contract(f"schema: 1\n{text}\n").expectations]
    return found[0]


AGE = {"column": "age"}
KEYS: list[tuple[str, str, dict[str, Any], str]] = [
    ("type: integer", "expect_column_values_to_be_of_kind", {"kind": "integer"}, "of type integer"),
    ("type: timestamp", "expect_column_values_to_be_of_kind", {"kind": "timestamp"}, "of type timestamp"),
    ("required: true", "expect_column_to_exist", {}, "present"),
    ("nulls: 0", "expect_column_values_to_not_be_null", {}, "not missing"),
    ("nulls: 0%", "expect_column_values_to_not_be_null", {}, "not missing"),
    ("nulls: 5", "expect_column_null_count_to_be_at_most", {"max_value": 5}, "at most 5"),
    ("nulls: 10%", "expect_column_values_to_not_be_null", {"mostly": 0.9}, "not missing, in 90 % of rows"),
    ("nulls: 0.1%", "expect_column_values_to_not_be_null", {"mostly": 0.999}, "not missing, in 99.9 % of rows"),
    ("nulls: 0.05", "expect_column_values_to_not_be_null", {"mostly": 0.95}, "not missing, in 95 % of rows"),
    ("min: 0", "expect_column_values_to_be_between", {"min_value": 0}, "at least 0"),
    ("min: -1.5", "expect_column_values_to_be_between", {"min_value": -1.5}, "at least −1.5"),
    ("min: 2020-01-31", "expect_column_values_to_be_between", {"min_value": "2020-01-31"}, "at least 2020-01-31"),
    ("max: 100000", "expect_column_values_to_be_between", {"max_value": 100_000}, "at most 100,000"),
    (
        "max: 2026-01-31T12:00:00Z",
        "expect_column_values_to_be_between",
        {"max_value": "2026-01-31T12:00:00Z"},
        "at most 2026-01-31T12:00:00Z",
    ),
    (
        "in: [1, 2.5, three, true]",
        "expect_column_values_to_be_in_set",
        {"value_set": [1, 2.5, "three", True]},
        "one of 1, 2.5, three or true",
    ),
    ("not_in: [-9, -99]", "expect_column_values_to_not_be_in_set", {"value_set": [-9, -99]}, "none of −9 and −99"),
    ("matches: '^[A-Z]+$'", "expect_column_values_to_match_regex", {"regex": "^[A-Z]+$"}, "matching ^[A-Z]+$"),
    ("not_matches: ' $'", "expect_column_values_to_not_match_regex", {"regex": " $"}, "not matching  $"),
    (
        "length: [1, 20]",
        "expect_column_value_lengths_to_be_between",
        {"min_value": 1, "max_value": 20},
        "between 1 and 20",
    ),
    ("length: 5", "expect_column_value_lengths_to_be_between", {"min_value": 5, "max_value": 5}, "exactly 5"),
    ("unique: true", "expect_column_values_to_be_unique", {}, "unique"),
    ("increasing: true", "expect_column_values_to_be_increasing", {}, "rising from row to row"),
    ("distinct: [2, null]", "expect_column_unique_value_count_to_be_between", {"min_value": 2}, "at least 2"),
    ("distinct: 3", "expect_column_unique_value_count_to_be_between", {"min_value": 3, "max_value": 3}, "exactly 3"),
    ("mean: [30, 50]", "expect_column_mean_to_be_between", {"min_value": 30, "max_value": 50}, "between 30 and 50"),
    ("median: [null, 50]", "expect_column_median_to_be_between", {"max_value": 50}, "at most 50"),
    ("std: [0.5, null]", "expect_column_stdev_to_be_between", {"min_value": 0.5}, "at least 0.5"),
    (
        "sum: [1e3, 2e3]",
        "expect_column_sum_to_be_between",
        {"min_value": 1000.0, "max_value": 2000.0},
        "between 1000 and 2000",
    ),
    (
        "quantiles: {95%: [80, 100], 0.5: [10, null]}",
        "expect_column_quantile_values_to_be_between",
        {"quantile_ranges": {"quantiles": [0.5, 0.95], "value_ranges": [[10, None], [80, 100]]}},
        "0.5 at least 10; 0.95 between 80 and 100",
    ),
    ("newest: 2 days", "expect_column_newest_to_be_within", {"max_age": 172_800}, "at most 2 days old"),
    ("newest: 12 hours", "expect_column_newest_to_be_within", {"max_age": 43_200}, "at most 12 hours old"),
    ("newest: 30 minutes", "expect_column_newest_to_be_within", {"max_age": 1800}, "at most 30 minutes old"),
    ("newest: 1.5h", "expect_column_newest_to_be_within", {"max_age": 5400}, "at most 90 minutes old"),
    ("newest: 1 week", "expect_column_newest_to_be_within", {"max_age": 604_800}, "at most 7 days old"),
    ("drift: {psi: 0.2}", "expect_column_drift_to_be_at_most", {"psi": 0.2}, "PSI at most 0.2"),
    (
        "drift: {ks: 0.1, alpha: 0.01}",
        "expect_column_drift_to_be_at_most",
        {"ks": 0.1, "alpha": 0.01},
        "KS distance at most 0.1",
    ),
]


@pytest.mark.parametrize(("said", "type_", "kwargs", "expected"), KEYS, ids=[row[0] for row in KEYS])
def test_each_key_of_a_column_is_one_expectation(said: str, type_: str, kwargs: dict[str, Any], expected: str) -> None:
    key = said.partition(":")[0]
    found = one(f"columns:\n  age: {{{said}}}", f"age.{key}")
    assert (found.type, found.kwargs) == (type_, AGE | kwargs)
    assert (found.key, found.line, found.severity) == (f"columns.age.{key}", 3, "error")
    assert found.expected == expected
    assert found.title.startswith("age: ")
    assert found.title.endswith(expected)


def test_every_key_of_a_column_is_in_the_table() -> None:
    said = {row[0].partition(":")[0] for row in KEYS}
    others = {"mostly", "severity", "critical", "private"}
    assert said | others == {field.alias or name for name, field in Column.model_fields.items()}


@pytest.mark.parametrize(
    "key",
    ["type: number", "min: 1", "max: 1", "in: [1]", "not_in: [1]", "matches: a", "not_matches: a", "length: [1, 2]"],
)
def test_mostly_goes_to_the_checks_of_rows(key: str) -> None:
    found = one(f"columns: {{age: {{{key}, mostly: 99.5%}}}}", f"age.{key.partition(':')[0]}")
    assert found.kwargs["mostly"] == 0.995
    assert found.expected.endswith(", in 99.5 % of rows")


def test_mostly_goes_to_nothing_else() -> None:
    said = "columns: {age: {min: 0, nulls: 0, unique: true, mean: [0, 1], increasing: true, mostly: 0.9}}"
    for key in ("nulls", "unique", "mean", "increasing"):
        assert "mostly" not in one(said, f"age.{key}").kwargs
    assert one("columns: {age: {min: 0, mostly: 1}}", "age.min").kwargs == AGE | {"min_value": 0}


TABLE: list[tuple[str, str, str, dict[str, Any], str]] = [
    (
        "columns: superset",
        "table.columns",
        "expect_table_columns_to_match_set",
        {"column_set": ["a", "b"], "exact_match": False},
        "columns: a and b, and any others",
    ),
    (
        "columns: exact",
        "table.columns",
        "expect_table_columns_to_match_set",
        {"column_set": ["a", "b"], "exact_match": True},
        "columns: exactly a and b",
    ),
    (
        "columns: exact, order: true",
        "table.order",
        "expect_table_columns_to_match_ordered_list",
        {"column_list": ["a", "b"]},
        "columns: exactly a and b, in this order",
    ),
    (
        "rows: [1000, null]",
        "table.rows",
        "expect_table_row_count_to_be_between",
        {"min_value": 1000},
        "rows: at least 1000",
    ),
    (
        "rows: [null, 20000]",
        "table.rows",
        "expect_table_row_count_to_be_between",
        {"max_value": 20_000},
        "rows: at most 20,000",
    ),
    ("rows: 7", "table.rows", "expect_table_row_count_to_equal", {"value": 7}, "rows: exactly 7"),
    (
        "unique: [[a, b]]",
        "table.unique.a,b",
        "expect_compound_columns_to_be_unique",
        {"column_list": ["a", "b"]},
        "a and b: unique together",
    ),
    ("unique: [[a]]", "table.unique.a", "expect_column_values_to_be_unique", {"column": "a"}, "a: unique"),
]


@pytest.mark.parametrize(("said", "id_", "type_", "kwargs", "title"), TABLE, ids=[row[0] for row in TABLE])
def test_each_key_of_the_table_is_one_expectation(
    said: str, id_: str, type_: str, kwargs: dict[str, Any], title: str
) -> None:
    found = one(f"table: {{{said}}}\ncolumns: {{a: , b: }}", id_)
    assert (found.type, found.kwargs, found.title) == (type_, kwargs, title)
    assert found.line == 2


def test_every_key_of_the_table_is_in_the_table() -> None:
    assert {row[0].split(", ")[-1].partition(":")[0] for row in TABLE if "null" not in row[0]} >= set(
        Table.model_fields
    )


def test_each_column_listed_must_be_there() -> None:
    found = one("columns: {a: {min: 0}, b: }", "table.columns")
    assert found.kwargs == {"column_set": ["a", "b"], "exact_match": False}
    assert (found.key, found.line) == ("columns", 2)


PAIR = "expect_column_pair_values_a_to_be_greater_than_b"
RELATIONS: list[tuple[str, str, dict[str, Any], str]] = [
    ("start <= end", PAIR, {"column_A": "end", "column_B": "start", "or_equal": True}, "start <= end"),
    ("start < end", PAIR, {"column_A": "end", "column_B": "start", "or_equal": False}, "start < end"),
    ("end >= start", PAIR, {"column_A": "end", "column_B": "start", "or_equal": True}, "start <= end"),
    ("end > start", PAIR, {"column_A": "end", "column_B": "start", "or_equal": False}, "start < end"),
    ("a == b", "expect_column_pair_values_to_be_equal", {"column_A": "a", "column_B": "b"}, "a == b"),
    (
        "'\"the start\" < `the end`'",
        PAIR,
        {"column_A": "the end", "column_B": "the start", "or_equal": False},
        "the start < the end",
    ),
    ('\'"2020" < "2021"\'', PAIR, {"column_A": "2021", "column_B": "2020", "or_equal": False}, "2020 < 2021"),
]


@pytest.mark.parametrize(("said", "type_", "kwargs", "title"), RELATIONS, ids=[row[0] for row in RELATIONS])
def test_a_relation_between_two_columns(said: str, type_: str, kwargs: dict[str, Any], title: str) -> None:
    (found,) = contract(f"schema: 1\nrelations:\n  - {said}\n").expectations
    assert found.type == type_
    assert found.kwargs == {**kwargs, "ignore_row_if": "either_value_is_missing"}
    assert (found.title, found.key, found.line) == (title, "relations[0]", 3)


def test_relations_of_several_columns() -> None:
    found = contract("schema: 1\nrelations: [net + tax == 100, a + b + c == 1.5, a != b]\n").expectations
    several = {"ignore_row_if": "any_value_is_missing"}
    assert [(each.type, each.kwargs) for each in found] == [
        ("expect_multicolumn_sum_to_equal", {"column_list": ["net", "tax"], "sum_total": 100} | several),
        ("expect_multicolumn_sum_to_equal", {"column_list": ["a", "b", "c"], "sum_total": 1.5} | several),
        ("expect_select_column_values_to_be_unique_within_record", {"column_list": ["a", "b"]} | several),
    ]
    assert [each.id for each in found] == [
        "relations.net + tax == 100",
        "relations.a + b + c == 1.5",
        "relations.a != b",
    ]


def test_a_relation_may_be_milder() -> None:
    (found,) = contract("schema: 1\nrelations: [{is: a < b, severity: warn, mostly: 99%}]\n").expectations
    assert (found.severity, found.kwargs["mostly"], found.title) == ("warn", 0.99, "a < b, in 99 % of rows")


# --- severities


SEVERITIES = """\
schema: 1
severity: warn
columns:
  a: {min: 0}
  b: {min: 0, severity: error}
  c: {min: 0, critical: true}
relations: [a < b, {is: a < c, severity: warn}, {is: a <= b, severity: error}]
expectations:
  - {type: expect_column_to_exist, kwargs: {column: a}}
  - {type: expect_column_to_exist, kwargs: {column: b}, severity: critical}
  - {type: expect_column_to_exist, kwargs: {column: c}, severity: info}
  - {type: expect_column_to_exist, kwargs: {column: d}, severity: error}
"""


def test_the_nearest_severity_counts_and_a_critical_column_beats_it() -> None:
    assert {each.id: each.severity for each in contract(SEVERITIES).expectations} == {
        "table.columns": "warn",
        "a.min": "warn",
        "b.min": "error",
        "c.min": "error",
        "relations.a < b": "warn",
        "relations.a < c": "error",
        "relations.a <= b": "error",
        "a.to_exist": "warn",
        "b.to_exist": "error",
        "c.to_exist": "error",
        "d.to_exist": "error",
    }


def test_private_columns_and_a_name() -> None:
    found = contract("schema: 1\nname: persons\ncolumns: {name: {private: true}, age: {private: false}}\n")
    assert found.private == {"name"}
    assert found.name == "persons"
    assert found.file == "contracts/persons.yaml"


def test_ids_are_unique_and_every_line_is_known() -> None:
    text = "schema: 1\ncolumns:\n  a: {unique: true}\n  a.unique: {min: 0}\ntable: {unique: [[a], [a]]}\nrelations: [a < b, a  <  b]\n"
    found = contract(text).expectations
    ids = [each.id for each in found]
    assert len(set(ids)) == len(ids)
    assert ids == [
        "table.columns",
        "table.unique.a",
        "table.unique.a.2",
        "a.unique",
        "a.unique.min",
        "relations.a < b",
        "relations.a < b.2",
    ]
    assert [each.line for each in found] == [2, 5, 5, 3, 4, 6, 6]


@pytest.mark.parametrize(
    "name", ["with space", "ünïcode", "dotted.name", "1", "yes", "in", "a[0]", "columns", "$x", "null "]
)
def test_any_column_can_be_named(name: str) -> None:
    found = contract(f'schema: 1\ncolumns: {{"{name}": {{min: 0}}}}\n').expectations[-1]
    assert found.kwargs["column"] == name
    assert found.line == 2
