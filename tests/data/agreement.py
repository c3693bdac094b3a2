"""Small tables and kwargs for every expectation that DuckDB answers, to be asked of both engines."""
# ruff: noqa: S608 -- constants are written by `constant`

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

Draw = Callable[..., Any]
NUMBERS = ("integer", "tiny", "huge", "double", "single", "decimal")
MOMENTS = ("date", "timestamp", "zoned")
ALL = (*NUMBERS, "boolean", "text", *MOMENTS)

_TEXTS = ["", "a", "A", "ab", "abc", " a", "é", "日本", "e\u0301", "0", "007", "1.5", "NA"]
_TEXTS += ["x,y", 'x"y', "two\nlines", "a\n"]
_DAYS = [date(2020, 1, 1) + timedelta(days=d) for d in (0, 1, 59, 366, -8000)]
_TIMES = [datetime(2020, 1, 1), datetime(2020, 1, 1, 23, 59, 59, 999999)]
_TIMES += [datetime(1969, 12, 31, 1), datetime(2024, 2, 29)]
# Values as the contract writes them, which are those of the data as well: that is where boundaries are.
POOLS: dict[str, list[Any]] = {
    "integer": [-3, -1, 0, 1, 2, 3, 7, 2**53, 2**53 + 1, -(2**62)],
    "tiny": [-128, -1, 0, 1, 2, 127],
    "huge": [0, 1, 2**64, 2**100, -(2**90)],
    "double": [
        -1.5,
        0.0,
        -0.0,
        0.1,
        0.2,
        0.3,
        0.30000000000000004,
        1.0,
        1e300,
        float("inf"),
        float("-inf"),
        float("nan"),
    ],
    "single": [-1.5, 0.0, 0.5, 1.0, 2.0, 0.25, float("inf"), float("nan")],
    "decimal": [Decimal(text) for text in ("-1.500", "0.000", "0.100", "0.300", "1.000", "2.250", "99999.999")],
    "boolean": [True, False],
    "text": _TEXTS,
    "date": _DAYS,
    "timestamp": _TIMES,
    "zoned": _TIMES,
}
TYPES = {
    "integer": "BIGINT",
    "tiny": "TINYINT",
    "huge": "HUGEINT",
    "double": "DOUBLE",
    "single": "FLOAT",
    "decimal": "DECIMAL(12, 3)",
    "boolean": "BOOLEAN",
    "text": "VARCHAR",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "zoned": "TIMESTAMPTZ",
}


@dataclass(frozen=True)
class Data:
    """Columns of a file: name -> kind and values, None for a missing one."""

    columns: dict[str, tuple[str, list[Any]]]
    format: str

    def kind(self, name: str) -> str:
        return self.columns[name][0]

    def kinds(self, names: Iterable[str]) -> set[str]:
        return {self.columns[name][0] for name in names if name in self.columns}

    @property
    def select(self) -> str:
        """A SELECT of the rows. The first column counts them, so that no line of a text file is empty."""
        rows = list(zip(*(values for _, values in self.columns.values()), strict=True))
        kinds = [kind for kind, _ in self.columns.values()]
        names = ", ".join(f'"{name}"' for name in self.columns)
        if not rows:
            nulls = ", ".join(f'CAST(NULL AS {TYPES[kind]}) AS "{name}"' for name, (kind, _) in self.columns.items())
            return f"SELECT {nulls} LIMIT 0"
        written = (
            f"({', '.join(constant(value, kind) for value, kind in zip(row, kinds, strict=True))})" for row in rows
        )
        return f"SELECT * FROM (VALUES {', '.join(written)}) AS t({names}) ORDER BY n"


def constant(value: Any, kind: str) -> str:
    if value is None:
        return f"CAST(NULL AS {TYPES[kind]})"
    text = f"{value}+00" if kind == "zoned" else str(value)
    return f"CAST('{text.replace(chr(39), chr(39) * 2)}' AS {TYPES[kind]})"


@st.composite
def data(draw: Draw, kinds: tuple[str, ...], others: tuple[str, ...] = (), *, same: bool = False) -> Data:
    """Columns x and y (and z): y and z of the kind of x, if `same`."""
    kind = draw(st.sampled_from(kinds))
    rows = draw(st.sampled_from([0, 1, 1, 2, 3, 5, 8, 12]))
    columns: dict[str, tuple[str, list[Any]]] = {"n": ("integer", list(range(rows)))}
    for name in "xyz":
        chosen = kind if name == "x" or same else draw(st.sampled_from(others or kinds))
        # Few different values, so that there are duplicates.
        pool = draw(st.lists(st.sampled_from([None, *POOLS[chosen]]), min_size=1, max_size=5))
        columns[name] = (chosen, draw(st.lists(st.sampled_from(pool), min_size=rows, max_size=rows)))
    formats = (
        ["parquet", "parquet", "csv", "jsonl"] if rows else ["parquet", "csv"]
    )  # JSON lines without one say nothing
    return Data(columns, draw(st.sampled_from(formats)))


def limit(draw: Draw, kind: str) -> Any:
    """A bound as a contract writes it."""
    value = draw(st.sampled_from([v for v in known(kind) if not isinstance(v, float) or math.isfinite(v)]))
    if kind in NUMBERS:
        # Great Expectations makes a double of every limit, and ours takes 0.1 for the decimal and 2^53 + 1 for the
        # integer. Both mean the same by a limit that is a double anyway.
        exact = float(value) == value
        return (float(value) if kind == "decimal" else value) if exact else 1
    if kind in MOMENTS and (kind == "date" or draw(st.booleans())):
        return str(value) + ("+00:00" if kind == "zoned" else "")
    return value


def known(kind: str) -> list[Any]:
    """The values of a kind, without the one that stands for a missing one."""
    return [value for value in POOLS[kind] if not (isinstance(value, float) and math.isnan(value))]


def bounds(draw: Draw, one: Callable[[], Any]) -> dict[str, Any]:
    """min_value and max_value, one of them at least, and whether they are meant strictly."""
    which = draw(st.sampled_from(["min", "max", "both"]))
    low, high = one(), one()
    found: dict[str, Any] = {}
    if which == "both" and type(low) is type(high) and low > high:
        low, high = high, low
    if which != "max":
        found["min_value"] = low
        found |= draw(st.sampled_from([{}, {"strict_min": True}, {"strict_min": False}]))
    if which != "min":
        found["max_value"] = high
        found |= draw(st.sampled_from([{}, {"strict_max": True}]))
    return found


def members(draw: Draw, kind: str) -> list[Any]:
    pool = known(kind)
    chosen = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=6, unique_by=repr))
    if kind == "decimal":
        return [float(v) for v in chosen if float(v) == v] or [1.0]
    if kind in MOMENTS:
        return [moment(v, kind) for v in chosen]
    return chosen


def moment(value: Any, kind: str) -> Any:
    """As YAML gives it, unquoted."""
    return value.replace(tzinfo=UTC) if kind == "zoned" else value


def mostly(draw: Draw) -> dict[str, Any]:
    return draw(st.sampled_from([{}, {}, {"mostly": 1}, {"mostly": 0.5}, {"mostly": 0.9}, {"mostly": 2 / 3}]))  # type: ignore[no-any-return]


REGEXES = ["a", "^a", "a$", "^$", "^a?b?$", "[A-Z]", "[^a]", "^.$", "^..$", "(?i)a", "é", "a|1"]
REGEXES += [r"\d", r"^\d+$", r"\w", r"\s", r"\ba"]
NUMBER = (-2.0, -1, 0, 0.1, 0.3, 1, 2, 3.5, 10, 1e18)
COUNT = (0, 1, 2, 3, 5, 8)
SHARE = (0, 0.2, 0.5, 2 / 3, 1)
Generator = tuple[tuple[str, ...], Callable[[Draw, Data], dict[str, Any]], bool]


def _rows(more: Callable[[Draw, Data], dict[str, Any]], kinds: tuple[str, ...] = ALL) -> Generator:
    return kinds, lambda draw, d: {"column": "x"} | more(draw, d) | mostly(draw), False


def _whole(more: Callable[[Draw, Data], dict[str, Any]], kinds: tuple[str, ...] = ALL) -> Generator:
    return kinds, lambda draw, d: {"column": "x"} | more(draw, d), False


def _numbers(pool: tuple[float, ...], kinds: tuple[str, ...] = NUMBERS) -> Generator:
    return _whole(lambda draw, _: bounds(draw, lambda: draw(st.sampled_from(pool))), kinds)


def _set(key: str = "value_set") -> Callable[[Draw, Data], dict[str, Any]]:
    return lambda draw, d: {key: members(draw, d.kind("x"))}


def _regexes(draw: Draw, _: Data) -> dict[str, Any]:
    return {"regex_list": draw(st.lists(st.sampled_from(REGEXES), min_size=1, max_size=3, unique=True))}


def _regex(draw: Draw, _: Data) -> dict[str, Any]:
    return {"regex": draw(st.sampled_from(REGEXES))}


def _strictly(draw: Draw, _: Data) -> dict[str, Any]:
    return draw(st.sampled_from([{}, {"strictly": True}]))  # type: ignore[no-any-return]


def _ignored(draw: Draw, rules: tuple[str, ...]) -> dict[str, Any]:
    rule = draw(st.sampled_from([None, *rules]))
    return {} if rule is None else {"ignore_row_if": rule}


def _pair(more: Callable[[Draw, Data], dict[str, Any]], kinds: tuple[str, ...] = ALL) -> Generator:
    rules = ("both_values_are_missing", "either_value_is_missing", "neither")

    def made(draw: Draw, d: Data) -> dict[str, Any]:
        return {"column_A": "x", "column_B": "y"} | more(draw, d) | _ignored(draw, rules) | mostly(draw)

    return kinds, made, True


def _several(more: Callable[[Draw, Data], dict[str, Any]], kinds: tuple[str, ...] = ALL) -> Generator:
    rules = ("all_values_are_missing", "any_value_is_missing", "never")

    def made(draw: Draw, d: Data) -> dict[str, Any]:
        names = draw(st.sampled_from([["x", "y"], ["x", "y", "z"]]))
        return {"column_list": names} | more(draw, d) | _ignored(draw, rules) | mostly(draw)

    return kinds, made, True


def _nothing(_: Draw, __: Data) -> dict[str, Any]:
    return {}


def _quantiles(draw: Draw, _: Data) -> dict[str, Any]:
    shares = draw(st.lists(st.sampled_from([0, 0.1, 0.25, 0.5, 0.75, 0.9, 1]), min_size=1, max_size=3, unique=True))
    ranges = []
    for _share in shares:
        low, high = sorted(draw(st.lists(st.sampled_from(NUMBER), min_size=2, max_size=2)))
        ranges.append(draw(st.sampled_from([[low, high], [None, high], [low, None]])))
    return {"quantile_ranges": {"quantiles": sorted(shares), "value_ranges": ranges}} | draw(
        st.sampled_from([{}, {"allow_relative_error": False}])
    )


def _pairs_set(draw: Draw, d: Data) -> dict[str, Any]:
    pool = known(d.kind("x"))
    pairs = draw(st.lists(st.tuples(st.sampled_from(pool), st.sampled_from(pool)), min_size=1, max_size=5))
    return {"value_pairs_set": [list(pair) for pair in pairs]}


def _columns(draw: Draw) -> list[str]:
    return draw(
        st.sampled_from([["n", "x", "y", "z"], ["x", "n", "y", "z"], ["n", "x", "y"], ["n", "x", "y", "z", "q"]])
    )  # type: ignore[no-any-return]


def _lengths(draw: Draw, _: Data) -> dict[str, Any]:
    return bounds(draw, lambda: draw(st.sampled_from(COUNT)))


_TABLE_COUNTS: Generator = (ALL, lambda draw, _: bounds(draw, lambda: draw(st.sampled_from(COUNT))), False)
_TABLE_EQUAL: Generator = (ALL, lambda draw, _: {"value": draw(st.sampled_from(COUNT))}, False)

# For each type: the kinds of column it is asked about, its kwargs, and whether x, y and z are of one kind.
GENERATORS: dict[str, Generator] = {
    "expect_column_values_to_not_be_null": _rows(_nothing),
    "expect_column_values_to_be_null": _rows(_nothing),
    "expect_column_values_to_be_between": _rows(
        lambda draw, d: bounds(draw, lambda: limit(draw, d.kind("x"))), (*NUMBERS, "text", *MOMENTS)
    ),
    "expect_column_values_to_be_in_set": _rows(_set()),
    "expect_column_values_to_not_be_in_set": _rows(_set()),
    "expect_column_values_to_match_regex": _rows(_regex, ("text", "integer")),
    "expect_column_values_to_not_match_regex": _rows(_regex, ("text",)),
    "expect_column_values_to_match_regex_list": _rows(
        lambda draw, d: _regexes(draw, d) | draw(st.sampled_from([{}, {"match_on": "any"}, {"match_on": "all"}])),
        ("text",),
    ),
    "expect_column_values_to_not_match_regex_list": _rows(_regexes, ("text",)),
    "expect_column_value_lengths_to_be_between": _rows(_lengths, ("text",)),
    "expect_column_value_lengths_to_equal": _rows(lambda draw, _: {"value": draw(st.sampled_from(COUNT))}, ("text",)),
    "expect_column_value_z_scores_to_be_less_than": _rows(
        lambda draw, _: {"threshold": draw(st.sampled_from([0.5, 1, 1.5, 3])), "double_sided": draw(st.booleans())},
        NUMBERS,
    ),
    "expect_column_values_to_be_increasing": _rows(_strictly, (*NUMBERS, *MOMENTS)),
    "expect_column_values_to_be_decreasing": _rows(_strictly, (*NUMBERS, *MOMENTS)),
    "expect_column_values_to_be_unique": _rows(_nothing),
    "expect_compound_columns_to_be_unique": _several(_nothing),
    "expect_select_column_values_to_be_unique_within_record": _several(_nothing),
    "expect_multicolumn_values_to_be_equal": _several(_nothing),
    "expect_multicolumn_sum_to_equal": _several(lambda draw, _: {"sum_total": draw(st.sampled_from(NUMBER))}, NUMBERS),
    "expect_column_pair_values_a_to_be_greater_than_b": _pair(
        lambda draw, _: draw(st.sampled_from([{}, {"or_equal": True}, {"or_equal": False}])), (*NUMBERS, *MOMENTS)
    ),
    "expect_column_pair_values_to_be_equal": _pair(_nothing),
    "expect_column_pair_values_to_be_in_set": _pair(_pairs_set, ("integer", "double", "text", "boolean")),
    "expect_column_min_to_be_between": _whole(
        lambda draw, d: bounds(draw, lambda: limit(draw, d.kind("x"))), (*NUMBERS, "text", *MOMENTS)
    ),
    "expect_column_max_to_be_between": _whole(
        lambda draw, d: bounds(draw, lambda: limit(draw, d.kind("x"))), (*NUMBERS, "text", *MOMENTS)
    ),
    "expect_column_mean_to_be_between": _numbers(NUMBER),
    "expect_column_sum_to_be_between": _numbers(NUMBER),
    "expect_column_stdev_to_be_between": _numbers((0, 0.1, 0.5, 1, 3.5, 1e18)),
    "expect_column_median_to_be_between": _numbers(NUMBER),
    "expect_column_quantile_values_to_be_between": _whole(_quantiles, NUMBERS),
    "expect_column_unique_value_count_to_be_between": _numbers(COUNT, ALL),
    "expect_column_proportion_of_unique_values_to_be_between": _numbers(SHARE, ALL),
    "expect_column_proportion_of_non_null_values_to_be_between": _numbers(SHARE, ALL),
    "expect_column_distinct_values_to_be_in_set": _whole(_set()),
    "expect_column_distinct_values_to_contain_set": _whole(_set()),
    "expect_column_distinct_values_to_equal_set": _whole(_set()),
    "expect_column_most_common_value_to_be_in_set": _whole(
        lambda draw, d: _set()(draw, d) | draw(st.sampled_from([{}, {"ties_okay": True}]))
    ),
    "expect_table_row_count_to_be_between": _TABLE_COUNTS,
    "expect_table_row_count_to_equal": _TABLE_EQUAL,
    "expect_table_column_count_to_be_between": _TABLE_COUNTS,
    "expect_table_column_count_to_equal": _TABLE_EQUAL,
    "expect_column_to_exist": (
        ALL,
        lambda draw, _: (
            {"column": draw(st.sampled_from(["x", "n", "q", "X"]))}
            | draw(st.sampled_from([{}, {"column_index": 0}, {"column_index": 1}]))
        ),
        False,
    ),
    "expect_table_columns_to_match_set": (
        ALL,
        lambda draw, _: (
            {"column_set": _columns(draw)} | draw(st.sampled_from([{}, {"exact_match": False}, {"exact_match": True}]))
        ),
        False,
    ),
    "expect_table_columns_to_match_ordered_list": (ALL, lambda draw, _: {"column_list": _columns(draw)}, False),
}
# Great Expectations has these for databases only.
NOT_FOR_FILES = frozenset(
    f"expect_column_values_to_{word}match_like_pattern{many}" for word in ("", "not_") for many in ("", "_list")
)


@st.composite
def cases(draw: Draw, type_: str) -> tuple[Data, dict[str, Any]]:
    kinds, made, same = GENERATORS[type_]
    found = draw(data(kinds, same=same))
    return found, made(draw, found)
