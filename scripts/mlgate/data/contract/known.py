"""Every expectation of Great Expectations and what it takes, and ours. Plain tables: nothing is imported for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

GX_VERSION = "1.24.1"


@dataclass(frozen=True)
class Known:
    """The kwargs of one expectation type: name -> kind of value (see `checking`)."""

    kwargs: Mapping[str, str]
    required: tuple[str, ...]
    limits: tuple[str, ...] = ()  # without any of these it would check nothing


# What a kwarg of that name is, unless an expectation says otherwise.
_KINDS = {
    "column": "name",
    "column_A": "name",
    "column_B": "name",
    "column_list": "names",
    "column_set": "names",
    "min_value": "bound",
    "max_value": "bound",
    "strict_min": "boolean",
    "strict_max": "boolean",
    "mostly": "mostly",
    "value_set": "set",
    "value_pairs_set": "pairs",
    "regex": "regex",
    "regex_list": "regexes",
    "like_pattern": "text",
    "like_pattern_list": "texts",
    "escape": "character",
    "match_on": "any|all",
    "ignore_row_if": "both_values_are_missing|either_value_is_missing|neither",
    "strictly": "boolean",
    "or_equal": "boolean",
    "ties_okay": "boolean",
    "exact_match": "boolean",
    "double_sided": "boolean",
    "threshold": "number",
    "type_": "text",
    "type_list": "texts",
    "strftime_format": "strftime",
    "json_schema": "mapping",
    "quantile_ranges": "quantiles",
    "allow_relative_error": "boolean",
    "sum_total": "number",
    "row_condition": "condition",
    "condition_parser": "great_expectations|great_expectations__experimental__|pandas",
}
_MANY = "ignore_row_if=all_values_are_missing|any_value_is_missing|never"
_BOUNDS = "min_value max_value strict_min strict_max"
_COUNTS = "min_value=count max_value=count strict_min strict_max"
_SHARES = "min_value=share max_value=share strict_min strict_max"
_WHERE = "row_condition condition_parser"


def _type(words: str) -> Known:
    """`column! min_value=count`: required, and of another kind than its name says."""
    kwargs, required = {}, []
    for word in words.split():
        name, _, kind = word.partition("=")
        plain = name.removesuffix("!")
        kwargs[plain] = kind or _KINDS[plain]
        if name != plain:
            required.append(plain)
    bounded = "max_value" in kwargs and "threshold" not in kwargs  # beside a threshold they only say where to look
    limits = ("min_value", "max_value") if bounded and "min_value" in kwargs else ()
    return Known(kwargs, tuple(required), limits)


def _column(words: str = "") -> Known:
    return _type(f"column! {_WHERE} {words}")


def _rows(words: str = "") -> Known:
    return _column(f"mostly {words}")


def _pair(words: str = "") -> Known:
    return _type(f"column_A! column_B! mostly ignore_row_if {_WHERE} {words}")


def _several(words: str = "") -> Known:
    return _type(f"column_list!=several mostly {_MANY} {_WHERE} {words}")


GX: dict[str, Known] = {
    "expect_column_distinct_values_to_be_in_set": _column("value_set!"),
    "expect_column_distinct_values_to_contain_set": _column("value_set!"),
    "expect_column_distinct_values_to_equal_set": _column("value_set!"),
    "expect_column_kl_divergence_to_be_less_than": _column(
        "partition_object!=mapping threshold!=amount internal_weight_holdout=share tail_weight_holdout=share "
        "bucketize_data=boolean min_value max_value"
    ),
    "expect_column_max_to_be_between": _column(_BOUNDS),
    "expect_column_mean_to_be_between": _column(_BOUNDS),
    "expect_column_median_to_be_between": _column(_BOUNDS),
    "expect_column_min_to_be_between": _column(_BOUNDS),
    "expect_column_most_common_value_to_be_in_set": _column("value_set! ties_okay"),
    "expect_column_pair_values_a_to_be_greater_than_b": _pair("or_equal"),
    "expect_column_pair_values_to_be_equal": _pair(),
    "expect_column_pair_values_to_be_in_set": _pair("value_pairs_set!"),
    "expect_column_proportion_of_non_null_values_to_be_between": _column(_SHARES),
    "expect_column_proportion_of_unique_values_to_be_between": _column(_SHARES),
    "expect_column_quantile_values_to_be_between": _column("quantile_ranges! allow_relative_error"),
    "expect_column_stdev_to_be_between": _column("min_value=amount max_value=amount strict_min strict_max"),
    "expect_column_sum_to_be_between": _column(_BOUNDS),
    "expect_column_to_exist": _type("column! column_index=count"),
    "expect_column_type_to_be": _type("column! type_!"),
    "expect_column_unique_value_count_to_be_between": _column(_COUNTS),
    "expect_column_value_lengths_to_be_between": _rows(_COUNTS),
    "expect_column_value_lengths_to_equal": _rows("value!=count"),
    "expect_column_value_z_scores_to_be_less_than": _rows("threshold! double_sided!"),
    "expect_column_values_to_be_between": _rows(_BOUNDS),
    "expect_column_values_to_be_dateutil_parseable": _rows(),
    "expect_column_values_to_be_decreasing": _rows("strictly"),
    "expect_column_values_to_be_in_set": _rows("value_set!"),
    "expect_column_values_to_be_in_type_list": _rows("type_list!"),
    "expect_column_values_to_be_increasing": _rows("strictly"),
    "expect_column_values_to_be_json_parseable": _rows(),
    "expect_column_values_to_be_null": _rows(),
    "expect_column_values_to_be_of_type": _rows("type_!"),
    "expect_column_values_to_be_unique": _rows(),
    "expect_column_values_to_match_json_schema": _rows("json_schema!"),
    "expect_column_values_to_match_like_pattern": _rows("like_pattern! escape"),
    "expect_column_values_to_match_like_pattern_list": _rows("like_pattern_list! match_on escape"),
    "expect_column_values_to_match_regex": _rows("regex!"),
    "expect_column_values_to_match_regex_list": _rows("regex_list! match_on"),
    "expect_column_values_to_match_strftime_format": _rows("strftime_format!"),
    "expect_column_values_to_not_be_in_set": _rows("value_set!"),
    "expect_column_values_to_not_be_null": _rows(),
    "expect_column_values_to_not_be_outliers": _rows("method=iqr|std multiplier=positive"),
    "expect_column_values_to_not_match_like_pattern": _rows("like_pattern! escape"),
    "expect_column_values_to_not_match_like_pattern_list": _rows("like_pattern_list! escape"),
    "expect_column_values_to_not_match_regex": _rows("regex!"),
    "expect_column_values_to_not_match_regex_list": _rows("regex_list!"),
    "expect_compound_columns_to_be_unique": _several(),
    "expect_multicolumn_sum_to_equal": _several("sum_total!"),
    "expect_multicolumn_values_to_be_equal": _several(),
    "expect_select_column_values_to_be_unique_within_record": _several(),
    "expect_table_column_count_to_be_between": _type("min_value=count max_value=count"),
    "expect_table_column_count_to_equal": _type("value!=count"),
    "expect_table_columns_to_match_ordered_list": _type("column_list!"),
    "expect_table_columns_to_match_set": _type("column_set! exact_match"),
    "expect_table_row_count_to_be_between": _type(f"{_COUNTS} {_WHERE}"),
    "expect_table_row_count_to_equal": _type(f"value!=count {_WHERE}"),
}

# Ours, for what Great Expectations has no word for (`mlgate.data.nouns.NATIVE`).
OURS: dict[str, Known] = {
    "expect_column_values_to_be_of_kind": _type("column! kind!=integer|number|text|boolean|date|timestamp mostly"),
    "expect_column_null_count_to_be_at_most": _type("column! max_value!=count"),
    "expect_column_newest_to_be_within": _type("column! max_age!=positive"),
    "expect_column_drift_to_be_at_most": Known(
        {"column": "name", "psi": "positive", "ks": "fraction", "alpha": "fraction"}, ("column",), ("psi", "ks")
    ),
}

KNOWN = {**GX, **OURS}

_DATABASE = ("asks a database, and mlgate checks files.", "Remove it.")
_EMPTY = ("is a name without a check: Great Expectations never built it.", "Remove it.")

# Types that exist and cannot be answered: why, and what to do instead.
REFUSED: dict[str, tuple[str, str]] = {
    "unexpected_rows_expectation": _DATABASE,
    "expect_query_results_to_match_comparison": _DATABASE,
    "expect_table_row_count_to_equal_other_table": _DATABASE,
    "expect_column_bootstrapped_ks_test_p_value_to_be_greater_than": _EMPTY,
    "expect_column_chisquare_test_p_value_to_be_greater_than": _EMPTY,
    "expect_column_pair_cramers_phi_value_to_be_less_than": _EMPTY,
    "expect_column_parameterized_distribution_ks_test_p_value_to_be_greater_than": _EMPTY,
    "expect_multicolumn_values_to_be_unique": (
        "is no longer a type of Great Expectations.",
        "Use `expect_select_column_values_to_be_unique_within_record`, which it was another name of.",
    ),
    "expect_rows_to_be_apart_from": (
        "names another data file, which a contract cannot do.",
        "Write it as `apart_from` beside the data file in mlgate.yaml.",
    ),
}

# Kwargs that say how results are shown or where they are kept, not what must hold.
IGNORED = frozenset({"result_format", "catch_exceptions", "include_config", "batch_id"})
# Kwargs of old versions that changed what was checked; `false` and nothing are what is still done.
GONE = frozenset(
    {
        "parse_strings_as_datetimes",
        "allow_cross_type_comparisons",
        "output_strftime_format",
        "auto",
        "profiler_config",
    }
)


def snake(name: str) -> str:
    """`ExpectColumnToExist` as the type is spelled: `expect_column_to_exist`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
