"""Great Expectations suites as contracts: both spellings, JSON and YAML, every type of the installed version."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlgate.data.contract import load
from mlgate.data.contract.known import GX, GX_VERSION, KNOWN, OURS, REFUSED
from mlgate.data.nouns import NATIVE, Contract

# One of each type that a contract may hold, as a suite writes it.
SAMPLES: dict[str, dict[str, Any]] = {
    "expect_column_distinct_values_to_be_in_set": {"column": "plan", "value_set": ["basic", "pro"]},
    "expect_column_distinct_values_to_contain_set": {"column": "plan", "value_set": ["basic"]},
    "expect_column_distinct_values_to_equal_set": {"column": "plan", "value_set": ["basic", "pro"]},
    "expect_column_kl_divergence_to_be_less_than": {
        "column": "plan",
        "partition_object": {"values": ["basic", "pro"], "weights": [0.4, 0.6]},
        "threshold": 0.1,
    },
    "expect_column_max_to_be_between": {"column": "age", "min_value": 60, "max_value": 120},
    "expect_column_mean_to_be_between": {"column": "age", "min_value": 30.5, "max_value": 50, "strict_min": True},
    "expect_column_median_to_be_between": {"column": "age", "max_value": 50},
    "expect_column_min_to_be_between": {"column": "age", "min_value": 0},
    "expect_column_most_common_value_to_be_in_set": {"column": "plan", "value_set": ["basic"], "ties_okay": True},
    "expect_column_pair_values_a_to_be_greater_than_b": {"column_A": "end", "column_B": "start", "or_equal": True},
    "expect_column_pair_values_to_be_equal": {"column_A": "a", "column_B": "b", "ignore_row_if": "neither"},
    "expect_column_pair_values_to_be_in_set": {"column_A": "a", "column_B": "b", "value_pairs_set": [[1, 2], [3, 4]]},
    "expect_column_proportion_of_non_null_values_to_be_between": {"column": "age", "min_value": 0.9},
    "expect_column_proportion_of_unique_values_to_be_between": {"column": "age", "min_value": 0.1, "max_value": 1},
    "expect_column_quantile_values_to_be_between": {
        "column": "age",
        "quantile_ranges": {"quantiles": [0.1, 0.5], "value_ranges": [[0, 10], [None, 50]]},
        "allow_relative_error": False,
    },
    "expect_column_stdev_to_be_between": {"column": "age", "min_value": 1, "max_value": 30},
    "expect_column_sum_to_be_between": {"column": "age", "min_value": 1000},
    "expect_column_to_exist": {"column": "age", "column_index": 0},
    "expect_column_type_to_be": {"column": "age", "type_": "int64"},
    "expect_column_unique_value_count_to_be_between": {"column": "age", "min_value": 10, "max_value": 100},
    "expect_column_value_lengths_to_be_between": {"column": "name", "min_value": 1, "max_value": 100},
    "expect_column_value_lengths_to_equal": {"column": "code", "value": 5},
    "expect_column_value_z_scores_to_be_less_than": {"column": "age", "threshold": 3, "double_sided": True},
    "expect_column_values_to_be_between": {"column": "age", "min_value": 0, "max_value": 120, "mostly": 0.99},
    "expect_column_values_to_be_dateutil_parseable": {"column": "start"},
    "expect_column_values_to_be_decreasing": {"column": "age", "strictly": True},
    "expect_column_values_to_be_in_set": {"column": "plan", "value_set": ["basic", "plus", 3, 4.5, True]},
    "expect_column_values_to_be_in_type_list": {"column": "age", "type_list": ["int64", "float64"]},
    "expect_column_values_to_be_increasing": {"column": "age"},
    "expect_column_values_to_be_json_parseable": {"column": "extra"},
    "expect_column_values_to_be_null": {"column": "deleted", "mostly": 0.5},
    "expect_column_values_to_be_of_type": {"column": "age", "type_": "int64"},
    "expect_column_values_to_be_unique": {"column": "id"},
    "expect_column_values_to_match_json_schema": {"column": "extra", "json_schema": {"type": "object", "a": [None]}},
    "expect_column_values_to_match_like_pattern": {"column": "name", "like_pattern": "A%"},
    "expect_column_values_to_match_like_pattern_list": {"column": "name", "like_pattern_list": ["A%", "B%"]},
    "expect_column_values_to_match_regex": {"column": "name", "regex": "^[A-Z]\\d+"},
    "expect_column_values_to_match_regex_list": {"column": "name", "regex_list": ["^A", "B$"], "match_on": "all"},
    "expect_column_values_to_match_strftime_format": {"column": "start", "strftime_format": "%Y-%m-%d"},
    "expect_column_values_to_not_be_in_set": {"column": "plan", "value_set": [-9]},
    "expect_column_values_to_not_be_null": {
        "column": "age",
        "row_condition": "plan == 'pro'",
        "condition_parser": "pandas",
    },
    "expect_column_values_to_not_be_outliers": {"column": "age", "method": "std", "multiplier": 3},
    "expect_column_values_to_not_match_like_pattern": {"column": "name", "like_pattern": "A!%", "escape": "!"},
    "expect_column_values_to_not_match_like_pattern_list": {"column": "name", "like_pattern_list": ["A%"]},
    "expect_column_values_to_not_match_regex": {"column": "name", "regex": "\\s$"},
    "expect_column_values_to_not_match_regex_list": {"column": "name", "regex_list": ["^$"]},
    "expect_compound_columns_to_be_unique": {"column_list": ["person", "year"], "ignore_row_if": "never"},
    "expect_multicolumn_sum_to_equal": {"column_list": ["net", "tax"], "sum_total": 100},
    "expect_multicolumn_values_to_be_equal": {"column_list": ["a", "b", "c"]},
    "expect_select_column_values_to_be_unique_within_record": {"column_list": ["a", "b"], "mostly": 0.9},
    "expect_table_column_count_to_be_between": {"min_value": 1, "max_value": 30},
    "expect_table_column_count_to_equal": {"value": 25},
    "expect_table_columns_to_match_ordered_list": {"column_list": ["id", "age"]},
    "expect_table_columns_to_match_set": {"column_set": ["age", "id"], "exact_match": False},
    "expect_table_row_count_to_be_between": {"min_value": 1000, "max_value": None},
    "expect_table_row_count_to_equal": {"value": 20186},
}
NATIVES: dict[str, dict[str, Any]] = {
    "expect_column_values_to_be_of_kind": {"column": "age", "kind": "integer", "mostly": 0.9},
    "expect_column_null_count_to_be_at_most": {"column": "age", "max_value": 3},
    "expect_column_newest_to_be_within": {"column": "start", "max_age": 86_400},
    "expect_column_drift_to_be_at_most": {"column": "age", "psi": 0.2, "ks": 0.1, "alpha": 0.01},
}


def suite(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "persons", "expectations": list(entries), **more}


def entries(samples: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": type_, "kwargs": kwargs} for type_, kwargs in samples.items()]


def contract(value: Any) -> Contract:
    return load(json.dumps(value).encode(), "suite.json")


# --- what the tables say is what is installed


def test_every_type_of_the_installed_version_is_known_with_its_kwargs() -> None:
    gx = pytest.importorskip("great_expectations")
    import great_expectations.expectations.core  # noqa: PLC0415
    from great_expectations.expectations.expectation import Expectation  # noqa: PLC0415
    from great_expectations.expectations.registry import (  # noqa: PLC0415
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    assert gx.__version__ == GX_VERSION
    folder = Path(great_expectations.expectations.core.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    registered = {
        name
        for name in list_registered_expectation_implementations()
        if (get_expectation_impl(name).__module__ or "").startswith("great_expectations.expectations.core.")
    }
    ours = {"expect_rows_to_be_apart_from"}
    assert files | registered == set(GX) | (set(REFUSED) - ours)
    common = {*Expectation.__fields__, "batch_id", "library_metadata"}
    for type_, known in GX.items():
        fields = get_expectation_impl(type_).__fields__
        assert set(fields) - common == set(known.kwargs), type_
        needed = {name for name in set(fields) - common if fields[name].required}
        assert needed <= set(known.required), type_


def test_great_expectations_takes_what_the_loader_takes() -> None:
    pytest.importorskip("great_expectations")
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration  # noqa: PLC0415

    for found in contract(suite(*entries(SAMPLES))).expectations:
        if "condition_parser" not in found.kwargs:  # deprecated there, and it says so
            made = ExpectationConfiguration(type=found.type, kwargs=dict(found.kwargs)).to_domain_obj()
            assert made.expectation_type == found.type


def test_our_own_types_are_those_of_the_engine() -> None:
    assert set(OURS) | {"expect_rows_to_be_apart_from"} == NATIVE


def test_every_type_has_a_sample() -> None:
    assert SAMPLES.keys() | NATIVES.keys() == set(KNOWN)


# --- what is read


@pytest.mark.parametrize("type_", KNOWN)
def test_each_type_is_read_as_it_is_written(type_: str) -> None:
    kwargs = (SAMPLES | NATIVES)[type_]
    (found,) = contract(suite({"type": type_, "kwargs": kwargs})).expectations
    assert found.type == type_
    assert found.kwargs == {key: value for key, value in kwargs.items() if value is not None}
    assert (found.severity, found.key, found.line) == ("error", "expectations[0]", 1)
    assert found.title
    assert found.title.endswith(found.expected)
    assert "None" not in found.title
    assert found.id.endswith(type_.removeprefix("expect_").removeprefix("table_").removeprefix("column_"))


OLD_WORDS = {"type": "expectation_type", "name": "expectation_suite_name"}


def test_json_yaml_and_the_older_words_say_the_same() -> None:
    today = suite(*entries(SAMPLES))
    old = {
        "expectation_suite_name": "persons",
        "ge_cloud_id": None,
        "data_asset_type": None,
        "meta": {"great_expectations_version": "0.18.22"},
        "expectations": [
            {"expectation_type": one["type"], "kwargs": one["kwargs"], "meta": {}} for one in today["expectations"]
        ],
    }
    texts = [
        json.dumps(today),
        json.dumps(today, indent=2),
        json.dumps(today, indent="\t"),
        json.dumps(today, separators=(",", ":"), ensure_ascii=False),
        yaml.safe_dump(today),
        yaml.safe_dump(today, default_flow_style=True, sort_keys=False),
        json.dumps(old),
        yaml.safe_dump(old),
        "# a comment\n" + yaml.safe_dump(today),
        "\ufeff" + json.dumps(today, indent=2).replace("\n", "\r\n"),
    ]
    read = [load(text.encode(), "suite") for text in texts]
    for found in read:
        assert found.name == "persons"
        assert [(e.id, e.type, e.kwargs, e.title) for e in found.expectations] == [
            (e.id, e.type, e.kwargs, e.title) for e in read[0].expectations
        ]
    assert len({found.digest for found in read}) == len(texts)


def test_kwargs_are_plain_python() -> None:
    def check(value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                assert type(key) is str
                check(item)
        elif isinstance(value, list):
            for item in value:
                check(item)
        else:
            assert value is None or type(value) in (bool, int, float, str)

    for text in (json.dumps(suite(*entries(SAMPLES | NATIVES))), yaml.safe_dump(suite(*entries(SAMPLES | NATIVES)))):
        for found in load(text.encode(), "suite").expectations:
            check(dict(found.kwargs))


def test_a_suite_as_great_expectations_saves_it() -> None:
    gxe = pytest.importorskip("great_expectations.expectations")
    from great_expectations.core.expectation_suite import ExpectationSuite  # noqa: PLC0415

    made = ExpectationSuite(name="visits", notes="as saved")
    made.expectations = [
        gxe.ExpectColumnValuesToBeBetween(column="age", min_value=0, max_value=120, mostly=0.99, severity="warning"),
        gxe.ExpectColumnValuesToNotBeNull(column="id", meta={"why": "key"}, notes="a key"),
        gxe.ExpectTableRowCountToBeBetween(min_value=1, description="not empty"),
    ]
    found = contract(made.to_json_dict())
    assert [(e.type, e.severity, e.title) for e in found.expectations] == [
        ("expect_column_values_to_be_between", "warn", "age: between 0 and 120, in 99 % of rows"),
        ("expect_column_values_to_not_be_null", "error", "id: not missing"),
        ("expect_table_row_count_to_be_between", "error", "rows: at least 1"),
    ]


def test_severities_of_a_suite_and_columns_that_are_critical_or_private() -> None:
    exist = [
        {"type": "expect_column_to_exist", "kwargs": {"column": name}, "severity": severity}
        for name, severity in [("a", "critical"), ("b", "warning"), ("c", "info"), ("d", "info"), ("e", None)]
    ]
    pair = {"type": "expect_column_pair_values_to_be_equal", "kwargs": {"column_A": "b", "column_B": "d"}}
    meta = {"mlgate": {"critical": ["d"], "private": ["a", "b"]}, "anything": {"else": 1}}
    found = contract(suite(*exist, {**pair, "severity": "warning"}, meta=meta))
    assert [each.severity for each in found.expectations] == ["error", "warn", "warn", "error", "error", "error"]
    assert found.private == {"a", "b"}


def test_ids_stay_when_others_are_added_before_them() -> None:
    between = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "age", "min_value": 0}}
    rows = {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 3}}
    assert [e.id for e in contract(suite(between)).expectations] == ["age.values_to_be_between"]
    assert [e.id for e in contract(suite(rows, between, between)).expectations] == [
        "table.row_count_to_equal",
        "age.values_to_be_between",
        "age.values_to_be_between.2",
    ]


def test_what_only_says_how_results_are_shown_is_left_out() -> None:
    entry = {
        "type": "expect_column_values_to_not_be_null",
        "kwargs": {
            "column": "age",
            "result_format": "COMPLETE",
            "catch_exceptions": True,
            "batch_id": "x",
            "auto": False,
        },
        "id": "9f2a",
        "meta": {"notes": {"format": "markdown", "content": ["x"]}},
        "notes": "why",
        "description": "words",
        "rendered_content": [],
    }
    (found,) = contract(suite(entry, suite_parameters={}, notes=None, id=None)).expectations
    assert found.kwargs == {"column": "age"}


def test_text_of_json_in_every_way_it_can_be_written() -> None:
    text = r'{"name": "s", "expectations": [{"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "caf\u00e9", "value_set": ["\ud83d\ude00", "a\tb", "x\/y", "\"", "\u0001", "#", "- a: b"]}}]}'  # noqa: E501
    (found,) = load(text.encode(), "suite.json").expectations
    assert found.kwargs == {"column": "café", "value_set": ["😀", "a\tb", "x/y", '"', "\x01", "#", "- a: b"]}
    assert "\x01" not in found.title


def test_lines_are_those_of_the_file() -> None:
    text = json.dumps(suite(*entries(SAMPLES)), indent=2)
    lines = text.splitlines()
    for found in load(text.encode(), "suite.json").expectations:
        assert found.line is not None
        assert lines[found.line - 1].strip() == "{"
        assert found.type in lines[found.line]


@pytest.mark.parametrize("spelling", ["suite", "short"])
def test_five_hundred_expectations_are_read_in_a_blink(spelling: str) -> None:
    names = [f"column_{number}" for number in range(100)]
    if spelling == "short":
        said = "type: integer, nulls: 0, min: 0, max: 10, unique: true"
        text = "schema: 1\ncolumns:\n" + "".join(f"  {name}: {{{said}}}\n" for name in names)
    else:
        five = [
            ("expect_column_to_exist", {}),
            ("expect_column_values_to_not_be_null", {}),
            ("expect_column_values_to_be_between", {"min_value": 0, "max_value": 10}),
            ("expect_column_values_to_be_in_set", {"value_set": list("abcdef")}),
            ("expect_column_mean_to_be_between", {"min_value": 0, "max_value": 10}),
        ]
        text = json.dumps(suite(*({"type": t, "kwargs": {"column": n, **k}} for n in names for t, k in five)), indent=1)
    data = text.encode()
    load(data, "warm-up")
    seconds = []
    for _ in range(5):
        start = time.process_time()
        assert len(load(data, "suite").expectations) >= 500
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.3  # 0.04 s on an idle machine
