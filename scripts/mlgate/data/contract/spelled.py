"""The shorter spelling as expectations: each key is one check."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from mlgate.config.vocabulary import Path
from mlgate.config.yamlfile import Node, dotted
from mlgate.data.contract import kinds
from mlgate.data.contract.short import Column, Relation, Short
from mlgate.data.contract.written import NAME, RELATION, unquoted
from mlgate.data.nouns import Expectation

Finding = tuple[Path, str, str]

_NUMERIC = ("integer", "number")
_TIMES = ("date", "timestamp")
# Keys that look at one row at a time, which `mostly` applies to.
_ROWS = ("type", "min", "max", "in_", "not_in", "matches", "not_matches", "length")


def expectations(short: Short, root: Node) -> Iterator[Expectation]:
    """In the order: columns there, the table, each column, relations. `root` is what they were read from."""
    yield from _table(short, root)
    for name, column in short.columns.items():
        severity = column.severity or short.severity
        for key, type_, kwargs in _column(column):
            yield Expectation(
                type=type_,
                kwargs={"column": name, **kwargs},
                severity=severity,
                key=dotted(("columns", name, key)),
                line=_line(root, ("columns", name, key)),
                id=f"{name}.{key}",
            )
    for index, relation in enumerate(short.relations):
        type_, kwargs = _relation(relation)
        yield Expectation(
            type=type_,
            kwargs=kwargs,
            severity=relation.severity or short.severity,
            key=f"relations[{index}]",
            line=_line(root, ("relations", index)),
            id=f"relations.{' '.join(relation.is_.split())}",
        )


def _line(root: Node, path: Path) -> int | None:
    node = root.at(path)
    return node.line if node else None


def _table(short: Short, root: Node) -> Iterator[Expectation]:
    table, names = short.table, list(short.columns)

    def made(key: str, type_: str, kwargs: dict[str, Any], more: str = "") -> Expectation:
        at: Path = ("table", key) if key in table.model_fields_set else ("columns",)
        return Expectation(
            type=type_,
            kwargs=kwargs,
            severity=short.severity,
            key=dotted(at),
            line=_line(root, at),
            id=f"table.{key}{more}",
        )

    if names:
        exact = {"column_set": names, "exact_match": table.columns == "exact"}
        yield made("columns", "expect_table_columns_to_match_set", exact)
    if table.order:
        yield made("order", "expect_table_columns_to_match_ordered_list", {"column_list": names})
    if table.rows:
        low, high = table.rows
        same = low == high and low is not None
        type_ = "expect_table_row_count_to_equal" if same else "expect_table_row_count_to_be_between"
        yield made("rows", type_, {"value": low} if same else _limits(table.rows))
    for columns in table.unique or ():
        one = len(columns) == 1
        type_ = "expect_column_values_to_be_unique" if one else "expect_compound_columns_to_be_unique"
        kwargs = {"column": columns[0]} if one else {"column_list": columns}
        yield made("unique", type_, kwargs, f".{','.join(columns)}")


def _column(column: Column) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(key, type, kwargs without the column) of each check."""
    part = {"mostly": column.mostly} if column.mostly not in (None, 1) else {}
    if column.required:
        yield "required", "expect_column_to_exist", {}
    if column.nulls is not None:
        yield ("nulls", *_nulls(column.nulls))
    for key, type_, kwarg in (
        ("type", "expect_column_values_to_be_of_kind", "kind"),
        ("min", "expect_column_values_to_be_between", "min_value"),
        ("max", "expect_column_values_to_be_between", "max_value"),
        ("in_", "expect_column_values_to_be_in_set", "value_set"),
        ("not_in", "expect_column_values_to_not_be_in_set", "value_set"),
        ("matches", "expect_column_values_to_match_regex", "regex"),
        ("not_matches", "expect_column_values_to_not_match_regex", "regex"),
    ):
        if (said := getattr(column, key)) is not None:
            yield key.rstrip("_"), type_, {kwarg: said, **part}
    if column.length is not None:
        yield "length", "expect_column_value_lengths_to_be_between", {**_limits(column.length), **part}
    if column.unique:
        yield "unique", "expect_column_values_to_be_unique", {}
    if column.increasing:
        yield "increasing", "expect_column_values_to_be_increasing", {}
    yield from _whole(column)


def _whole(column: Column) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The checks that look at all rows together."""
    for key, type_ in (
        ("distinct", "expect_column_unique_value_count_to_be_between"),
        ("mean", "expect_column_mean_to_be_between"),
        ("median", "expect_column_median_to_be_between"),
        ("std", "expect_column_stdev_to_be_between"),
        ("sum", "expect_column_sum_to_be_between"),
    ):
        if (limits := getattr(column, key)) is not None:
            yield key, type_, _limits(limits)
    if column.quantiles is not None:
        asked = {"quantiles": list(column.quantiles), "value_ranges": list(column.quantiles.values())}
        yield "quantiles", "expect_column_quantile_values_to_be_between", {"quantile_ranges": asked}
    if column.newest is not None:
        yield "newest", "expect_column_newest_to_be_within", {"max_age": column.newest}
    if column.drift is not None:
        yield "drift", "expect_column_drift_to_be_at_most", column.drift.model_dump(exclude_none=True)


def _nulls(allowed: int | Decimal) -> tuple[str, dict[str, Any]]:
    if not allowed:
        return "expect_column_values_to_not_be_null", {}
    if isinstance(allowed, int):
        return "expect_column_null_count_to_be_at_most", {"max_value": allowed}
    return "expect_column_values_to_not_be_null", {"mostly": float(1 - allowed)}


def _relation(relation: Relation) -> tuple[str, dict[str, Any]]:
    """Rows that lack one of the values are left out, as in every other check."""
    found = RELATION.match(relation.is_)
    left, operator, right = found.groups() if found else ("", "", "")
    names = [unquoted(name) for name in NAME.findall(left)]
    other = unquoted(right)
    part = {"mostly": relation.mostly} if relation.mostly not in (None, 1) else {}
    if len(names) > 1:
        total = {"column_list": names, "sum_total": float(right) if "." in right else int(right)}
        return "expect_multicolumn_sum_to_equal", {**total, "ignore_row_if": "any_value_is_missing", **part}
    if operator == "!=":
        kwargs = {"column_list": [names[0], other], "ignore_row_if": "any_value_is_missing", **part}
        return "expect_select_column_values_to_be_unique_within_record", kwargs
    pair = {"ignore_row_if": "either_value_is_missing", **part}
    if operator == "==":
        return "expect_column_pair_values_to_be_equal", {"column_A": names[0], "column_B": other, **pair}
    greater, lesser = (names[0], other) if operator[0] == ">" else (other, names[0])
    kwargs = {"column_A": greater, "column_B": lesser, "or_equal": operator.endswith("="), **pair}
    return "expect_column_pair_values_a_to_be_greater_than_b", kwargs


def _limits(limits: list[Any]) -> dict[str, Any]:
    low, high = limits
    return {key: value for key, value in (("min_value", low), ("max_value", high)) if value is not None}


# --- what keys may not say together


def findings(short: Short) -> Iterator[Finding]:
    """Everything about these keys that would make a check that cannot do its work."""
    if short.table.order and short.table.columns != "exact":
        yield ("table", "order"), "needs `columns: exact`.", "An order is that of all columns."
    if (short.table.order or short.table.columns == "exact") and not short.columns:
        yield ("table", "order" if short.table.order else "columns"), "needs `columns:` that list them.", ""
    for name, column in short.columns.items():
        for key, message, fix in _column_findings(column):
            yield ("columns", name, key), message, fix


def _column_findings(column: Column) -> Iterator[tuple[str, str, str]]:
    if column.critical and column.severity == "warn":
        yield "severity", "is `warn`, but the column is `critical`.", "Keep one of them."
    if column.mostly is not None and all(getattr(column, key) is None for key in _ROWS):
        keys = ", ".join(f"`{key.rstrip('_')}`" for key in _ROWS)
        yield "mostly", "applies to nothing.", f"It goes with {keys}."
    if wrong := kinds.upside_down(column.min, column.max):
        yield "min", f"makes this hold for nothing: {wrong}.", ""
    if column.drift is not None and column.drift.psi is None and column.drift.ks is None:
        yield "drift", "has no limit, so it would check nothing.", "Write `{psi: <limit>}` or `{ks: <limit>}`."
    if column.type is not None:
        yield from _of_kind(column, column.type)


def _of_kind(column: Column, kind: str) -> Iterator[tuple[str, str, str]]:
    for key, fitting in (
        *((key, ("text",)) for key in ("matches", "not_matches", "length")),
        *((key, _NUMERIC) for key in ("mean", "std", "sum")),
        *((key, (*_NUMERIC, *_TIMES)) for key in ("median", "quantiles")),
        ("newest", _TIMES),
    ):
        if getattr(column, key) is not None and kind not in fitting:
            yield key, f"cannot be asked of a column of type `{kind}`.", f"It needs {_or(fitting)}."
    for key in ("min", "max"):
        limit = getattr(column, key)
        if limit is not None and kind not in (_TIMES if isinstance(limit, str) else _NUMERIC):
            yield key, f"is {'a date' if isinstance(limit, str) else 'a number'}, but the type is `{kind}`.", ""
    for field, key in (("in_", "in"), ("not_in", "not_in")):
        wrong = next((value for value in getattr(column, field) or () if not _fits(value, kind)), None)
        if wrong is not None:
            said = f"`{wrong}`" if not isinstance(wrong, bool) else f"`{str(wrong).lower()}`"
            what = "the text " if isinstance(wrong, str) else ""
            yield key, f"holds {what}{said}, but the type is `{kind}`: they would never be equal.", ""


def _fits(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, str):
        return kind in ("text", *_TIMES)
    return kind in _NUMERIC


def _or(words: tuple[str, ...]) -> str:
    return " or ".join(f"`{word}`" for word in words)
