# ruff: noqa: S608 -- every name and constant is escaped by `values`
"""Expectations about single rows: each compiles to one count of the rows that break it.

Missing values (NULL, and NaN in columns of doubles, which the scan turns to NULL) are left out, except by the checks
for them. `mostly` is a share of the rows that are left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import combinations
from typing import Any

from mlgate.data.engine import regex
from mlgate.data.engine.plan import NUMBERED, ROWS, VIEW, Distinct, Plan, Seen, Values, mostly, share_kept
from mlgate.data.engine.values import (
    NUMBERS,
    Field,
    Leave,
    Named,
    Unfit,
    between,
    comparable,
    exact,
    find,
    is_missing,
    is_number,
    member,
    members,
    text,
)

Kwargs = Mapping[str, Any]
Columns = Sequence[Named]


def row_check(
    left: Field, condition: str, kwargs: Kwargs, *, guard: str = "", later: Callable[[Values], str] | None = None
) -> Plan:
    """Rows whose value is there and for which `condition` is not true break it."""
    broken = f"{left.sql} IS NOT NULL AND ({condition}) IS NOT TRUE"
    unexpected, present = f"count(*) FILTER (WHERE {broken})", f"count({left.sql})"
    strange = f"count(*) FILTER (WHERE {guard})" if guard else ""

    def judge(values: Values) -> Seen:
        if strange and values.count(strange):
            raise Leave
        return judged_rows(values, values.count(present), values.count(unexpected), kwargs, left.name)

    needs = (ROWS, present, unexpected, *([strange] if strange else []))
    return Plan(judge, needs, later=later, broken=lambda _: broken, shows=(left.name,))


def judged_rows(values: Values, judged: int, unexpected: int, kwargs: Kwargs, what: str) -> Seen:
    if not judged:
        raise Unfit(f"Every value of {what} is missing, so no row could be checked.")
    holds = share_kept(judged, unexpected, mostly(kwargs))
    return Seen(holds, nulls=values.rows - judged, unexpected=unexpected)


def not_null(columns: Columns, kwargs: Kwargs) -> Plan:
    left = find(columns, kwargs["column"])
    present = f"count({left.sql})"

    def judge(values: Values) -> Seen:
        unexpected = values.rows - values.count(present)
        return Seen(share_kept(values.rows, unexpected, mostly(kwargs)), unexpected=unexpected)

    return Plan(judge, (ROWS, present), broken=lambda _: f"{left.sql} IS NULL", shows=(left.name,))


def null(columns: Columns, kwargs: Kwargs) -> Plan:
    left = find(columns, kwargs["column"])
    present = f"count({left.sql})"

    def judge(values: Values) -> Seen:
        unexpected = values.count(present)
        return Seen(share_kept(values.rows, unexpected, mostly(kwargs)), unexpected=unexpected)

    return Plan(judge, (ROWS, present), broken=lambda _: f"{left.sql} IS NOT NULL", shows=(left.name,))


def null_count(columns: Columns, kwargs: Kwargs) -> Plan:
    left = find(columns, kwargs["column"])
    present = f"count({left.sql})"

    def judge(values: Values) -> Seen:
        missing = values.rows - values.count(present)
        return Seen(missing <= kwargs["max_value"], observed=missing, unexpected=missing)

    return Plan(judge, (ROWS, present), broken=lambda _: f"{left.sql} IS NULL", shows=(left.name,))


def within(columns: Columns, kwargs: Kwargs) -> Plan:
    left = find(columns, kwargs["column"])
    return row_check(left, between(left, kwargs), kwargs)


def in_set(columns: Columns, kwargs: Kwargs) -> Plan:
    left = find(columns, kwargs["column"])
    constants = members(left, _list(kwargs, "value_set"))
    return row_check(left, f"{left.sql} IN ({', '.join(constants)})" if constants else "FALSE", kwargs)


def not_in_set(columns: Columns, kwargs: Kwargs) -> Plan:
    left = find(columns, kwargs["column"])
    constants = members(left, _list(kwargs, "value_set"))
    return row_check(left, f"{left.sql} NOT IN ({', '.join(constants)})" if constants else "TRUE", kwargs)


def _list(kwargs: Kwargs, key: str) -> list[Any]:
    values = kwargs.get(key)
    if not isinstance(values, list | tuple | set | frozenset):
        raise Leave
    if not values:
        raise Unfit(f"{key} is empty, so nothing would be checked.")
    return list(values)


def _text(left: Field) -> str:
    """The value as `astype(str)` writes it. Other columns' spelling is pandas' own."""
    if left.sort == "text":
        return left.sql
    if left.sort == "integer":
        return f"CAST({left.sql} AS VARCHAR)"
    raise Leave


def lengths(columns: Columns, kwargs: Kwargs) -> Plan:
    left = find(columns, kwargs["column"])
    length = f"length({_text(left)})"  # code points, as Python's len
    if "value" in kwargs:
        if not is_number(kwargs["value"]):
            raise Unfit(f"A length cannot be compared with {kwargs['value']!r}.")
        return row_check(left, f"{length} = {_plain(kwargs['value'])}", kwargs)
    return row_check(left, between(Field(left.name, length, "BIGINT", "integer", 0, 0, 2**62), kwargs), kwargs)


def _plain(value: Any) -> str:
    number = exact(value)
    return format(number, "f") if number.is_finite() and -(10**15) < number < 10**15 else "NULL"


def matches(columns: Columns, kwargs: Kwargs) -> Plan:
    return _regex(columns, kwargs, [kwargs["regex"]], "any", wanted=True)


def matches_not(columns: Columns, kwargs: Kwargs) -> Plan:
    return _regex(columns, kwargs, [kwargs["regex"]], "any", wanted=False)


def matches_list(columns: Columns, kwargs: Kwargs) -> Plan:
    return _regex(columns, kwargs, _list(kwargs, "regex_list"), kwargs.get("match_on") or "any", wanted=True)


def matches_none(columns: Columns, kwargs: Kwargs) -> Plan:
    return _regex(columns, kwargs, _list(kwargs, "regex_list"), "any", wanted=False)


def _regex(columns: Columns, kwargs: Kwargs, patterns: list[Any], match_on: str, *, wanted: bool) -> Plan:
    left = find(columns, kwargs["column"])
    if match_on not in {"any", "all"} or not all(isinstance(pattern, str) for pattern in patterns):
        raise Leave
    found, strange = [], []
    for pattern in patterns:
        try:
            translated = regex.translate(pattern)
        except re.error as error:
            raise Unfit(f"{pattern!r} is no regular expression: {error}.") from error
        if translated is None:
            raise Leave
        strange.append(translated.strange(left.sql))
        found.append(f"regexp_matches({_text(left)}, {text(translated.pattern)})")
    condition = (" OR " if match_on == "any" else " AND ").join(found)
    guard = " OR ".join(dict.fromkeys(filter(None, strange))) if left.sort == "text" else ""
    return row_check(left, condition if wanted else f"NOT ({condition})", kwargs, guard=guard)


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
    names = _list(kwargs, "column_list")
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
    pairs = [tuple(pair) for pair in _list(kwargs, "value_pairs_set")]
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


def _a_number(kwargs: Kwargs, key: str) -> int | float | Decimal:
    value = kwargs[key]
    if not is_number(value) or is_missing(value):
        raise Unfit(f"{key} is {value!r}, which is no number.")
    return value


def sum_equal(columns: Columns, kwargs: Kwargs) -> Plan:
    fields = _fields(columns, kwargs)
    for field in fields:
        if field.sort not in NUMBERS:
            raise Unfit(f"{field.name} holds {field.says}, which cannot be added.")
    total = _a_number(kwargs, "sum_total")
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


def z_scores(columns: Columns, kwargs: Kwargs) -> Plan:
    """(value - mean) / standard deviation of the sample, below the threshold; no deviation, no score."""
    left = find(columns, kwargs["column"])
    if left.sort not in NUMBERS - {"boolean"}:
        raise Unfit(f"{left.name} holds {left.says}, which has no mean.")
    threshold = _a_number(kwargs, "threshold")
    value = f"CAST({left.sql} AS DOUBLE)"
    present, mean, deviation = f"count({left.sql})", f"avg({value})", f"stddev_samp({value})"

    def broken(values: Values) -> str:
        centre, spread = values[mean], values[deviation]
        if is_missing(spread) or is_missing(centre) or abs(spread) == float("inf") or abs(centre) == float("inf"):
            raise Unfit(f"{left.name} has no standard deviation that could be measured.")
        if spread == 0:
            return "FALSE"
        score = f"({value} - CAST('{centre!r}' AS DOUBLE)) / CAST('{spread!r}' AS DOUBLE)"
        limit = float(threshold)
        if kwargs.get("double_sided"):
            score, limit = f"abs({score})", abs(limit)
        return f"{left.sql} IS NOT NULL AND ({score} < CAST('{limit!r}' AS DOUBLE)) IS NOT TRUE"

    def later(values: Values) -> str:
        return f"SELECT count(*) FROM {VIEW} WHERE {broken(values)}" if values.count(present) > 1 else ""

    def judge(values: Values) -> Seen:
        judged = values.count(present)
        if judged == 1:
            raise Unfit(f"{left.name} has a single value, and one value has no standard deviation.")
        unexpected = values.count(later(values)) if judged else 0
        return judged_rows(values, judged, unexpected, kwargs, left.name)

    return Plan(judge, (ROWS, present, mean, deviation), later=later, broken=broken, shows=(left.name,))


def ordered(columns: Columns, kwargs: Kwargs, *, rising: bool) -> Plan:
    """Each value against the one before it that is there, in the order of the file."""
    left = find(columns, kwargs["column"])
    if left.sort in {"other", "boolean"}:
        raise Leave
    if left.sort == "text":
        raise Unfit(f"{left.name} holds text, of which no difference can be taken.")
    present = f"count({left.sql})"
    op = (">" if rising else "<") + ("" if kwargs.get("strictly") else "=")
    # As pandas has it: the difference of two equal infinities is NaN, and that is in order.
    fine = f"now {op} before OR before IS NULL"
    if left.sort == "float":
        fine += " OR (isinf(now) AND now = before)"
    before = f"lag({left.sql}) OVER (ORDER BY mlgate_file, mlgate_row)"
    known = f"FROM {NUMBERED} WHERE {left.sql} IS NOT NULL"
    steps = f"(SELECT mlgate_file AS f, mlgate_row AS r, {left.sql} AS now, {before} AS before {known}) AS steps"
    out = f"FROM {steps} WHERE ({fine}) IS NOT TRUE"
    query = f"SELECT count(*) {out}"
    broken = f"(mlgate_file, mlgate_row) IN (SELECT (f, r) {out})"

    def judge(values: Values) -> Seen:
        return judged_rows(values, values.count(present), values.count(query), kwargs, left.name)

    return Plan(judge, (ROWS, present), later=lambda _: query, broken=lambda _: broken, shows=(left.name,))


def like(columns: Columns, kwargs: Kwargs, *, wanted: bool) -> Plan:
    """SQL's LIKE: Great Expectations has it for databases only."""
    left = find(columns, kwargs["column"])
    if left.sort != "text":
        raise Unfit(f"{left.name} holds {left.says}, and only text is like a pattern.")
    patterns = [kwargs["like_pattern"]] if "like_pattern" in kwargs else _list(kwargs, "like_pattern_list")
    escape, match_on = kwargs.get("escape"), kwargs.get("match_on") or "any"
    if match_on not in {"any", "all"} or not all(isinstance(pattern, str) for pattern in patterns):
        raise Leave
    if escape is not None and len(escape) != 1:
        raise Unfit(f"escape is {escape!r}, and must be a single character.")
    tail = f" ESCAPE {text(escape)}" if escape else ""
    found = [f"{left.sql} LIKE {text(pattern)}{tail}" for pattern in patterns]
    condition = (" OR " if match_on == "any" else " AND ").join(found)
    return row_check(left, condition if wanted else f"NOT ({condition})", kwargs)
