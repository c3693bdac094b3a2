# ruff: noqa: S608 -- the SQL of these tests is their own
"""What each check of single rows says of given values: boundaries, missing values, strange ones, wrong types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine_tables import check, column, constant, write

INTS = ("BIGINT", ["1", "2", "3", "NULL"])
FLOATS = ("DOUBLE", ["0.5", "'nan'", "'inf'", "'-inf'", "NULL", "-0.0"])
TEXTS = ("VARCHAR", ["'a'", "''", "'é'", "NULL", "'Z'", "'👩‍👧'"])
DAYS = ("DATE", ["'2020-01-01'", "'2020-12-31'", "NULL"])
TIMES = ("TIMESTAMP", ["'2020-01-01 00:00:00'", "'2020-01-01 12:00:00.000001'"])
ZONED = ("TIMESTAMPTZ", ["'2020-01-01 00:00:00+00'", "'2020-01-01 02:00:00+02'"])
CENTS = ("DECIMAL(10, 2)", ["0.10", "0.20", "0.30"])
FLAGS = ("BOOLEAN", ["true", "false", "NULL"])
OUTLIER, OUTLIER_BELOW = (("DOUBLE", ["1", "2", "1", "2", "1", "2", last]) for last in ("10", "-10"))
HALF = ("BIGINT", ["-1", "-1", "3", "5"])
BIG = ("BIGINT", ["9007199254740993", "-9223372036854775808"])

# column, type, kwargs -> unexpected, nulls
COUNTED = [
    (INTS, "values_to_not_be_null", {}, 1, 0),
    (INTS, "values_to_be_null", {}, 3, 0),
    (FLOATS, "values_to_not_be_null", {}, 2, 0),  # NaN is missing
    (TEXTS, "values_to_not_be_null", {}, 1, 0),  # an empty text is not
    (INTS, "null_count_to_be_at_most", {"max_value": 0}, 1, 0),
    # between: boundaries pass, unless strict
    (INTS, "values_to_be_between", {"min_value": 1, "max_value": 3}, 0, 1),
    (INTS, "values_to_be_between", {"min_value": 1, "max_value": 3, "strict_min": True}, 1, 1),
    (INTS, "values_to_be_between", {"min_value": 1, "max_value": 3, "strict_max": True}, 1, 1),
    (INTS, "values_to_be_between", {"min_value": 1.5, "max_value": 2.5}, 2, 1),
    (INTS, "values_to_be_between", {"max_value": 10**30}, 0, 1),
    (INTS, "values_to_be_between", {"min_value": 10**30}, 3, 1),
    (INTS, "values_to_be_between", {"min_value": float("-inf"), "max_value": float("inf")}, 0, 1),
    (BIG, "values_to_be_between", {"min_value": 9007199254740993}, 1, 0),
    (BIG, "values_to_be_between", {"max_value": 9007199254740992}, 1, 0),  # a double could not tell
    (FLOATS, "values_to_be_between", {"min_value": 0}, 1, 2),  # -0.0 is 0, -inf is below
    (FLOATS, "values_to_be_between", {"max_value": 1e308}, 1, 2),  # inf is above
    (FLOATS, "values_to_be_between", {"max_value": float("inf")}, 0, 2),
    (("FLOAT", ["0.1"]), "values_to_be_between", {"max_value": 0.1}, 1, 0),  # the nearest float is a little above
    (CENTS, "values_to_be_between", {"min_value": 0.1, "max_value": 0.3}, 0, 0),  # exact: no 0.30000000000000004
    (CENTS, "values_to_be_between", {"min_value": 0.101, "max_value": 0.299}, 2, 0),
    (CENTS, "values_to_be_between", {"min_value": 1e-30}, 0, 0),
    (TEXTS, "values_to_be_between", {"min_value": "", "max_value": "z"}, 2, 1),  # by code point
    (FLAGS, "values_to_be_between", {"min_value": 1}, 1, 1),
    (DAYS, "values_to_be_between", {"min_value": "2020-01-01", "max_value": "2020-12-30"}, 1, 1),
    (DAYS, "values_to_be_between", {"min_value": "2020-01-01T00:00:01"}, 1, 1),
    (TIMES, "values_to_be_between", {"max_value": "2020-01-01T12:00:00"}, 1, 0),
    (ZONED, "values_to_be_between", {"max_value": "2020-01-01T01:00:00+01:00"}, 0, 0),
    (ZONED, "values_to_be_between", {"min_value": "2020-01-01T00:00:00Z", "strict_min": True}, 2, 0),
    # sets
    (INTS, "values_to_be_in_set", {"value_set": [1, 2.0, 2.5]}, 1, 1),
    (INTS, "values_to_be_in_set", {"value_set": [10**40]}, 3, 1),
    (INTS, "values_to_be_in_set", {"value_set": ["1", 1]}, 2, 1),  # the text is no member, the number is
    (INTS, "values_to_not_be_in_set", {"value_set": [3, None]}, 1, 1),
    (FLOATS, "values_to_be_in_set", {"value_set": [0, 0.5]}, 2, 2),
    (TEXTS, "values_to_be_in_set", {"value_set": ["a", "", "é"]}, 2, 1),
    (TEXTS, "values_to_be_in_set", {"value_set": ["'; DROP TABLE x; --", "\\"]}, 5, 1),
    (CENTS, "values_to_be_in_set", {"value_set": [0.1, 0.2]}, 1, 0),
    (FLAGS, "values_to_be_in_set", {"value_set": [True]}, 1, 1),
    (DAYS, "values_to_not_be_in_set", {"value_set": ["2020-12-31"]}, 1, 1),
    # text
    (TEXTS, "value_lengths_to_equal", {"value": 1}, 2, 1),  # the family is three code points
    (TEXTS, "value_lengths_to_be_between", {"min_value": 1, "max_value": 3}, 1, 1),
    (TEXTS, "value_lengths_to_be_between", {"max_value": 3, "strict_max": True}, 1, 1),
    (("INTEGER", ["7", "12"]), "value_lengths_to_equal", {"value": 2}, 1, 0),
    (TEXTS, "values_to_match_regex", {"regex": "[a-zé]"}, 3, 1),
    (TEXTS, "values_to_not_match_regex", {"regex": "[a-zé]"}, 2, 1),
    (TEXTS, "values_to_match_regex_list", {"regex_list": ["a", "Z"]}, 3, 1),
    (TEXTS, "values_to_match_regex_list", {"regex_list": ["a", "Z"], "match_on": "all"}, 5, 1),
    (TEXTS, "values_to_not_match_regex_list", {"regex_list": ["a", "Z"]}, 2, 1),
    (("VARCHAR", ["'A1'", "'a1'", "'A'"]), "values_to_match_regex", {"regex": r"^[A-Z]\d$"}, 2, 0),
    (("VARCHAR", ["'A1'", "'a1'", "'A'"]), "values_to_match_regex", {"regex": r"(?i)^a\d"}, 1, 0),
    (("INTEGER", ["12345", "99"]), "values_to_match_regex", {"regex": r"^\d{5}$"}, 1, 0),
    (TEXTS, "values_to_match_like_pattern", {"like_pattern": "_"}, 2, 1),
    (TEXTS, "values_to_not_match_like_pattern", {"like_pattern": "a%"}, 1, 1),
    (("VARCHAR", ["'5%'", "'50'"]), "values_to_match_like_pattern", {"like_pattern": "5!%", "escape": "!"}, 1, 0),
    (TEXTS, "values_to_match_like_pattern_list", {"like_pattern_list": ["a", "Z"]}, 3, 1),
    (TEXTS, "values_to_not_match_like_pattern_list", {"like_pattern_list": ["a", "Z"]}, 2, 1),
    # unique: every row of a group
    (("BIGINT", ["1", "1", "2", "NULL", "NULL"]), "values_to_be_unique", {}, 2, 2),
    (("DOUBLE", ["0.0", "-0.0", "'nan'", "'nan'"]), "values_to_be_unique", {}, 2, 2),
    (("VARCHAR", ["'a'", "'A'", "'a '"]), "values_to_be_unique", {}, 0, 0),
    # order
    (("BIGINT", ["1", "NULL", "1", "3", "2"]), "values_to_be_increasing", {}, 1, 1),
    (("BIGINT", ["1", "NULL", "1", "3", "2"]), "values_to_be_increasing", {"strictly": True}, 2, 1),
    (("BIGINT", ["3", "2", "2"]), "values_to_be_decreasing", {}, 0, 0),
    (("DOUBLE", ["1", "'inf'", "'inf'"]), "values_to_be_increasing", {"strictly": True}, 0, 0),
    (DAYS, "values_to_be_increasing", {}, 0, 1),
    # z-scores: 10 lies 2.02 sample deviations from the mean of these
    (OUTLIER, "value_z_scores_to_be_less_than", {"threshold": 2, "double_sided": True}, 1, 0),
    (OUTLIER_BELOW, "value_z_scores_to_be_less_than", {"threshold": 2, "double_sided": False}, 0, 0),
    (OUTLIER_BELOW, "value_z_scores_to_be_less_than", {"threshold": -2, "double_sided": True}, 1, 0),
    # the mean is 1.5 and the deviation 3: the score of 3 is 0.5 to the last digit, and not below it
    (HALF, "value_z_scores_to_be_less_than", {"threshold": 0.5, "double_sided": False}, 2, 0),
    (("DOUBLE", ["4", "4"]), "value_z_scores_to_be_less_than", {"threshold": 1, "double_sided": True}, 0, 0),
    # kinds
    (INTS, "values_to_be_of_kind", {"kind": "integer"}, 0, 1),
    (INTS, "values_to_be_of_kind", {"kind": "number"}, 0, 1),
    (INTS, "values_to_be_of_kind", {"kind": "text"}, 3, 1),
    (INTS, "values_to_be_of_kind", {"kind": "boolean"}, 3, 1),
    (FLOATS, "values_to_be_of_kind", {"kind": "number"}, 0, 2),
    (FLOATS, "values_to_be_of_kind", {"kind": "integer"}, 3, 2),
    (CENTS, "values_to_be_of_kind", {"kind": "integer"}, 3, 0),
    (("DECIMAL(10, 2)", ["1.00"]), "values_to_be_of_kind", {"kind": "integer"}, 0, 0),
    (TEXTS, "values_to_be_of_kind", {"kind": "text"}, 0, 1),
    (("VARCHAR", ["'1'"]), "values_to_be_of_kind", {"kind": "integer"}, 1, 0),
    (DAYS, "values_to_be_of_kind", {"kind": "date"}, 0, 1),
    (DAYS, "values_to_be_of_kind", {"kind": "timestamp"}, 0, 1),
    (TIMES, "values_to_be_of_kind", {"kind": "date"}, 1, 0),
    (ZONED, "values_to_be_of_kind", {"kind": "timestamp"}, 0, 0),
    (FLAGS, "values_to_be_of_kind", {"kind": "boolean"}, 0, 1),
    (FLAGS, "values_to_be_of_kind", {"kind": "number"}, 2, 1),
]  # fmt: skip


@pytest.mark.parametrize(("data", "type_", "kwargs", "unexpected", "nulls"), COUNTED)
def test_the_rows_that_break_it_are_counted(
    tmp_path: Path, *, data: tuple[str, list[str]], type_: str, kwargs: dict[str, Any], unexpected: int, nulls: int
) -> None:
    path = column(tmp_path, *data)
    outcome = check(path, type_, column="x", **kwargs)
    assert outcome.trouble == ""
    assert (outcome.unexpected, outcome.nulls, outcome.rows) == (unexpected, nulls, len(data[1]))
    assert outcome.holds is (unexpected == 0)
    assert len(outcome.examples) == min(unexpected, 5)
    assert outcome.engine.startswith("duckdb ")


# two columns and more: rows of SQL constants
PAIRS = ("BIGINT", "DOUBLE", [("2", "1"), ("2", "2"), ("1", "NULL"), ("NULL", "NULL"), ("1", "'nan'")])
KEYS = (
    "BIGINT",
    "VARCHAR",
    [("1", "'a'"), ("1", "'b'"), ("1", "NULL"), ("1", "NULL"), ("NULL", "NULL"), ("NULL", "NULL")],
)
SUMS = ("DOUBLE", "DOUBLE", [("0.1", "0.2"), ("0.25", "0.05"), ("NULL", "0.3"), ("NULL", "NULL"), ("'inf'", "'-inf'")])
MONEY = ("DECIMAL(10, 1)", "DECIMAL(10, 2)", [("0.1", "0.20"), ("0.1", "0.21")])
SEVERAL = [
    (PAIRS, "expect_column_pair_values_a_to_be_greater_than_b", {}, 3, 1),
    (PAIRS, "expect_column_pair_values_a_to_be_greater_than_b", {"or_equal": True}, 2, 1),
    (PAIRS, "expect_column_pair_values_a_to_be_greater_than_b", {"ignore_row_if": "either_value_is_missing"}, 1, 3),
    (PAIRS, "expect_column_pair_values_a_to_be_greater_than_b", {"ignore_row_if": "neither"}, 4, 0),
    (PAIRS, "expect_column_pair_values_to_be_equal", {}, 3, 1),
    (PAIRS, "expect_column_pair_values_to_be_equal", {"ignore_row_if": "either_value_is_missing"}, 1, 3),
    (PAIRS, "expect_column_pair_values_to_be_in_set", {"value_pairs_set": [[2, 1], [2, 2.0]]}, 2, 1),
    (PAIRS, "expect_column_pair_values_to_be_in_set", {"value_pairs_set": [[2, 1], [2, 2], [1, None]]}, 0, 1),
    (KEYS, "expect_compound_columns_to_be_unique", {}, 2, 2),  # missing parts are equal
    (KEYS, "expect_compound_columns_to_be_unique", {"ignore_row_if": "any_value_is_missing"}, 0, 4),
    (KEYS, "expect_compound_columns_to_be_unique", {"ignore_row_if": "never"}, 4, 0),
    (PAIRS, "expect_select_column_values_to_be_unique_within_record", {}, 1, 1),
    (PAIRS, "expect_select_column_values_to_be_unique_within_record", {"ignore_row_if": "never"}, 2, 0),
    (PAIRS, "expect_multicolumn_values_to_be_equal", {"ignore_row_if": "never"}, 3, 0),
    (SUMS, "expect_multicolumn_sum_to_equal", {"sum_total": 0.3}, 3, 1),  # 0.1 + 0.2 is not 0.3 in doubles
    (MONEY, "expect_multicolumn_sum_to_equal", {"sum_total": 0.3}, 1, 0),  # and is, in decimals
]  # fmt: skip


@pytest.mark.parametrize(("data", "type_", "kwargs", "unexpected", "nulls"), SEVERAL)
def test_rows_of_several_columns(
    tmp_path: Path, *, data: tuple[str, str, list[tuple[str, str]]], type_: str, kwargs: dict[str, Any],
    unexpected: int, nulls: int,
) -> None:  # fmt: skip
    one, two, rows = data
    values = ", ".join(f"({i}, {constant(a, one)}, {constant(b, two)})" for i, (a, b) in enumerate(rows))
    select = f"SELECT a, b FROM (VALUES {values}) AS t(i, a, b) ORDER BY i"
    named = {"column_A": "a", "column_B": "b"} if "pair" in type_ else {"column_list": ["a", "b"]}
    outcome = check(write(tmp_path, select), type_, **named, **kwargs)
    assert outcome.trouble == ""
    assert (outcome.unexpected, outcome.nulls, outcome.rows) == (unexpected, nulls, len(rows))
    assert outcome.holds is (unexpected == 0)


@pytest.mark.parametrize(("mostly", "holds"), [(0.75, True), (0.76, False), (None, False), (0, True)])
def test_a_boundary_share_passes(tmp_path: Path, mostly: float | None, holds: bool) -> None:
    path = column(tmp_path, "BIGINT", ["1", "2", "3", "9", "NULL"])
    outcome = check(path, "values_to_be_between", column="x", max_value=5, mostly=mostly)
    assert outcome.holds is holds
    assert (outcome.unexpected, outcome.nulls) == (1, 1)


# What can never be a pass, and what the sentence must name.
UNMEASURED = [
    (INTS, "values_to_be_between", {"min_value": "1"}, "cannot be compared with the text '1'"),
    (TEXTS, "values_to_be_between", {"min_value": 1}, "cannot be compared with the number 1"),
    (INTS, "values_to_not_be_in_set", {"value_set": ["1"]}, "cannot be compared with the text '1'"),
    (TEXTS, "values_to_not_be_in_set", {"value_set": [1]}, "cannot be compared with the number 1"),
    (INTS, "values_to_not_be_in_set", {"value_set": []}, "value_set is empty"),
    (DAYS, "values_to_be_between", {"min_value": 20200101}, "cannot be compared with the number 20200101"),
    (TIMES, "values_to_be_between", {"min_value": "2020-01-01T00:00:00Z"}, "no time zone"),
    (ZONED, "values_to_be_between", {"min_value": "2020-01-01"}, "has a time zone"),
    (INTS, "values_to_be_between", {}, "Neither min_value nor max_value"),
    (INTS, "values_to_be_between", {"min_value": 3, "max_value": 2}, "above max_value"),
    (TEXTS, "values_to_be_increasing", {}, "text"),
    (TEXTS, "value_z_scores_to_be_less_than", {"threshold": 1, "double_sided": True}, "no mean"),
    (("DOUBLE", ["1"]), "value_z_scores_to_be_less_than", {"threshold": 1, "double_sided": True}, "single value"),
    (FLOATS, "value_z_scores_to_be_less_than", {"threshold": 1, "double_sided": True}, "no standard deviation"),
    (INTS, "values_to_match_regex", {"regex": "("}, "no regular expression"),
    (INTS, "values_to_match_like_pattern", {"like_pattern": "1%"}, "only text"),
    (INTS, "values_to_be_of_kind", {"kind": "colour"}, "no kind of value"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "type_", "kwargs", "said"), UNMEASURED)
def test_what_cannot_be_compared_is_said_and_never_passes(
    tmp_path: Path, *, data: tuple[str, list[str]], type_: str, kwargs: dict[str, Any], said: str
) -> None:
    outcome = check(column(tmp_path, *data), type_, column="x", **kwargs)
    assert outcome.holds is None
    assert said in outcome.trouble


ROW_CHECKS: list[tuple[str, dict[str, Any]]] = [
    ("values_to_be_between", {"min_value": 0}),
    ("values_to_be_in_set", {"value_set": [1]}),
    ("values_to_not_be_in_set", {"value_set": [1]}),
    ("values_to_be_unique", {}),
    ("values_to_be_increasing", {}),
    ("values_to_match_regex", {"regex": "1"}),
    ("values_to_not_match_regex", {"regex": "1"}),
    ("value_lengths_to_equal", {"value": 1}),
    ("value_z_scores_to_be_less_than", {"threshold": 1, "double_sided": True}),
    ("values_to_be_of_kind", {"kind": "integer"}),
    ("mean_to_be_between", {"min_value": -1e9}),
    ("min_to_be_between", {"min_value": -1e9}),
    ("median_to_be_between", {"min_value": -1e9}),
    ("sum_to_be_between", {"min_value": -1e9}),
    ("stdev_to_be_between", {"min_value": 0}),
    ("unique_value_count_to_be_between", {"min_value": 0}),
    ("proportion_of_unique_values_to_be_between", {"min_value": 0}),
    ("distinct_values_to_be_in_set", {"value_set": [1]}),
    ("most_common_value_to_be_in_set", {"value_set": [1]}),
    ("quantile_values_to_be_between", {"quantile_ranges": {"quantiles": [0.5], "value_ranges": [[None, None]]}}),
]


@pytest.mark.parametrize(("type_", "kwargs"), ROW_CHECKS)
@pytest.mark.parametrize("values", [[], ["NULL", "NULL"]])
def test_nothing_there_is_never_a_pass(tmp_path: Path, type_: str, kwargs: dict[str, Any], values: list[str]) -> None:
    outcome = check(column(tmp_path, "BIGINT", values), type_, column="x", **kwargs)
    assert outcome.holds is None
    assert ("missing" if values else "no rows") in outcome.trouble


@pytest.mark.parametrize(("type_", "kwargs"), [*ROW_CHECKS, ("values_to_not_be_null", {}), ("values_to_be_null", {})])
def test_a_column_that_is_not_there_is_named_with_the_one_that_may_be_meant(
    tmp_path: Path, type_: str, kwargs: dict[str, Any]
) -> None:
    outcome = check(column(tmp_path, "BIGINT", ["1"], name="Age"), type_, column="age", **kwargs)
    assert outcome.holds is None
    assert outcome.trouble == "There is no column 'age'. Did you mean 'Age'?"


def test_examples_are_the_first_rows_of_the_file_with_their_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, "SELECT range AS x, repeat('y', 500) AS y FROM range(1, 20001)")
    outcome = check(path, "values_to_be_between", column="x", max_value=19_000)
    assert [one.row for one in outcome.examples] == [19_001, 19_002, 19_003, 19_004, 19_005]
    assert outcome.examples[0].values == {"x": "19001"}
    assert outcome.unexpected == 1000
    long = check(path, "value_lengths_to_equal", column="y", value=1).examples[0].values["y"]
    assert len(long) == 200


@pytest.mark.parametrize(
    "name", ["k", "n", "b", "now", "before", "f", "r", "t", "select", 'a "quoted" one', "ä", "{view}"]
)
def test_any_column_name_will_do(tmp_path: Path, name: str) -> None:
    rows = ", ".join(f"({i}, {v})" for i, v in enumerate([1, 1, 2, 5]))
    quoted = name.replace('"', '""')
    path = write(tmp_path, f'SELECT v AS "{quoted}", i AS "mine" FROM (VALUES {rows}) AS t(i, v) ORDER BY i')
    assert check(path, "most_common_value_to_be_in_set", column=name, value_set=[1]).holds is True
    assert check(path, "values_to_be_increasing", column=name, strictly=True).unexpected == 1
    assert check(path, "values_to_be_unique", column=name).unexpected == 2
    assert check(path, "median_to_be_between", column=name, min_value=1.5, max_value=1.5).holds is True
    assert check(path, "values_to_be_in_set", column=name, value_set=[1, 2]).examples[0].values == {name: "5"}
