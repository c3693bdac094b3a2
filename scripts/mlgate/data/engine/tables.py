"""Expectations about a table as such: its rows and its columns. Only the number of rows needs the data."""

from __future__ import annotations

from collections.abc import Sequence

from mlgate.data.engine.aggregates import Columns, Kwargs, held, limited
from mlgate.data.engine.plan import ROWS, Plan, Seen, Values
from mlgate.data.engine.rows import listed
from mlgate.data.engine.values import Unfit, is_number, nearest


def row_count(_: Columns, kwargs: Kwargs) -> Plan:
    if "value" in kwargs:
        if not is_number(kwargs["value"]):
            raise Unfit(f"A number of rows cannot be compared with {kwargs['value']!r}.")
        kwargs = {"min_value": kwargs["value"], "max_value": kwargs["value"]}
    limited(kwargs)

    def judge(values: Values) -> Seen:
        holds = held(values.rows, kwargs)
        if holds and not values.rows:
            raise Unfit("There are no rows, so nothing could be measured.")
        return Seen(holds, observed=values.rows)

    return Plan(judge, (ROWS,), rows=False)


def column_count(columns: Columns, kwargs: Kwargs) -> Plan:
    if "value" in kwargs:
        kwargs = {"min_value": kwargs["value"], "max_value": kwargs["value"]}
    limited(kwargs)
    return _known(Seen(held(len(columns), kwargs), observed=len(columns)))


def column_exists(columns: Columns, kwargs: Kwargs) -> Plan:
    """With a column_index, counted from 0 (or from the end, if negative), it must stand there."""
    names, wanted, place = [column.name for column in columns], kwargs["column"], kwargs.get("column_index")
    if wanted not in names:
        near = nearest(columns, wanted)
        return _known(Seen(False, observed=f"there is {near!r}" if near else "there is none"))
    if place is None:
        return _known(Seen(True))
    if not isinstance(place, int) or isinstance(place, bool):
        raise Unfit(f"column_index is {place!r}, which is no whole number.")
    return _known(Seen(-len(names) <= place < len(names) and names[place] == wanted, observed=names.index(wanted)))


def columns_match_set(columns: Columns, kwargs: Kwargs) -> Plan:
    names, wanted = {column.name for column in columns}, set(listed(kwargs, "column_set"))
    lacking, extra = sorted(wanted - names), sorted(names - wanted)
    exactly = kwargs.get("exact_match") is not False
    said = [_names("missing", lacking, columns)] if lacking else []
    if extra and exactly:
        said.append(_names("extra", extra, ()))
    return _known(Seen(not said, observed="; ".join(said) or len(names)))


def _names(word: str, names: Sequence[str], columns: Columns) -> str:
    shown = []
    for name in names[:10]:
        near = nearest(columns, name) if columns else ""
        shown.append(f"{name} (there is {near!r})" if near else name)
    return f"{word}: {', '.join(shown)}{f' and {len(names) - 10} more' if len(names) > 10 else ''}"


def columns_match_list(columns: Columns, kwargs: Kwargs) -> Plan:
    names, wanted = [column.name for column in columns], listed(kwargs, "column_list")
    first = next((i for i, (one, two) in enumerate(zip(names, wanted, strict=False)) if one != two), None)
    if first is not None:
        return _known(Seen(False, observed=f"column {first + 1} is {names[first]!r}, not {wanted[first]!r}"))
    if len(names) != len(wanted):
        return _known(Seen(False, observed=f"{len(names)} columns, not {len(wanted)}"))
    return _known(Seen(True, observed=len(names)))


def _known(seen: Seen) -> Plan:
    """The columns alone decide."""
    return Plan(lambda _: seen, (), rows=False)
