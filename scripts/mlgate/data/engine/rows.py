# ruff: noqa: S608 -- every name and constant is escaped by `values`
"""Expectations about single rows: each compiles to one count of the rows that break it.

Missing values (NULL, and NaN in columns of doubles, which the scan turns to NULL) are left out, except by the checks
for them. `mostly` is a share of the rows that are left.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from mlgate.data.engine import regex
from mlgate.data.engine.plan import ROWS, VIEW, Plan, Seen, Values, mostly, share_kept
from mlgate.data.engine.values import (
    Field,
    Leave,
    Named,
    Unfit,
    among,
    between,
    exact,
    find,
    is_missing,
    is_number,
    members,
    text,
)

Kwargs = Mapping[str, Any]
Columns = Sequence[Named]


def row_check(left: Field, condition: str, kwargs: Kwargs, *, strange: str = "", late: bool = False) -> Plan:
    """Rows whose value is there and for which `condition` is not true break it.

    `strange` is SQL for values of which only Great Expectations can say whether they do; with `late`, they matter only
    among the rows that seem to break it.
    """
    broken = f"{left.sql} IS NOT NULL AND ({condition}) IS NOT TRUE"
    unexpected, present = f"count(*) FILTER (WHERE {broken})", f"count({left.sql})"
    counted = f"count(*) FILTER (WHERE {strange})" if strange and not late else ""
    query = f"SELECT count(*) FROM {VIEW} WHERE {broken} AND ({strange})" if strange and late else ""

    def later(values: Values) -> str:
        return query if values.count(unexpected) else ""

    def judge(values: Values) -> Seen:
        if (counted and values.count(counted)) or (later(values) and values.count(query)):
            raise Leave
        return judged_rows(values, values.count(present), values.count(unexpected), kwargs, left.name)

    needs = (ROWS, present, unexpected, *([counted] if counted else []))
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
    constants = members(left, listed(kwargs, "value_set"))
    return row_check(left, among(left, constants), kwargs)


def not_in_set(columns: Columns, kwargs: Kwargs) -> Plan:
    left = find(columns, kwargs["column"])
    constants = members(left, listed(kwargs, "value_set"))
    return row_check(left, f"NOT ({among(left, constants)})", kwargs)


def listed(kwargs: Kwargs, key: str) -> list[Any]:
    values = kwargs.get(key)
    if not isinstance(values, list | tuple | set | frozenset):
        raise Leave
    if not values:
        raise Unfit(f"{key} is empty, so nothing would be checked.")
    return list(values)


def a_number(kwargs: Kwargs, key: str) -> int | float | Decimal:
    value = kwargs[key]
    if not is_number(value) or is_missing(value):
        raise Unfit(f"{key} is {value!r}, which is no number.")
    return value


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
    return _regex(columns, kwargs, listed(kwargs, "regex_list"), kwargs.get("match_on") or "any", wanted=True)


def matches_none(columns: Columns, kwargs: Kwargs) -> Plan:
    return _regex(columns, kwargs, listed(kwargs, "regex_list"), "any", wanted=False)


def _regex(columns: Columns, kwargs: Kwargs, patterns: list[Any], match_on: str, *, wanted: bool) -> Plan:
    left = find(columns, kwargs["column"])
    if match_on not in {"any", "all"} or not all(isinstance(pattern, str) for pattern in patterns):
        raise Leave
    found, strange, narrower = [], [], True
    for pattern in patterns:
        try:
            translated = regex.translate(pattern)
        except re.error as error:
            raise Unfit(f"{pattern!r} is no regular expression: {error}.") from error
        if translated is None:
            raise Leave
        strange.append(translated.strange(left.sql))
        narrower &= translated.narrower
        found.append(f"regexp_matches({_text(left)}, {text(translated.pattern)})")
    condition = (" OR " if match_on == "any" else " AND ").join(found)
    doubt = " OR ".join(dict.fromkeys(filter(None, strange))) if left.sort == "text" else ""
    condition = condition if wanted else f"NOT ({condition})"
    return row_check(left, condition, kwargs, strange=doubt, late=wanted and narrower)


def like(columns: Columns, kwargs: Kwargs, *, wanted: bool) -> Plan:
    """SQL's LIKE: Great Expectations has it for databases only."""
    left = find(columns, kwargs["column"])
    if left.sort != "text":
        raise Unfit(f"{left.name} holds {left.says}, and only text is like a pattern.")
    patterns = [kwargs["like_pattern"]] if "like_pattern" in kwargs else listed(kwargs, "like_pattern_list")
    escape, match_on = kwargs.get("escape"), kwargs.get("match_on") or "any"
    if match_on not in {"any", "all"} or not all(isinstance(pattern, str) for pattern in patterns):
        raise Leave
    if escape is not None and len(escape) != 1:
        raise Unfit(f"escape is {escape!r}, and must be a single character.")
    tail = f" ESCAPE {text(escape)}" if escape else ""
    found = [f"{left.sql} LIKE {text(pattern)}{tail}" for pattern in patterns]
    condition = (" OR " if match_on == "any" else " AND ").join(found)
    return row_check(left, condition if wanted else f"NOT ({condition})", kwargs)
