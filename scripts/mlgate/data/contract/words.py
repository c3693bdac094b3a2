"""What an expectation says, as a person would: a title to know it by, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from mlgate.config.yamlfile import visible

_SHOWN = 5  # of a list of values
_LONG = 40  # characters of one value
_MINUS = "\u2212"

Kwargs = Mapping[str, Any]


def describe(type_: str, kwargs: Kwargs) -> tuple[str, str]:
    """Title and expected value: `age: at least 0`, `at least 0`."""
    noun, allowed = _SAID[type_](kwargs)
    share = kwargs.get("mostly", 1)
    if share != 1:
        allowed += f", in {percent(share)} of rows"
    if "row_condition" in kwargs:
        allowed += ", in the rows selected"
    subject = _subject(kwargs)
    if subject:
        return f"{subject}: {noun} {allowed}" if noun else f"{subject}: {allowed}", allowed
    return f"{noun}: {allowed}" if noun else allowed, allowed


def plain(value: Any) -> str:
    """A number without an exponent where that is readable, commas from five digits on; a text cut to a few words."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return visible(value, _LONG) or '""'
    if not isinstance(value, int | float):
        return visible(str(value), _LONG)
    exact = Decimal(repr(value))
    if exact and not -7 < exact.adjusted() < 16:
        return f"{value:g}".replace("-", _MINUS)
    text = format(exact, ",f" if abs(exact) >= 10_000 else "f")  # years and codes have no comma
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", _MINUS)


def percent(share: float) -> str:
    """`99 %`, with the digits it has."""
    return f"{plain(float(Decimal(repr(share)) * 100))} %"


def listed(values: Sequence[Any], *, and_: str = "and") -> str:
    """`a, b and c`, or the first few and how many more."""
    shown = [plain(value) for value in values[:_SHOWN]]
    if len(values) > _SHOWN:
        return f"{', '.join(shown)} {and_} {len(values) - _SHOWN:,} more"
    return f"{', '.join(shown[:-1])} {and_} {shown[-1]}" if len(shown) > 1 else "".join(shown)


def between(low: Any, high: Any, *, strict: tuple[bool, bool] = (False, False), show: Any = plain) -> str:
    """`at least 0`, `above 0`, `between 0 and 1`, `exactly 5`."""
    above, below = strict
    if low is not None and high is not None:
        if low == high:
            return f"exactly {show(low)}"
        if above or below:
            return f"{'above' if above else 'at least'} {show(low)} and {'below' if below else 'at most'} {show(high)}"
        return f"between {show(low)} and {show(high)}"
    if low is not None:
        return f"{'above' if above else 'at least'} {show(low)}"
    return f"{'below' if below else 'at most'} {show(high)}"


def duration(seconds: float) -> str:
    """In the largest unit that it is a whole number of."""
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            return _counted(seconds / size, unit)
    return _counted(seconds, "second")


def _counted(number: float, unit: str) -> str:
    return f"{plain(number)} {unit if number == 1 else unit + 's'}"


def _subject(kwargs: Kwargs) -> str:
    if "column" in kwargs:
        return visible(kwargs["column"], _LONG)
    if "value_pairs_set" in kwargs:
        return f"{visible(kwargs['column_A'], _LONG)} and {visible(kwargs['column_B'], _LONG)}"
    return ""


def _range(kwargs: Kwargs, show: Any = plain) -> str:
    strict = (bool(kwargs.get("strict_min")), bool(kwargs.get("strict_max")))
    return between(kwargs.get("min_value"), kwargs.get("max_value"), strict=strict, show=show)


_Say = Callable[[Kwargs], tuple[str, str]]


def _ranged(noun: str = "", show: Any = plain) -> _Say:
    return lambda kwargs: (noun, _range(kwargs, show))


def _set(words: str, noun: str = "", *, and_: str = "or") -> _Say:
    return lambda kwargs: (noun, f"{words} {listed(kwargs['value_set'], and_=and_)}")


def _fixed(words: str) -> _Say:
    return lambda kwargs: ("", words)


def _of(words: str, key: str) -> _Say:
    """The words and one or several values."""

    def say(kwargs: Kwargs) -> tuple[str, str]:
        value = kwargs[key]
        return "", f"{words} {listed(value, and_='or') if isinstance(value, list) else plain(value)}"

    return say


def _columns(words: str) -> _Say:
    return lambda kwargs: (listed(kwargs["column_list"]), words)


def _quantiles(kwargs: Kwargs) -> tuple[str, str]:
    asked = kwargs["quantile_ranges"]
    parts = [
        f"{plain(at)} {between(low, high)}"
        for at, (low, high) in zip(asked["quantiles"], asked["value_ranges"], strict=True)
    ]
    return "quantile" if len(parts) == 1 else "quantiles", "; ".join(parts)


def _column_set(kwargs: Kwargs) -> tuple[str, str]:
    names = listed(kwargs["column_set"])
    return "columns", f"exactly {names}" if kwargs.get("exact_match", True) else f"{names}, and any others"


def _greater(kwargs: Kwargs) -> tuple[str, str]:
    lesser, greater = _names(kwargs, "column_B", "column_A")
    return "", f"{lesser} {'<=' if kwargs.get('or_equal') else '<'} {greater}"


def _equal(kwargs: Kwargs) -> tuple[str, str]:
    return "", " == ".join(_names(kwargs, "column_A", "column_B"))


def _names(kwargs: Kwargs, *keys: str) -> list[str]:
    return [visible(kwargs[key], _LONG) for key in keys]


def _sum(kwargs: Kwargs) -> tuple[str, str]:
    return " + ".join(visible(name, _LONG) for name in kwargs["column_list"]), f"exactly {plain(kwargs['sum_total'])}"


def _drift(kwargs: Kwargs) -> tuple[str, str]:
    parts = [
        f"{name} at most {plain(kwargs[key])}" for name, key in (("PSI", "psi"), ("KS distance", "ks")) if key in kwargs
    ]
    return "drift", " and ".join(parts)


def _ordering(word: str) -> _Say:
    return lambda kwargs: ("", f"{'strictly ' if kwargs.get('strictly') else ''}{word} from row to row")


def _pairs(kwargs: Kwargs) -> tuple[str, str]:
    return "", f"one of {listed([f'({plain(a)}, {plain(b)})' for a, b in kwargs['value_pairs_set']], and_='or')}"


def _outliers(kwargs: Kwargs) -> tuple[str, str]:
    method = "interquartile ranges" if kwargs.get("method", "iqr") == "iqr" else "standard deviations"
    return "", f"within {plain(kwargs.get('multiplier', 1.5))} {method}"


def _patterns(words: str, key: str) -> _Say:
    def say(kwargs: Kwargs) -> tuple[str, str]:
        joined = "and" if kwargs.get("match_on") == "all" or words.startswith("not") else "or"
        return "", f"{words} {listed(kwargs[key], and_=joined)}"

    return say


_SAID: dict[str, _Say] = {
    "expect_column_distinct_values_to_be_in_set": _set("only", "values", and_="and"),
    "expect_column_distinct_values_to_contain_set": _set("among others", "values", and_="and"),
    "expect_column_distinct_values_to_equal_set": _set("exactly", "values", and_="and"),
    "expect_column_kl_divergence_to_be_less_than": lambda kwargs: (
        "KL divergence",
        f"at most {plain(kwargs['threshold'])}",
    ),
    "expect_column_max_to_be_between": _ranged("largest value"),
    "expect_column_mean_to_be_between": _ranged("mean"),
    "expect_column_median_to_be_between": _ranged("median"),
    "expect_column_min_to_be_between": _ranged("smallest value"),
    "expect_column_most_common_value_to_be_in_set": _set("one of", "most common value"),
    "expect_column_pair_values_a_to_be_greater_than_b": _greater,
    "expect_column_pair_values_to_be_equal": _equal,
    "expect_column_pair_values_to_be_in_set": _pairs,
    "expect_column_proportion_of_non_null_values_to_be_between": _ranged("share of rows with a value", percent),
    "expect_column_proportion_of_unique_values_to_be_between": _ranged("share of distinct values", percent),
    "expect_column_quantile_values_to_be_between": _quantiles,
    "expect_column_stdev_to_be_between": _ranged("standard deviation"),
    "expect_column_sum_to_be_between": _ranged("sum"),
    "expect_column_to_exist": lambda kwargs: (
        "",
        f"present, at place {kwargs['column_index'] + 1}" if "column_index" in kwargs else "present",
    ),
    "expect_column_type_to_be": _of("of type", "type_"),
    "expect_column_unique_value_count_to_be_between": _ranged("distinct values"),
    "expect_column_value_lengths_to_be_between": _ranged("length"),
    "expect_column_value_lengths_to_equal": lambda kwargs: ("length", f"exactly {plain(kwargs['value'])}"),
    "expect_column_value_z_scores_to_be_less_than": lambda kwargs: (
        "distance from the mean" if kwargs["double_sided"] else "height above the mean",
        f"below {plain(kwargs['threshold'])} standard deviations",
    ),
    "expect_column_values_to_be_between": _ranged(),
    "expect_column_values_to_be_dateutil_parseable": _fixed("a date"),
    "expect_column_values_to_be_decreasing": _ordering("falling"),
    "expect_column_values_to_be_in_set": _set("one of"),
    "expect_column_values_to_be_in_type_list": _of("of type", "type_list"),
    "expect_column_values_to_be_increasing": _ordering("rising"),
    "expect_column_values_to_be_json_parseable": _fixed("JSON"),
    "expect_column_values_to_be_null": _fixed("missing"),
    "expect_column_values_to_be_of_type": _of("of type", "type_"),
    "expect_column_values_to_be_unique": _fixed("unique"),
    "expect_column_values_to_match_json_schema": _fixed("JSON of the given schema"),
    "expect_column_values_to_match_like_pattern": _of("like", "like_pattern"),
    "expect_column_values_to_match_like_pattern_list": _patterns("like", "like_pattern_list"),
    "expect_column_values_to_match_regex": _of("matching", "regex"),
    "expect_column_values_to_match_regex_list": _patterns("matching", "regex_list"),
    "expect_column_values_to_match_strftime_format": _of("a date written as", "strftime_format"),
    "expect_column_values_to_not_be_in_set": _set("none of", and_="and"),
    "expect_column_values_to_not_be_null": _fixed("not missing"),
    "expect_column_values_to_not_be_outliers": _outliers,
    "expect_column_values_to_not_match_like_pattern": _of("not like", "like_pattern"),
    "expect_column_values_to_not_match_like_pattern_list": _patterns("not like", "like_pattern_list"),
    "expect_column_values_to_not_match_regex": _of("not matching", "regex"),
    "expect_column_values_to_not_match_regex_list": _patterns("not matching", "regex_list"),
    "expect_compound_columns_to_be_unique": _columns("unique together"),
    "expect_multicolumn_sum_to_equal": _sum,
    "expect_multicolumn_values_to_be_equal": _columns("equal in each row"),
    "expect_select_column_values_to_be_unique_within_record": _columns("different in each row"),
    "expect_table_column_count_to_be_between": _ranged("number of columns"),
    "expect_table_column_count_to_equal": lambda kwargs: ("number of columns", f"exactly {plain(kwargs['value'])}"),
    "expect_table_columns_to_match_ordered_list": lambda kwargs: (
        "columns",
        f"exactly {listed(kwargs['column_list'])}, in this order",
    ),
    "expect_table_columns_to_match_set": _column_set,
    "expect_table_row_count_to_be_between": _ranged("rows"),
    "expect_table_row_count_to_equal": lambda kwargs: ("rows", f"exactly {plain(kwargs['value'])}"),
    "expect_column_values_to_be_of_kind": _of("of type", "kind"),
    "expect_column_null_count_to_be_at_most": lambda kwargs: (
        "missing values",
        f"at most {plain(kwargs['max_value'])}",
    ),
    "expect_column_newest_to_be_within": lambda kwargs: (
        "newest value",
        f"at most {duration(kwargs['max_age'])} old",
    ),
    "expect_column_drift_to_be_at_most": _drift,
}
