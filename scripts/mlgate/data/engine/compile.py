"""An expectation and the columns of a file -> what to ask DuckDB, and what the answer means.

The semantics are those of Great Expectations 1.24 on the same values, read in its source (pandas engine):

- missing is NULL and NaN; infinities are values. `mostly` is a share of the rows that are not missing.
- pairs and several columns: `ignore_row_if` decides which rows are judged; by default those where anything is there.
- a deviation is that of a sample (n - 1); a median is the mean of the two middle values; a quantile is the value at the
  nearest place, half to even, and its limits have a relative tolerance of 1e-4.
- unique: every row of a group of equals breaks it.

Where Great Expectations says success because nothing was there to be looked at, or compares what cannot be compared,
this raises Unfit: not measured. What is not known to be the same (row_condition, regular expressions beyond both
dialects, spelling of numbers and dates as text, pandas' own types) is left to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from mlgate.data.engine import aggregates as agg
from mlgate.data.engine import natives, records, rows, series, tables
from mlgate.data.engine.plan import Plan
from mlgate.data.engine.values import Leave, Named, Unfit
from mlgate.data.nouns import Expectation

Compiler = Callable[[Sequence[Named], Mapping[str, Any]], Plan]

_COMPILERS: dict[str, Compiler] = {
    "expect_column_values_to_not_be_null": rows.not_null,
    "expect_column_values_to_be_null": rows.null,
    "expect_column_values_to_be_between": rows.within,
    "expect_column_values_to_be_in_set": rows.in_set,
    "expect_column_values_to_not_be_in_set": rows.not_in_set,
    "expect_column_values_to_match_regex": rows.matches,
    "expect_column_values_to_not_match_regex": rows.matches_not,
    "expect_column_values_to_match_regex_list": rows.matches_list,
    "expect_column_values_to_not_match_regex_list": rows.matches_none,
    "expect_column_values_to_match_like_pattern": partial(rows.like, wanted=True),
    "expect_column_values_to_not_match_like_pattern": partial(rows.like, wanted=False),
    "expect_column_values_to_match_like_pattern_list": partial(rows.like, wanted=True),
    "expect_column_values_to_not_match_like_pattern_list": partial(rows.like, wanted=False),
    "expect_column_value_lengths_to_be_between": rows.lengths,
    "expect_column_value_lengths_to_equal": rows.lengths,
    "expect_column_value_z_scores_to_be_less_than": series.z_scores,
    "expect_column_values_to_be_increasing": partial(series.ordered, rising=True),
    "expect_column_values_to_be_decreasing": partial(series.ordered, rising=False),
    "expect_column_values_to_be_unique": records.unique,
    "expect_compound_columns_to_be_unique": records.compound_unique,
    "expect_select_column_values_to_be_unique_within_record": records.unique_within_record,
    "expect_multicolumn_values_to_be_equal": records.equal_within_record,
    "expect_multicolumn_sum_to_equal": records.sum_equal,
    "expect_column_pair_values_a_to_be_greater_than_b": records.pair_greater,
    "expect_column_pair_values_to_be_equal": records.pair_equal,
    "expect_column_pair_values_to_be_in_set": records.pair_in_set,
    "expect_column_min_to_be_between": partial(agg.extreme, which="min"),
    "expect_column_max_to_be_between": partial(agg.extreme, which="max"),
    "expect_column_mean_to_be_between": agg.mean,
    "expect_column_sum_to_be_between": agg.column_sum,
    "expect_column_stdev_to_be_between": agg.deviation,
    "expect_column_median_to_be_between": agg.median,
    "expect_column_quantile_values_to_be_between": agg.quantiles,
    "expect_column_unique_value_count_to_be_between": agg.unique_count,
    "expect_column_proportion_of_unique_values_to_be_between": agg.unique_share,
    "expect_column_proportion_of_non_null_values_to_be_between": agg.present_share,
    "expect_column_distinct_values_to_be_in_set": partial(agg.distinct_in_set, inside=True, contained=False),
    "expect_column_distinct_values_to_contain_set": partial(agg.distinct_in_set, inside=False, contained=True),
    "expect_column_distinct_values_to_equal_set": partial(agg.distinct_in_set, inside=True, contained=True),
    "expect_column_most_common_value_to_be_in_set": agg.most_common,
    "expect_table_row_count_to_be_between": tables.row_count,
    "expect_table_row_count_to_equal": tables.row_count,
    "expect_table_column_count_to_be_between": tables.column_count,
    "expect_table_column_count_to_equal": tables.column_count,
    "expect_column_to_exist": tables.column_exists,
    "expect_table_columns_to_match_set": tables.columns_match_set,
    "expect_table_columns_to_match_ordered_list": tables.columns_match_list,
    "expect_column_null_count_to_be_at_most": rows.null_count,
}

# Kwargs that say how results are shown, not what must hold.
_SILENT = frozenset({"result_format", "catch_exceptions", "include_config", "batch_id", "meta", "condition_parser"})
_KNOWN = frozenset(
    {
        "column",
        "column_A",
        "column_B",
        "column_list",
        "column_set",
        "column_index",
        "exact_match",
        "mostly",
        "min_value",
        "max_value",
        "strict_min",
        "strict_max",
        "value",
        "value_set",
        "value_pairs_set",
        "regex",
        "regex_list",
        "match_on",
        "like_pattern",
        "like_pattern_list",
        "escape",
        "threshold",
        "double_sided",
        "strictly",
        "or_equal",
        "ignore_row_if",
        "sum_total",
        "quantile_ranges",
        "allow_relative_error",
        "ties_okay",
        "kind",
        "max_age",
    }
)


def compiled(expectation: Expectation, columns: Sequence[Named], written: str, now: datetime) -> Plan:
    """`written` is the file's format. Raises Unfit (it cannot be measured) or Leave (Great Expectations is asked)."""
    kwargs = expectation.kwargs
    strange = {key for key, value in kwargs.items() if value is not None} - _KNOWN - _SILENT
    if strange or any(isinstance(value, Mapping) and "$PARAMETER" in value for value in kwargs.values()):
        raise Leave  # row_condition, and whatever a later version may bring
    try:
        if expectation.type == "expect_column_values_to_be_of_kind":
            return natives.kind(columns, kwargs, written)
        if expectation.type == "expect_column_newest_to_be_within":
            return natives.newest(columns, kwargs, now)
        compiler = _COMPILERS.get(expectation.type)
        if compiler is None:
            raise Leave
        return compiler(columns, kwargs)
    except KeyError as error:
        raise Unfit(f"{expectation.type} needs {error.args[0]}.") from error
