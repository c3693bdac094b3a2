# ruff: noqa: S608 -- every name and constant is escaped by `values`
"""Expectations about several columns of a row: which rows are judged at all is what `ignore_row_if` says."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from mlgate.data.engine.plan import ROWS, VIEW, Distinct, Plan, Seen, Values
from mlgate.data.engine.rows import Columns, Kwargs, a_number, judged_rows, listed
from mlgate.data.engine.values import NUMBERS, Field, Leave, Unfit, comparable, find, is_missing, member


def unique(columns: Columns, kwargs: Kwargs) -> Plan:
    left = find(columns, kwargs["column"])
    if left.sort == "other":
        raise Leave
    return _unique([left], f"{left.sql} IS NOT NULL", kwargs, left.name)


def compound_unique(columns: Columns, kwargs: Kwargs) -> Plan:
    fields = _fields(columns, kwargs)
    if any(field.sort == "other" for field in fields):
        raise Leave
    return _unique(fields, _kept(fields, kwargs), kwargs, " and ".join(field.name for field in fields))


def _unique(fields: list[Field], where: str, kwargs: Kwargs, what: str) -> Plan:
    """All rows of a group that is there more than once break it."""
    keys = ", ".join(field.sql for field in fields)
    distinct = Distinct(tuple(field.sql for field in fields), where)
    judged, present = f"count(*) FILTER (WHERE {where})", _present(fields)
    groups = f"FROM {VIEW} WHERE {where} GROUP BY {keys} HAVING count(*) > 1"
    repeated = f"SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n {groups})"

    def later(values: Values) -> str:
        return "" if values.count(distinct.sql) == values.count(judged) else repeated

    def judge(values: Values) -> Seen:
        unexpected = values.count(repeated) if later(values) else 0
        there = values.count(judged) if values.count(present) else 0
        return judged_rows(values, there, unexpected, kwargs, what)

    # A row(...) is equal to another also where parts of both are missing, as in pandas.
    key = keys if len(fields) == 1 else f"row({keys})"
    broken = f"{where} AND {key} IN (SELECT {key} {groups})"
    return Plan(
        judge,
        (ROWS, judged, present),
        distinct=(distinct,),
        later=later,
        broken=lambda _: broken,
        shows=tuple(field.name for field in fields),
    )


def _fields(columns: Columns, kwargs: Kwargs) -> list[Field]:
    names = listed(kwargs, "column_list")
    if len(names) < 2 or len(set(names)) < len(names):
        raise Leave
    return [find(columns, name) for name in names]


def _kept(fields: Sequence[Field], kwargs: Kwargs) -> str:
    """SQL for the rows that `ignore_row_if` leaves in."""
    missing = [f"{field.sql} IS NULL" for field in fields]
    rule = kwargs.get("ignore_row_if") or ("both_values_are_missing" if "column_A" in kwargs else None)
    if rule in {None, "both_values_are_missing", "all_values_are_missing"}:
        return f"NOT ({' AND '.join(missing)})"
    if rule in {"either_value_is_missing", "any_value_is_missing"}:
        return f"NOT ({' OR '.join(missing)})"
    if rule in {"neither", "never"}:
        return "TRUE"
    raise Leave


def _several(fields: Sequence[Field], condition: str, kwargs: Kwargs) -> Plan:
    kept = _kept(fields, kwargs)
    broken = f"{kept} AND ({condition}) IS NOT TRUE"
    judged, unexpected = f"count(*) FILTER (WHERE {kept})", f"count(*) FILTER (WHERE {broken})"
    present = _present(fields)
    names = tuple(field.name for field in fields)

    def judge(values: Values) -> Seen:
        # Columns that hold nothing at all are no measurement, even where missing values are to be judged.
        there = values.count(judged) if values.count(present) else 0
        return judged_rows(values, there, values.count(unexpected), kwargs, " and ".join(names))

    return Plan(judge, (ROWS, judged, unexpected, present), broken=lambda _: broken, shows=names)


def _present(fields: Sequence[Field]) -> str:
    return f"count(*) FILTER (WHERE NOT ({' AND '.join(f'{field.sql} IS NULL' for field in fields)}))"


def _pair(columns: Columns, kwargs: Kwargs) -> list[Field]:
    return [find(columns, kwargs["column_A"]), find(columns, kwargs["column_B"])]


def _comparable(one: Field, two: Field) -> None:
    if "other" in {one.sort, two.sort}:
        raise Leave
    if not comparable(one, two):
        raise Unfit(f"{one.name} holds {one.says} and {two.name} holds {two.says}: they cannot be compared.")


def pair_greater(columns: Columns, kwargs: Kwargs) -> Plan:
    one, two = fields = _pair(columns, kwargs)
    _comparable(one, two)
    return _several(fields, f"{one.sql} {'>=' if kwargs.get('or_equal') else '>'} {two.sql}", kwargs)


def pair_equal(columns: Columns, kwargs: Kwargs) -> Plan:
    one, two = fields = _pair(columns, kwargs)
    _comparable(one, two)
    return _several(fields, f"{one.sql} = {two.sql}", kwargs)


def pair_in_set(columns: Columns, kwargs: Kwargs) -> Plan:
    one, two = fields = _pair(columns, kwargs)
    pairs = [tuple(pair) for pair in listed(kwargs, "value_pairs_set")]
    if len(pairs) > 200 or any(len(pair) != 2 for pair in pairs):
        raise Leave
    conditions = []
    for pair in pairs:
        parts = [_same(field, value) for field, value in zip(fields, pair, strict=True)]
        if all(parts):
            conditions.append(f"({' AND '.join(parts)})")
    if not conditions:
        raise Unfit(f"No pair of value_pairs_set can be in {one.name} ({one.says}) and {two.name} ({two.says}).")
    return _several(fields, " OR ".join(conditions), kwargs)


def _same(field: Field, value: Any) -> str:
    if is_missing(value):
        return f"{field.sql} IS NULL"
    if field.sort not in {"integer", "decimal", "float", "text"} or isinstance(value, bool):
        raise Leave
    constant = member(field, value)
    return f"{field.sql} IS NOT DISTINCT FROM {constant}" if constant else ""


def sum_equal(columns: Columns, kwargs: Kwargs) -> Plan:
    fields = _fields(columns, kwargs)
    for field in fields:
        if field.sort not in NUMBERS:
            raise Unfit(f"{field.name} holds {field.says}, which cannot be added.")
    total = a_number(kwargs, "sum_total")
    if any(field.sort == "float" or "HUGEINT" in field.type for field in fields):
        sql = " + ".join(f"CAST({field.sql} AS DOUBLE)" for field in fields)
        return _several(fields, f"{sql} = CAST('{float(total)!r}' AS DOUBLE)", kwargs)
    scale = max(field.scale for field in fields)
    sql = " + ".join(f"CAST({field.sql} AS DECIMAL(38, {scale}))" for field in fields)
    whole = Field("", f"({sql})", f"DECIMAL(38, {scale})", "decimal", scale, -(10**38) + 1, 10**38 - 1)
    constant = member(whole, total)
    return _several(fields, f"{whole.sql} = {constant}" if constant else "FALSE", kwargs)


def unique_within_record(columns: Columns, kwargs: Kwargs) -> Plan:
    fields = _same_sort(_fields(columns, kwargs))
    pairs = [f"{one.sql} IS DISTINCT FROM {two.sql}" for one, two in combinations(fields, 2)]
    return _several(fields, " AND ".join(pairs), kwargs)


def equal_within_record(columns: Columns, kwargs: Kwargs) -> Plan:
    fields = _same_sort(_fields(columns, kwargs))
    pairs = [f"{fields[0].sql} IS NOT DISTINCT FROM {other.sql}" for other in fields[1:]]
    return _several(fields, " AND ".join(pairs), kwargs)


def _same_sort(fields: list[Field]) -> list[Field]:
    for other in fields:
        if not comparable(fields[0], other):
            raise Leave  # what pandas makes of a mixed row is its own affair
    return fields
