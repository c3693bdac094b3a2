# ruff: noqa: S608 -- the SQL of these tests is their own
"""What checks of whole columns and tables measure, and that it is exact however little memory there is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_tables import check, checks, column, write
from hypothesis import given
from hypothesis import strategies as st

from mlgate.data.engine import ranks
from mlgate.data.engine.plan import Rank


def quantile(*wanted: tuple[float, float | None, float | None]) -> dict[str, Any]:
    return {"quantile_ranges": {"quantiles": [q for q, *_ in wanted], "value_ranges": [[a, b] for _, a, b in wanted]}}


INTS = ("BIGINT", ["1", "2", "3", "4", "NULL"])
FLOATS = ("DOUBLE", ["0.1", "0.2", "0.3", "'nan'"])
INFINITE = ("DOUBLE", ["1", "'inf'"])
CENTS = ("DECIMAL(10, 2)", ["0.10", "0.20"])
TEXTS = ("VARCHAR", ["'b'", "'a'", "'b'", "NULL"])
DAYS = ("DATE", ["'2020-01-01'", "'2020-12-31'"])
FLAGS = ("BOOLEAN", ["true", "false", "NULL", "true"])
HUGE = ("BIGINT", ["9223372036854775807", "9223372036854775807"])
WIDE = ("HUGEINT", ["170141183460469231731687303715884105727", "1"])
TIED = ("VARCHAR", ["'a'", "'a'", "'b'", "'b'", "'c'"])

# column, type, kwargs -> holds, observed
MEASURED: list[tuple[tuple[str, list[str]], str, dict[str, Any], bool, Any]] = [
    (INTS, "min_to_be_between", {"min_value": 1, "max_value": 1}, True, 1),
    (INTS, "max_to_be_between", {"max_value": 4, "strict_max": True}, False, 4),
    (INTS, "mean_to_be_between", {"min_value": 2.5, "max_value": 2.5}, True, 2.5),
    (INTS, "sum_to_be_between", {"min_value": 10, "max_value": 10}, True, 10),
    (INTS, "median_to_be_between", {"min_value": 2.5, "max_value": 2.5}, True, 2.5),
    (INTS, "stdev_to_be_between", {"min_value": 1.29, "max_value": 1.2910}, True, pytest.approx(math.sqrt(5 / 3))),
    (("BIGINT", ["-1", "-1", "3", "5"]), "stdev_to_be_between", {"min_value": 3, "max_value": 3}, True, 3.0),
    (FLOATS, "sum_to_be_between", {"min_value": 0.6, "max_value": 0.6}, True, 0.6),
    (FLOATS, "median_to_be_between", {"min_value": 0.2, "max_value": 0.2}, True, 0.2),
    (INFINITE, "max_to_be_between", {"max_value": 1e308}, False, math.inf),
    (INFINITE, "mean_to_be_between", {"max_value": 1e308}, False, math.inf),
    (INFINITE, "sum_to_be_between", {"min_value": 0}, True, math.inf),
    (INFINITE, "median_to_be_between", {"max_value": 10}, False, math.inf),
    (CENTS, "sum_to_be_between", {"min_value": 0.3, "max_value": 0.3}, True, 0.3),
    (CENTS, "mean_to_be_between", {"min_value": 0.15, "max_value": 0.15}, True, 0.15),
    (HUGE, "sum_to_be_between", {"min_value": 2**64 - 2, "max_value": 2**64 - 2}, True, 2**64 - 2),
    (HUGE, "median_to_be_between", {"min_value": 2**63 - 1, "max_value": 2**63 - 1}, True, 2**63 - 1),
    (WIDE, "sum_to_be_between", {"min_value": 1e38}, True, pytest.approx(1.7014118346046923e38)),
    (TEXTS, "min_to_be_between", {"min_value": "a", "max_value": "a"}, True, "a"),
    (TEXTS, "max_to_be_between", {"max_value": "a"}, False, "b"),
    (DAYS, "max_to_be_between", {"max_value": "2020-12-30"}, False, "2020-12-31"),
    (FLAGS, "mean_to_be_between", {"min_value": 0.66, "max_value": 0.67}, True, 2 / 3),
    (FLAGS, "sum_to_be_between", {"min_value": 2, "max_value": 2}, True, 2),
    (FLAGS, "min_to_be_between", {"min_value": 0, "max_value": 0}, True, 0),
    (TEXTS, "unique_value_count_to_be_between", {"min_value": 2, "max_value": 2}, True, 2),
    (FLOATS, "unique_value_count_to_be_between", {"max_value": 3}, True, 3),
    (("DOUBLE", ["0.0", "'-0.0'"]), "unique_value_count_to_be_between", {"max_value": 1}, True, 1),
    (TEXTS, "proportion_of_unique_values_to_be_between", {"min_value": 2 / 3, "max_value": 2 / 3}, True, 2 / 3),
    (TEXTS, "proportion_of_non_null_values_to_be_between", {"min_value": 0.75}, True, 0.75),
    (TEXTS, "distinct_values_to_be_in_set", {"value_set": ["a", "b", "c"]}, True, None),
    (TEXTS, "distinct_values_to_be_in_set", {"value_set": ["a"]}, False, "1 not in the set"),
    (TEXTS, "distinct_values_to_contain_set", {"value_set": ["a"]}, True, None),
    (TEXTS, "distinct_values_to_contain_set", {"value_set": ["a", "z"]}, False, "1 of the set missing"),
    (INTS, "distinct_values_to_contain_set", {"value_set": [1, 1.5]}, False, "1 of the set missing"),
    (INTS, "distinct_values_to_contain_set", {"value_set": [1, 1.0]}, True, None),
    (TEXTS, "distinct_values_to_equal_set", {"value_set": ["a", "b"]}, True, None),
    (TEXTS, "distinct_values_to_equal_set", {"value_set": ["a", "z"]}, False, "1 not in the set, 1 of the set missing"),
    (TEXTS, "most_common_value_to_be_in_set", {"value_set": ["b"]}, True, "b"),
    (TEXTS, "most_common_value_to_be_in_set", {"value_set": ["a"]}, False, "b"),
    (TIED, "most_common_value_to_be_in_set", {"value_set": ["a"]}, False, "2 values, such as a"),
    (TIED, "most_common_value_to_be_in_set", {"value_set": ["a", "b"]}, False, "2 values, such as a"),
    (TIED, "most_common_value_to_be_in_set", {"value_set": ["a"], "ties_okay": True}, True, "2 values, such as a"),
    (INTS, "quantile_values_to_be_between", quantile((0.5, 3, 3)), True, 3),
    (INTS, "quantile_values_to_be_between", quantile((0.5, 3, 3)) | {"allow_relative_error": "lower"}, False, 2),
    (INTS, "quantile_values_to_be_between", quantile((0, None, 1), (1, 4, None)), True, "0: 1, 1: 4"),
    # the tolerance of Great Expectations: one in 10,000 of the limit
    (INTS, "quantile_values_to_be_between", quantile((1, 0, 3.9997)), True, 4),
    (INTS, "quantile_values_to_be_between", quantile((1, 0, 3.999)), False, 4),
]  # fmt: skip


KEPT = [INTS, TEXTS, TIED, DAYS]  # what a text file keeps the type of


@pytest.mark.parametrize(
    ("data", "type_", "kwargs", "holds", "observed", "file"),
    [(*one, "data.parquet") for one in MEASURED] + [(*one, "data.csv") for one in MEASURED if one[0] in KEPT],
)
def test_what_is_measured(
    tmp_path: Path,
    *,
    data: tuple[str, list[str]],
    type_: str,
    kwargs: dict[str, Any],
    holds: bool,
    observed: Any,
    file: str,
) -> None:
    outcome = check(column(tmp_path, *data, file=file), type_, column="x", **kwargs)
    assert (outcome.holds, outcome.observed, outcome.trouble) == (holds, observed, "")
    assert outcome.rows == len(data[1])
    assert outcome.unexpected is None


NUMBERLESS: list[tuple[tuple[str, list[str]], str, dict[str, Any], str]] = [
    (TEXTS, "mean_to_be_between", {"min_value": 0}, "has no mean"),
    (TEXTS, "sum_to_be_between", {"min_value": 0}, "has no sum"),
    (TEXTS, "median_to_be_between", {"min_value": 0}, "has no median"),
    (INTS, "mean_to_be_between", {"min_value": "0"}, "cannot be compared with '0'"),
    (INTS, "mean_to_be_between", {}, "Neither min_value nor max_value"),
    (INTS, "max_to_be_between", {"max_value": "z"}, "cannot be compared with the text 'z'"),
    (("BIGINT", ["1"]), "stdev_to_be_between", {"min_value": 0}, "is not a number"),
    (("DOUBLE", ["'inf'", "'-inf'"]), "mean_to_be_between", {"min_value": -1e308}, "is not a number"),
    (INFINITE, "stdev_to_be_between", {"min_value": 0}, "is not a number"),
    (("DOUBLE", ["1e200", "-1e200"]), "stdev_to_be_between", {"min_value": 0}, "is not a number"),
    (TEXTS, "distinct_values_to_contain_set", {"value_set": []}, "value_set is empty"),
    (TEXTS, "distinct_values_to_be_in_set", {"value_set": [1]}, "cannot be compared with the number 1"),
    (INTS, "quantile_values_to_be_between", quantile((50, 0, 1)), "between 0 and 1"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "type_", "kwargs", "said"), NUMBERLESS)
def test_what_is_no_number_is_said_and_never_passes(
    tmp_path: Path, *, data: tuple[str, list[str]], type_: str, kwargs: dict[str, Any], said: str
) -> None:
    outcome = check(column(tmp_path, *data), type_, column="x", **kwargs)
    assert outcome.holds is None
    assert said in outcome.trouble


TABLES: list[tuple[str, dict[str, Any], bool, Any]] = [
    ("expect_table_row_count_to_be_between", {"min_value": 2, "max_value": 2}, True, 2),
    ("expect_table_row_count_to_be_between", {"min_value": 2, "strict_min": True}, False, 2),
    ("expect_table_row_count_to_equal", {"value": 3}, False, 2),
    ("expect_table_column_count_to_be_between", {"max_value": 2}, True, 2),
    ("expect_table_column_count_to_equal", {"value": 1}, False, 2),
    ("expect_column_to_exist", {"column": "a"}, True, None),
    ("expect_column_to_exist", {"column": "A"}, False, "there is 'a'"),
    ("expect_column_to_exist", {"column": "b", "column_index": 1}, True, 1),
    ("expect_column_to_exist", {"column": "b", "column_index": 0}, False, 1),  # Great Expectations overlooks 0
    ("expect_column_to_exist", {"column": "b", "column_index": -1}, True, 1),
    ("expect_column_to_exist", {"column": "b", "column_index": 7}, False, 1),
    ("expect_table_columns_to_match_set", {"column_set": ["b", "a"]}, True, 2),
    ("expect_table_columns_to_match_set", {"column_set": ["b"]}, False, "extra: a"),
    ("expect_table_columns_to_match_set", {"column_set": ["b"], "exact_match": False}, True, 2),
    ("expect_table_columns_to_match_set", {"column_set": ["B", "a"], "exact_match": False}, False,
     "missing: B (there is 'b')"),
    ("expect_table_columns_to_match_ordered_list", {"column_list": ["a", "b"]}, True, 2),
    ("expect_table_columns_to_match_ordered_list", {"column_list": ["b", "a"]}, False, "column 1 is 'a', not 'b'"),
    ("expect_table_columns_to_match_ordered_list", {"column_list": ["a"]}, False, "2 columns, not 1"),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "kwargs", "holds", "observed"), TABLES)
def test_what_is_said_of_a_table(
    tmp_path: Path, type_: str, kwargs: dict[str, Any], holds: bool, observed: Any
) -> None:
    outcome = check(write(tmp_path, "SELECT range AS a, 'x' AS b FROM range(2)"), type_, **kwargs)
    assert (outcome.holds, outcome.observed, outcome.trouble) == (holds, observed, "")


@pytest.mark.parametrize(
    ("limits", "holds"), [({"max_value": 10}, None), ({"min_value": 0}, None), ({"min_value": 1}, False)]
)
def test_no_rows_are_never_the_right_number_of_rows(tmp_path: Path, limits: dict[str, int], holds: bool | None) -> None:
    path = column(tmp_path, "BIGINT", [])
    assert check(path, "expect_table_row_count_to_be_between", **limits).holds is holds


def test_all_that_a_contract_asks_is_answered_in_its_order(tmp_path: Path) -> None:
    path = write(tmp_path, "SELECT range AS a, range % 3 AS b FROM range(100)")
    wanted: list[tuple[str, dict[str, Any]]] = [
        ("mean_to_be_between", {"column": "b", "max_value": 0}),
        ("values_to_not_be_null", {"column": "zzz"}),
        ("expect_column_to_exist", {"column": "a"}),
        ("values_to_be_unique", {"column": "b"}),
        ("values_to_be_unique", {"column": "a"}),
        ("median_to_be_between", {"column": "a", "min_value": 49.5, "max_value": 49.5}),
    ]
    assert [one.holds for one in checks(path, wanted)] == [False, None, True, False, True, True]


@pytest.mark.parametrize("file", ["data.parquet", "data.csv"])
def test_exact_in_little_memory(tmp_path: Path, file: str) -> None:
    """100,000 distinct texts and doubles with a far outlier: the same answers as numpy gives, in 60 MB."""
    select = """SELECT 'person ' || range AS id, CASE WHEN range = 7 THEN 1e300 WHEN range % 1000 = 0 THEN NULL
                ELSE sin(range) * 1e6 END AS x, range // 3 AS third FROM range(100000)"""
    path = write(tmp_path, select, file)
    n = np.arange(100_000)
    x = np.where(n == 7, 1e300, np.sin(n) * 1e6)[n % 1000 != 0]
    low, high = (float(np.quantile(x, q, method="nearest")) for q in (0.001, 0.999))
    middle = float(np.median(x))
    ranges = {"quantiles": [0.001, 0.999], "value_ranges": [[low, low], [high, high]]}
    wanted: list[tuple[str, dict[str, Any]]] = [
        ("values_to_be_unique", {"column": "id"}),
        ("values_to_be_unique", {"column": "third"}),
        ("unique_value_count_to_be_between", {"column": "third", "min_value": 33_334, "max_value": 33_334}),
        ("quantile_values_to_be_between", {"column": "x", "quantile_ranges": ranges}),
        ("median_to_be_between", {"column": "x", "min_value": middle - 1e-6, "max_value": middle + 1e-6}),
    ]
    roomy, tight = checks(path, wanted), checks(path, wanted, memory_limit="60MB")
    assert [one.holds for one in tight] == [True, False, True, True, True]
    assert tight[1].unexpected == 99_999
    assert roomy == tight


numbers = st.one_of(
    st.floats(allow_nan=False),
    st.sampled_from([0.0, -0.0, 5e-324, 1.7976931348623157e308, -1.7976931348623157e308, float("inf"), float("-inf")]),
)


@given(values=st.lists(numbers, min_size=1, max_size=40), share=st.floats(0, 1), few=st.integers(1, 4))
def test_places_are_those_of_the_sorted_values(values: list[float], share: float, few: int) -> None:
    """Also with hardly any buckets, where every division of the range is repeated many times."""
    import duckdb  # noqa: PLC0415

    con = duckdb.connect()
    con.execute("CREATE TABLE t (x DOUBLE)")
    con.executemany("INSERT INTO t VALUES (?)", [[value] for value in values])
    was = ranks._BUCKETS, ranks._FEW
    ranks._BUCKETS, ranks._FEW = few + 1, few
    try:
        places = [rank.index(len(values)) for rank in (Rank(0), Rank(1), Rank(share), Rank(share, "lower"))]
        ends = con.execute(f"SELECT {', '.join(ranks.bounds('x', 'DOUBLE'))} FROM t").fetchone()
        assert ends is not None
        found = ranks.select(
            lambda sql: con.execute(sql).fetchall(), "t", "x", "DOUBLE", found_bounds=ends, places=places
        )
    finally:
        ranks._BUCKETS, ranks._FEW = was
        con.close()
    assert found == [sorted(values)[place] for place in places]


@given(n=st.integers(1, 1000), share=st.floats(0, 1))
def test_the_nearest_place_is_numpys(n: int, share: float) -> None:
    assert Rank(share).index(n) == np.quantile(np.arange(n), share, method="nearest")
