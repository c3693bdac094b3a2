"""Every mistake in a contract: one sentence with file, line, key, and how to mend it."""

# ruff: noqa: E501 -- a message reads best on one line, as users see it

from __future__ import annotations

import json
from typing import Any

import pytest

from mlgate.data.contract import load
from mlgate.errors import MlgateError


def refusal(text: str, file: str = "c.yaml") -> str:
    with pytest.raises(MlgateError) as caught:
        load(text.encode(), file)
    return str(caught.value)


COLUMN = [
    ("minimum: 0", "minimum is not a key. Did you mean `min`?"),
    ("regex: a", "regex is not a key. Did you mean `matches`?"),
    ("nullable: false", "nullable is not a key. Did you mean `nulls`?"),
    (
        "type: int64",
        "type must be `integer`, `number`, `text`, `boolean`, `date` or `timestamp`, but is `int64`. Did you mean `integer`?",
    ),
    ("type: strng", "type must be `integer`, `number`, `text`, `boolean`, `date` or `timestamp`, but is `strng`."),
    (
        "type: [integer]",
        "type must be `integer`, `number`, `text`, `boolean`, `date` or `timestamp`, but is a list. Did you mean `integer`?",
    ),
    ("severity: warning", "severity must be `error` or `warn`, but is `warning`. Did you mean `warn`?"),
    ("severity: critical", "severity must be `error` or `warn`, but is `critical`. Did you mean `error`?"),
    (
        "nulls: lots",
        "nulls must be a count or a percentage, but is `lots`. Write how many rows may lack a value, or which share of them: `0`, `5` or `10%`.",
    ),
    ("nulls: 100%", "nulls is `100%`, so it would hold for any data. Leave it out where any row may lack."),
    ("nulls: 1.5", "nulls must be a count, or a share from 0% to 100%, but is the number `1.5`."),
    ("nulls: -1", "nulls is `-1`, but must not be negative."),
    (
        "nulls: true",
        "nulls must be a count or a percentage, but is `true`. Write how many rows may lack a value, or which share of them: `0`, `5` or `10%`.",
    ),
    ("nulls: 1.0", "nulls is the number `1.0`, so it would hold for any data. Leave it out where any row may lack."),
    (
        "min: abc",
        "min must be a number, a date or a time, but is `abc`. Write a date as `2026-01-31`, a time as `2026-01-31T12:00:00Z`.",
    ),
    ('min: "5"', 'min must be a number, a date or a time, but is the text `"5"`. Remove the quotes: `5`.'),
    ("min: .nan", "min must be a finite number, but is NaN. A gate needs a limit."),
    ("min: NaN", "min must be a finite number, but is NaN. A gate needs a limit."),
    ("min: .inf", "min must be a finite number, but is infinite. A gate needs a limit."),
    ("min: true", "min must be a number, a date or a time, but is `true`."),
    ("min: [1]", "min must be a number, a date or a time, but is a list."),
    ("min: 5, max: 1", "min makes this hold for nothing: the lower limit 5 is above the upper limit 1."),
    ("min: 5, max: 2020-01-01", "min makes this hold for nothing: one limit is a number and the other a date."),
    (
        "min: 2020-01-02, max: 2020-01-01",
        "min makes this hold for nothing: the lower limit 2020-01-02 is above the upper limit 2020-01-01.",
    ),
    (
        "min: 2020-01-02T00:00:00Z, max: 2020-01-03T00:00:00",
        "min makes this hold for nothing: one limit has a time zone and the other has none.",
    ),
    (
        "min: 2020-13-01",
        "min must be a number, a date or a time, but is `2020-13-01`. Write a date as `2026-01-31`, a time as `2026-01-31T12:00:00Z`.",
    ),
    ("in: []", "in is empty; at least one value is needed."),
    ("in: a", "in must be a list, but is `a`. Write it as a list: `[a]`."),
    ("in: [null]", "in holds a missing value, which is never compared. Remove it: `nulls` limits missing values."),
    (
        "in: [yes]",
        'in is `yes`, which some readers of YAML take for a boolean. Put it in quotes: `"yes"`, or write `true` or `false`.',
    ),
    ("in: [[1]]", "in holds a list, where single values are expected."),
    ("in: [.nan]", "in must be a finite number, but is NaN. A gate needs a limit."),
    ('matches: "["', "matches is `[`, which is not a regular expression: unterminated character set at position 0."),
    ('matches: ""', "matches must not be empty."),
    ("matches: 5", 'matches must be text, but is the number `5`. Put it in quotes: `"5"`.'),
    ("length: [5, 1]", "length holds for nothing: the lower limit 5 is above the upper limit 1."),
    ("length: [0, null]", "length allows every count there can be, so it would check nothing."),
    ("length: [1.5, 2]", "length must be a whole number, but is the number `1.5`."),
    ("length: -1", "length is `-1`, but must not be negative."),
    ("length: [1, 2, 3]", "length must be `[low, high]`, but is a list. Leave a side open with `null`."),
    ("mean: 5", "mean must be `[low, high]`, but is the number `5`. Leave a side open with `null`."),
    ("mean: [null, null]", "mean is open on both sides, so it would check nothing."),
    ("mean: [2020-01-01, null]", "mean must be a number, but is `2020-01-01`."),
    ("std: [-1, 2]", "std is `-1`, but must not be negative."),
    ("std: [0, null]", "std allows everything there can be, so it would check nothing."),
    ("quantiles: [0.5]", "quantiles must be a mapping, but is a list. Write it like `{0.5: [10, 20]}`."),
    ("quantiles: {2: [1, 2]}", "quantiles has `2`, which is no share of the rows. Write `0.5` for the median."),
    ("quantiles: {half: [1, 2]}", "quantiles has `half`, which is no share of the rows. Write `0.5` for the median."),
    ("quantiles: {0.5: [1, 2], 50%: [1, 2]}", "quantiles has the quantile `50%` twice."),
    ("quantiles: {nan: [1, 2]}", "quantiles has `nan`, which is no share of the rows. Write `0.5` for the median."),
    ("unique: false", "unique can only be `true`, but is `false`. Remove the key."),
    (
        "required: false",
        "required can only be `true`, but is `false`. A column that may be missing cannot be checked: leave it out of the contract.",
    ),
    ("critical: true, severity: warn, min: 0", "severity is `warn`, but the column is `critical`. Keep one of them."),
    ("private: yes", "private must be `true` or `false`, but is `yes`. Write `true`, without quotes."),
    (
        "mostly: 0.9",
        "mostly applies to nothing. It goes with `type`, `min`, `max`, `in`, `not_in`, `matches`, `not_matches`, `length`.",
    ),
    (
        "mostly: 0, min: 1",
        "mostly is 0, so it would hold for any data. Write the share of rows that must hold, such as 0.99.",
    ),
    ("mostly: 99, min: 1", "mostly must be from 0 to 1, but is the number `99`. Write `0.99` for 99 %."),
    ("mostly: 101%, min: 1", "mostly is `101%`; at most `100%` of the rows can hold."),
    (
        "mostly: 0%, min: 1",
        "mostly is 0, so it would hold for any data. Write the share of rows that must hold, such as 0.99.",
    ),
    ("newest: 2", "newest must be a length of time, but is the number `2`. Write it like `2 days` or `12 hours`."),
    ("newest: two days", "newest must be a length of time, but is `two days`. Write it like `2 days` or `12 hours`."),
    ("newest: 0 days", "newest is `0 days`: nothing is that new. Write it like `2 days` or `12 hours`."),
    ("newest: 5 years", "newest must be a length of time, but is `5 years`. Write it like `2 days` or `12 hours`."),
    ("drift: {}", "drift has no limit, so it would check nothing. Write `{psi: <limit>}` or `{ks: <limit>}`."),
    (
        "drift: {alpha: 0.01}",
        "drift has no limit, so it would check nothing. Write `{psi: <limit>}` or `{ks: <limit>}`.",
    ),
    (
        "drift: 0.2",
        "drift must be a mapping of keys, but is the number `0.2`. Write `{psi: <limit>}` or `{ks: <limit>}`.",
    ),
    ("drift: {psi: 0}", "drift.psi must be above 0, but is the number `0`."),
    ("drift: {ks: 1.5}", "drift.ks must be between 0 and 1, but is the number `1.5`. Write `0.015` for 1.5 %."),
    ("drift: {psi: .nan}", "drift.psi must be a finite number, but is NaN. A gate needs a limit."),
    ("type: integer, matches: a", "matches cannot be asked of a column of type `integer`. It needs `text`."),
    ("type: text, min: 0", "min is a number, but the type is `text`."),
    ("type: text, mean: [0, 1]", "mean cannot be asked of a column of type `text`. It needs `integer` or `number`."),
    ("type: text, newest: 1 day", "newest cannot be asked of a column of type `text`. It needs `date` or `timestamp`."),
    ("type: date, min: 5", "min is a number, but the type is `date`."),
    ("type: text, in: [1]", "in holds `1`, but the type is `text`: they would never be equal."),
    ("type: integer, not_in: [a]", "not_in holds the text `a`, but the type is `integer`: they would never be equal."),
    ("type: boolean, in: [1]", "in holds `1`, but the type is `boolean`: they would never be equal."),
    ("type: integer, max: 2020-01-01", "max is a date, but the type is `integer`."),
]


@pytest.mark.parametrize(("said", "message"), COLUMN, ids=[said for said, _ in COLUMN])
def test_what_a_column_cannot_say(said: str, message: str) -> None:
    assert refusal(f"schema: 1\ncolumns:\n  age: {{{said}}}\n") == f"c.yaml:3: columns.age.{message}"


REST = [
    ("colums: {age: {min: 0}}", "colums is not a key. Did you mean `columns`?"),
    (
        "columns: [age]",
        "columns must be a mapping of keys, but is a list. Write one key per column: `age: {type: integer, min: 0}`.",
    ),
    (
        "columns: {age: integer}",
        "columns.age must be a mapping of keys, but is `integer`. Write what must hold: `{type: integer, min: 0}`.",
    ),
    ("table: {order: true}\ncolumns: {a: }", "table.order needs `columns: exact`. An order is that of all columns."),
    ("table: {columns: exact}", "table.columns needs `columns:` that list them."),
    (
        "table: {columns: strict}\ncolumns: {a: }",
        "table.columns must be `superset` or `exact`, but is `strict`. Did you mean `exact`?",
    ),
    (
        "table: {unique: [a, b]}",
        "table.unique must be a list of lists of columns. Write a list for each key: `[[person, year]]`.",
    ),
    ("table: {unique: a}", "table.unique must be a list, but is `a`. Write it as a list: `[a]`."),
    (
        "table: {unique: []}",
        "table.unique is empty; at least one is needed. Write a list for each key: `[[person, year]]`.",
    ),
    ("table: {unique: [[a, a]]}", "table.unique names `a` twice. Name each column once."),
    ("table: {rows: [5, 1]}", "table.rows holds for nothing: the lower limit 5 is above the upper limit 1."),
    ("table: {rows: [0, null]}", "table.rows allows every count there can be, so it would check nothing."),
    ("table: {rows: [null, null]}", "table.rows is open on both sides, so it would check nothing."),
    ("table: {row_count: 5}", "table.row_count is not a key. Did you mean `rows`?"),
    ("relations: start < end", "relations must be a list, but is `start < end`. Write it as a list: `[start < end]`."),
    (
        "relations: [start before end]",
        'relations[0] is `start before end`, which is no relation between columns. Write `start <= end`, `net + tax == 100`, or `"start date" <= end` for a name with spaces.',
    ),
    ("relations: [a = b]", "relations[0] is `a = b`. Write `==` for equal."),
    (
        "relations: [a + b == c]",
        "relations[0] is `a + b == c`; a sum can only be compared by `==` with a number. Compare a sum by `==` with a number, or add the sum to the data as a column.",
    ),
    (
        "relations: [a + b < 5]",
        "relations[0] is `a + b < 5`; a sum can only be compared by `==` with a number. Compare a sum by `==` with a number, or add the sum to the data as a column.",
    ),
    (
        "relations: [age > 18]",
        "relations[0] is `age > 18`, which compares a column with a number. Write it below the column: `age: {min: 18}`.",
    ),
    ("relations: [a < a]", "relations[0] is `a < a`, which compares a column with itself."),
    (
        "relations: [a b < c]",
        'relations[0] is `a b < c`, which is no relation between columns. Write `start <= end`, `net + tax == 100`, or `"start date" <= end` for a name with spaces.',
    ),
    (
        "expectations: [{type: expect_colum_to_exist, kwargs: {column: a}}]",
        "expectations[0].type is `expect_colum_to_exist`, which is no type that Great Expectations or mlgate has. Did you mean `expect_column_to_exist`?",
    ),
]


@pytest.mark.parametrize(("said", "message"), REST, ids=[said for said, _ in REST])
def test_what_the_rest_of_a_contract_cannot_say(said: str, message: str) -> None:
    assert refusal(f"schema: 1\n{said}") == f"c.yaml:2: {message}"


KWARGS: list[tuple[str, dict[str, Any], str]] = [
    (
        "expect_foo_bar",
        {},
        "type is `expect_foo_bar`, which is no type that Great Expectations or mlgate has. Custom types are not read.",
    ),
    (
        "ExpectColumnToExist",
        {"column": "a"},
        "type is `ExpectColumnToExist`, which is no type that Great Expectations or mlgate has. Did you mean `expect_column_to_exist`?",
    ),
    (
        "expect_column_values_to_be_between",
        {"column": "a"},
        "kwargs has neither `min_value` nor `max_value`, so it would check nothing.",
    ),
    (
        "expect_column_values_to_be_between",
        {"column": "a", "min_value": 2, "max_value": 1},
        "kwargs.min_value makes this hold for nothing: the lower limit 2 is above the upper limit 1.",
    ),
    (
        "expect_column_values_to_be_between",
        {"column": "a", "min_value": 1, "max_value": 1, "strict_min": True},
        "kwargs.min_value makes this hold for nothing: no value is above 1 and below it.",
    ),
    (
        "expect_column_values_to_be_between",
        {"colum": "a", "min_value": 1},
        "kwargs.colum is not taken by `expect_column_values_to_be_between`. Did you mean `column`?",
    ),
    (
        "expect_column_values_to_be_between",
        {"column": "a", "min_value": {"$PARAMETER": "x"}},
        "kwargs.min_value is a `$PARAMETER`, whose value is given elsewhere. Write the value itself: a contract that is judged may not change from run to run.",
    ),
    (
        "expect_column_values_to_be_between",
        {"column": "a", "min_value": 1, "mostly": 99},
        "kwargs.mostly must be from 0 to 1, but is the number `99`. Write `0.99` for 99 %.",
    ),
    (
        "expect_column_values_to_be_between",
        {"column": "a", "min_value": 1, "mostly": 0},
        "kwargs.mostly is 0, so it would hold for any data. Write the share of rows that must hold, such as 0.99.",
    ),
    (
        "expect_column_values_to_be_between",
        {"column": "a", "min_value": float("nan")},
        "kwargs.min_value must be a finite number, but is NaN. A gate needs a limit.",
    ),
    (
        "expect_column_values_to_be_between",
        {"column": 5, "min_value": 1},
        'kwargs.column must be text, but is the number `5`. Put it in quotes: `"5"`.',
    ),
    (
        "expect_column_values_to_be_between",
        {"column": "a", "min_value": 1, "parse_strings_as_datetimes": True},
        "kwargs.parse_strings_as_datetimes is not read by Great Expectations since 1.0. Remove it, and say what must hold with the types of today.",
    ),
    (
        "expect_column_values_to_be_in_set",
        {"column": "a", "value_set": []},
        "kwargs.value_set is empty; at least one value is needed.",
    ),
    (
        "expect_column_values_to_be_in_set",
        {"column": "a", "value_set": [None]},
        "kwargs.value_set holds a missing value, which is never compared. Remove it: `nulls` limits missing values.",
    ),
    (
        "expect_column_values_to_match_regex",
        {"column": "a"},
        "kwargs.regex is missing; `expect_column_values_to_match_regex` needs it.",
    ),
    (
        "expect_column_values_to_match_regex",
        {"column": "a", "regex": "("},
        "kwargs.regex is `(`, which is not a regular expression: missing ), unterminated subpattern at position 0.",
    ),
    (
        "expect_column_values_to_match_strftime_format",
        {"column": "a", "strftime_format": "%Q"},
        "kwargs.strftime_format is `%Q`, which is not a format of dates: 'Q' is a bad directive in format '%Q'.",
    ),
    (
        "unexpected_rows_expectation",
        {"unexpected_rows_query": "select 1"},
        "type is `unexpected_rows_expectation`, which asks a database, and mlgate checks files. Remove it.",
    ),
    (
        "expect_column_chisquare_test_p_value_to_be_greater_than",
        {},
        "type is `expect_column_chisquare_test_p_value_to_be_greater_than`, which is a name without a check: Great Expectations never built it. Remove it.",
    ),
    (
        "expect_multicolumn_values_to_be_unique",
        {},
        "type is `expect_multicolumn_values_to_be_unique`, which is no longer a type of Great Expectations. Use `expect_select_column_values_to_be_unique_within_record`, which it was another name of.",
    ),
    (
        "expect_rows_to_be_apart_from",
        {},
        "type is `expect_rows_to_be_apart_from`, which names another data file, which a contract cannot do. Write it as `apart_from` beside the data file in mlgate.yaml.",
    ),
    (
        "expect_column_unique_value_count_to_be_between",
        {"column": "a", "min_value": 0},
        "kwargs allows everything there can be, so it would check nothing.",
    ),
    (
        "expect_column_proportion_of_non_null_values_to_be_between",
        {"column": "a", "min_value": 0, "max_value": 1},
        "kwargs allows everything there can be, so it would check nothing.",
    ),
    (
        "expect_table_row_count_to_be_between",
        {"min_value": None},
        "kwargs has neither `min_value` nor `max_value`, so it would check nothing.",
    ),
    (
        "expect_column_values_to_not_be_null",
        {"column": "a", "row_condition": "@pd.x()"},
        "kwargs.row_condition holds `@` or `.__`, which would run Python rather than select rows. Compare columns with values only.",
    ),
    (
        "expect_column_pair_values_to_be_equal",
        {"column_A": "a", "column_B": "a"},
        "kwargs.column_B is the same column as `column_A`.",
    ),
    (
        "expect_column_pair_values_to_be_equal",
        {"column_A": "a", "column_B": "b", "ignore_row_if": "both"},
        'kwargs.ignore_row_if must be `both_values_are_missing`, `either_value_is_missing` or `neither`, but is the text `"both"`.',
    ),
    (
        "expect_column_quantile_values_to_be_between",
        {"column": "a", "quantile_ranges": {"quantiles": [0.5], "value_ranges": []}},
        "kwargs.quantile_ranges is empty; at least one value is needed.",
    ),
    (
        "expect_column_quantile_values_to_be_between",
        {"column": "a", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[2, 1]]}},
        "kwargs.quantile_ranges holds for nothing: the lower limit 2 is above the upper limit 1.",
    ),
]


@pytest.mark.parametrize(("type_", "kwargs", "message"), KWARGS, ids=[f"{row[0]}-{row[1]}" for row in KWARGS])
def test_what_an_expectation_cannot_say(type_: str, kwargs: dict[str, Any], message: str) -> None:
    suite = json.dumps({"name": "s", "expectations": [{"type": type_, "kwargs": kwargs}]})
    assert refusal(suite) == f"c.yaml:1: expectations[0].{message}"
    lines = f"schema: 1\nexpectations:\n  - {{type: {type_}, kwargs: {json.dumps(kwargs)}}}\n"
    assert refusal(lines) == f"c.yaml:3: expectations[0].{message}"


FILES = [
    (
        "",
        "c.yaml is empty. A contract lists what must hold: `mlgate validate-data --profile <data file>` proposes one.",
    ),
    (
        "# only a comment\n",
        "c.yaml is empty. A contract lists what must hold: `mlgate validate-data --profile <data file>` proposes one.",
    ),
    (
        "null",
        "c.yaml is empty. A contract lists what must hold: `mlgate validate-data --profile <data file>` proposes one.",
    ),
    (
        "[]",
        "c.yaml:1 holds a list, where keys and values are expected. A contract starts with `schema: 1` and `columns:`, a suite with `name:` and `expectations:`.",
    ),
    (
        "- a",
        "c.yaml:1 holds a list, where keys and values are expected. A contract starts with `schema: 1` and `columns:`, a suite with `name:` and `expectations:`.",
    ),
    (
        "text",
        "c.yaml:1 holds the text `text`, where keys and values are expected. A contract starts with `schema: 1` and `columns:`, a suite with `name:` and `expectations:`.",
    ),
    ("{}", "c.yaml: schema is missing. Add `schema: 1` as the first line."),
    (
        "schema: 1\n",
        "c.yaml has no expectations, so it checks nothing. A contract without expectations passes any data: add one, or remove the contract.",
    ),
    (
        "schema: 1\ncolumns:\n",
        "c.yaml has no expectations, so it checks nothing. A contract without expectations passes any data: add one, or remove the contract.",
    ),
    (
        "schema: 1\ncolumns: {}\nexpectations: []\n",
        "c.yaml has no expectations, so it checks nothing. A contract without expectations passes any data: add one, or remove the contract.",
    ),
    (
        '{"name": "s", "expectations": []}',
        "c.yaml has no expectations, so it checks nothing. A contract without expectations passes any data: add one, or remove the contract.",
    ),
    ('{"name": "s"}', "c.yaml: expectations is missing. A suite lists its checks there."),
    ('{"name":"s","expectations":{}}', "c.yaml:1: expectations must be a list, but is a mapping."),
    (
        '{"name": "s", "expectations": [3]}',
        "c.yaml:1: expectations[0] must be a mapping of keys, but is the number `3`. Write `- {type: expect_column_to_exist, kwargs: {column: age}}`.",
    ),
    ('{"name":"s","expectation":[]}', "c.yaml:1: expectation is not a key of a suite. Did you mean `expectations`?"),
    ("columns: {age: {min: 0}}", "c.yaml: schema is missing. Add `schema: 1` as the first line."),
    (
        "schema: 2\ncolumns: {age: {min: 0}}",
        "c.yaml:1: schema is 2, which mlgate 0.1.0 does not know. Use a newer mlgate.",
    ),
    (
        "schema: 1\ncolumns:\n  age: {nulls:}\n",
        "c.yaml:3 is not YAML: found unexpected ':'. Look at the indentation and the quotes on this line and the one before it.",
    ),
    (
        "schema: 1\nrelations: [{if: a < b}]",
        "c.yaml:2: relations[0].is is missing. Add `is:`.\nc.yaml:2: relations[0].if is not a key. The keys here are `is`, `severity`, `mostly`.",
    ),
    (
        '{"name":"s","expectations":[{"type":"expect_column_to_exist","kwargs":{"column":"a"},"severity":"high"}]}',
        'c.yaml:1: expectations[0].severity must be `critical`, `warning`, `info`, `error` or `warn`, but is the text `"high"`.',
    ),
    (
        '{"name":"s","expectations":[{"type":"expect_column_to_exist","kwargs":[]}]}',
        "c.yaml:1: expectations[0].kwargs must be a mapping of keys, but is a list.",
    ),
    (
        '{"name":"s","expectations":[{"kwargs":{}}]}',
        "c.yaml:1: expectations[0].type is missing. Add `type: expect_...`.",
    ),
    (
        '{"name":"s","expectations":[{"type":"expect_column_to_exist","expectation_type":"x","kwargs":{"column":"a"}}]}',
        "c.yaml:1: expectations[0].expectation_type says again what `type` says. Remove it.",
    ),
    (
        '{"name":"s","expectations":[{"type":"expect_column_to_exist","kwarg":{"column":"a"}}]}',
        "c.yaml:1: expectations[0].kwarg is not a key of an expectation. Did you mean `kwargs`?",
    ),
    (
        '{"name":"s","expectations":[{"type":"expect_column_to_exist","kwargs":{"column":"a"},"windows":[{"x":1}]}]}',
        "c.yaml:1: expectations[0].windows takes its limits from earlier runs, which is not read. Write the limits.",
    ),
    (
        '{"name":"s","expectations":[{"type":"expect_column_to_exist","kwargs":{"column":"a"}}],"meta":{"mlgate":{"criticl":["a"]}}}',
        "c.yaml:1: meta.mlgate.criticl is not a key. The keys here are `critical` or `private`.",
    ),
    (
        '{"name":"s","expectations":[{"type":"expect_column_to_exist","kwargs":{"column":"a"}}],"meta":{"mlgate":{"critical":"a"}}}',
        'c.yaml:1: meta.mlgate.critical must be a list, but is the text `"a"`. Write it as a list: `[a]`.',
    ),
    (
        '{"name":"s","expectations":[{"type":"expect_column_to_exist","kwargs":{"column":"a","column":"b"}}]}',
        "c.yaml:1: expectations[0].kwargs.column is given twice; the first is on line 1. Keep one: readers of YAML differ in which of them they obey.",
    ),
    (
        '{"name":"s","expectations":[',
        "c.yaml:2 is not YAML: did not find expected node content. Look at the indentation and the quotes on this line and the one before it.",
    ),
    (
        "schema: 1\ncolumns:\n\tage: {min: 0}\n",
        "c.yaml:3 is not YAML: a tab stands where YAML wants spaces. Indent with spaces.",
    ),
    (
        "schema: 1\n---\nschema: 1\n",
        "c.yaml:2: a second document starts here. One file holds one contract: delete the `---`.",
    ),
    ("schema: 1\ncolumns: {age: {<<: {}}}", "c.yaml:2: `<<` is not read. Write the keys out."),
    (
        "id,age\n1,2\n",
        "c.yaml:1 holds the text `id,age 1,2`, where keys and values are expected. A contract starts with `schema: 1` and `columns:`, a suite with `name:` and `expectations:`.",
    ),
    (
        "PAR1\x00",
        "c.yaml:1 is not text: the character U+0000 does not belong in YAML. Delete it, or save the file as UTF-8 text.",
    ),
    ('{"name": "s", "columns": {"a": {"min": 0}}}', "c.yaml: schema is missing. Add `schema: 1` as the first line."),
    (
        "severity: warn\nexpectations: [{type: expect_column_to_exist, kwargs: {column: a}}]",
        "c.yaml: schema is missing. Add `schema: 1` as the first line.",
    ),
]


@pytest.mark.parametrize(("text", "message"), FILES, ids=[text for text, _ in FILES])
def test_what_is_no_contract(text: str, message: str) -> None:
    assert refusal(text) == message


def test_json_that_was_cut_off_is_said_in_the_words_of_json() -> None:
    assert refusal('{\n "name": ', "s.json") == "s.json:2 is not JSON: expecting value. Was it cut off?"
    assert (
        refusal('{"name": "s"\n "a": 1}', "s.json") == "s.json:2 is not JSON: expecting ',' delimiter. Was it cut off?"
    )
    assert (
        refusal('{"name": "s",\n "a" 1}', "s.json") == "s.json:2 is not JSON: expecting ':' delimiter. Was it cut off?"
    )
    assert refusal('{"name": "s', "s.json") == "s.json:1 is not JSON: unterminated string. Was it cut off?"
    assert load(b"schema: 1\ncolumns: {a: {min: 0}}", "yaml.json").expectations


def test_text_that_is_not_utf_8() -> None:
    with pytest.raises(MlgateError, match=r"c.yaml is not text: byte 0xff at offset 0 is not UTF-8\."):
        load(b"\xff\xfes", "c.yaml")


def test_all_mistakes_are_said_at_once_ten_at_most() -> None:
    text = "schema: 1\ncolumns:\n" + "".join(f"  c{number}: {{minimum: 0}}\n" for number in range(15))
    lines = refusal(text).splitlines()
    assert lines[0] == "c.yaml:3: columns.c0.minimum is not a key. Did you mean `min`?"
    assert len(lines) == 11
    assert lines[-1] == "... and 5 more."


def test_mistakes_of_columns_and_of_expectations_are_said_together() -> None:
    text = "schema: 1\ncolumns: {a: {minimum: 0}}\nexpectations: [{type: expect_colum_to_exist}]\n"
    assert [line.split(" is ")[0] for line in refusal(text).splitlines()] == [
        "c.yaml:2: columns.a.minimum",
        "c.yaml:3: expectations[0].type",
    ]


def test_a_bomb_of_aliases_is_refused() -> None:
    levels = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    levels += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefg", "bcdefgh", strict=True)]
    assert "holds more than 50,000 values" in refusal("schema: 1\n" + "\n".join(levels))


def test_a_pattern_that_is_too_much_is_refused() -> None:
    said = refusal("schema: 1\ncolumns: {a: {matches: 'a{99999999999999999999}'}}\n")
    assert "which is not a regular expression" in said


@pytest.mark.parametrize(
    "condition",
    [
        "a.__class__ == 1",
        "a . __class__ == 1",
        r"a == 'x\'' + @y + '\''",
        {"type": "pass_through", "pass_through_filter": "@pd.read_pickle('x')"},
    ],
)
def test_a_condition_that_would_run_python_is_refused(condition: Any) -> None:
    kwargs = {"column": "a", "row_condition": condition}
    suite = {"name": "s", "expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": kwargs}]}
    assert "which would run Python" in refusal(json.dumps(suite))


@pytest.mark.parametrize(
    "condition",
    [
        'email == "a@b.example"',
        "utm__source == 'x'",
        'col("a").notNull()',
        {"type": "comparison", "column": {"name": "a"}, "operator": "==", "parameter": "x@y"},
    ],
)
def test_a_condition_on_values_is_read(condition: Any) -> None:
    kwargs = {"column": "a", "row_condition": condition}
    suite = {"name": "s", "expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": kwargs}]}
    (found,) = load(json.dumps(suite).encode(), "s.json").expectations
    assert found.kwargs == kwargs
    assert found.title == "a: not missing, in the rows selected"
