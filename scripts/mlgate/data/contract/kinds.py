"""The kinds of value a contract holds. Each takes what the reader gives and returns plain Python, or says why not.

A value that could never fail, or never hold, is refused here: it would look like a check and be none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, tzinfo
from decimal import Decimal
from typing import Any

from mlgate.config.messages import either
from mlgate.config.values import finite, problem, shown
from mlgate.config.vocabulary import closest
from mlgate.config.yamlfile import Bare, visible

MAX_TEXT = 5000

_OTHER_BOOLEANS = {"yes", "no", "on", "off"}
_DATE = r"\d{4}-\d{2}-\d{2}"
_TIME = r"[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?"
_MOMENT = re.compile(rf"{_DATE}({_TIME})?\Z", re.ASCII)
_NOT_NUMBERS = {"nan", "infinity", "-infinity", "+infinity", "inf", "-inf"}
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?%\Z", re.ASCII)

Number = int | float
Bound = int | float | str


# --- numbers


def number(value: Any) -> Number:
    """A finite number."""
    if isinstance(value, Bare) and value.lower() in _NOT_NUMBERS:  # as JSON files of Python write them
        value = float(value)
    exact = finite(value)
    return int(value) if isinstance(value, int) else float(exact)


def amount(value: Any) -> Number:
    """A number that is not negative."""
    found = number(value)
    if found < 0:
        raise problem(f"is `{visible(str(value))}`, but must not be negative.")
    return found


def positive(value: Any) -> Number:
    """A number above 0."""
    found = number(value)
    if found <= 0:
        raise problem(f"must be above 0, but is {shown(value)}.")
    return found


def share(value: Any) -> Number:
    """From 0 to 1."""
    found = _of_one(value)
    if not 0 <= found <= 1:
        raise problem(f"must be from 0 to 1, but is {shown(value)}.", _as_percent(value))
    return found


def fraction(value: Any) -> Number:
    """Between 0 and 1, both left out."""
    found = _of_one(value)
    if not 0 < found < 1:
        raise problem(f"must be between 0 and 1, but is {shown(value)}.", _as_percent(value))
    return found


def mostly(value: Any) -> Number:
    """The share of rows that must hold: above 0, up to 1."""
    found = share(value)
    if found == 0:
        raise problem("is 0, so it would hold for any data.", "Write the share of rows that must hold, such as 0.99.")
    return found


def percentage(value: Any) -> Decimal | None:
    """`5%` as 0.05; None for what is no percentage."""
    found = _PERCENT.match(value.strip()) if isinstance(value, str) else None
    return finite(Decimal(found[1])) / 100 if found else None


def count(value: Any) -> int:
    """A whole number, not negative."""
    found = amount(value)
    if not isinstance(found, int):
        if not found.is_integer():
            raise problem(f"must be a whole number, but is {shown(value)}.")
        found = int(found)
    return found


def _of_one(value: Any) -> Number:
    if isinstance(value, str) and (percent := percentage(value)) is not None:
        raise problem(f"must be a number from 0 to 1, but is {shown(value)}.", f"Write `{float(percent):g}`.")
    return number(value)


def _as_percent(value: Any) -> str:
    exact = finite(value)
    return f"Write `{float(exact / 100):g}` for {visible(str(value))} %." if 1 < exact <= 100 else ""


# --- text and sets


def text(value: Any) -> str:
    """Any text that is not empty."""
    if not isinstance(value, str):
        written = visible(str(value).lower() if isinstance(value, bool) else str(value))
        quotes = isinstance(value, bool | int | float | Decimal)
        raise problem(f"must be text, but is {shown(value)}.", f'Put it in quotes: `"{written}"`.' if quotes else "")
    _no_other_boolean(value)
    if not value:
        raise problem("must not be empty.")
    if len(value) > MAX_TEXT:
        raise problem(f"is longer than {MAX_TEXT:,} characters.")
    return str(value)


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise problem(f"must be `true` or `false`, but is {shown(value)}.")


def character(value: Any) -> str:
    found = text(value)
    if len(found) != 1:
        raise problem(f"must be one character, but is {shown(value)}.")
    return found


def names(value: Any) -> list[str]:
    """Columns, each once."""
    found = [text(one) for one in listed(value)]
    if twice := next((name for name in found if found.count(name) > 1), None):
        raise problem(f"names `{visible(twice)}` twice.", "Name each column once.")
    return found


def several(value: Any) -> list[str]:
    """Two columns or more."""
    found = names(value)
    if len(found) < 2:
        raise problem("names one column; at least two are needed.")
    return found


def texts(value: Any) -> list[str]:
    return [text(one) for one in listed(value)]


def scalar(value: Any) -> bool | Number | str:
    """One value as a column may hold it."""
    if value is None:
        raise problem("holds a missing value, which is never compared.", "Remove it: `nulls` limits missing values.")
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and not (isinstance(value, Bare) and value.lower() in _NOT_NUMBERS):
        _no_other_boolean(value)
        return str(value)
    if isinstance(value, list | dict):
        raise problem(f"holds {shown(value)}, where single values are expected.")
    return number(value)


def values(value: Any) -> list[bool | Number | str]:
    """A set of values, not empty."""
    return [scalar(one) for one in listed(value)]


def pairs(value: Any) -> list[list[bool | Number | str]]:
    found = [values(one) for one in listed(value)]
    if any(len(pair) != 2 for pair in found):
        raise problem("must be a list of pairs.", "Write `[[a, b], [c, d]]`.")
    return found


def mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise problem(f"must be a mapping of keys, but is {shown(value) if value != {} else 'empty'}.")
    return {key: plain(item) for key, item in value.items()}


def plain(value: Any) -> Any:
    """Any value, numbers finite."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and not (isinstance(value, Bare) and value.lower() in _NOT_NUMBERS):
        return str(value)
    return number(value)


def listed(value: Any) -> list[Any]:
    """A list that is not empty."""
    if not isinstance(value, list):
        fix = f"Write it as a list: `[{visible(str(value))}]`." if isinstance(value, str | int | Decimal) else ""
        raise problem(f"must be a list, but is {shown(value)}.", fix)
    if not value:
        raise problem("is empty; at least one value is needed.")
    return value


def _no_other_boolean(value: str) -> None:
    if isinstance(value, Bare) and value.lower() in _OTHER_BOOLEANS:
        fix = f'Put it in quotes: `"{value}"`, or write `true` or `false`.'
        raise problem(f"is `{value}`, which some readers of YAML take for a boolean.", fix)


def one_of(words: str) -> Callable[[Any], str]:
    """A check for one of `a|b|c`."""
    allowed = words.split("|")

    def check(value: Any) -> str:
        if isinstance(value, str) and value in allowed:
            return str(value)
        near = closest(str(value), allowed)
        said = either(allowed)
        raise problem(f"must be {said}, but is {shown(value)}.", f"Did you mean `{near}`?" if near else "")

    return check


# --- limits


def moment(value: str) -> date | datetime:
    """A date or a time. Raises ValueError."""
    if not _MOMENT.match(value):
        raise ValueError
    return date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)


def bound(value: Any) -> Bound:
    """A number, a date (`2026-01-31`) or a time (`2026-01-31T12:00:00Z`)."""
    if isinstance(value, str) and not (isinstance(value, Bare) and value.lower() in _NOT_NUMBERS):
        try:
            moment(value)
        except ValueError:
            if re.fullmatch(r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?", value):
                fix = f"Remove the quotes: `{value}`." if not isinstance(value, Bare) else ""
            else:
                fix = "Write a date as `2026-01-31`, a time as `2026-01-31T12:00:00Z`."
            raise problem(f"must be a number, a date or a time, but is {shown(value)}.", fix) from None
        return str(value)
    if value is None or isinstance(value, bool | list | dict):
        raise problem(f"must be a number, a date or a time, but is {shown(value)}.")
    return number(value)


def upside_down(low: Bound | None, high: Bound | None, *, strict: bool = False) -> str:
    """Why nothing can lie between these limits, or nothing."""
    if low is None or high is None:
        return ""
    if isinstance(low, str) != isinstance(high, str):
        return "one limit is a number and the other a date"
    try:
        bottom, top = _comparable(low, high)
        reversed_, same = bottom > top, bottom == top
    except TypeError:
        return "one limit has a time zone and the other has none"
    if reversed_:
        return f"the lower limit {low} is above the upper limit {high}"
    return f"no value is above {low} and below it" if strict and same else ""


def _comparable(low: Bound, high: Bound) -> tuple[Any, Any]:
    if not isinstance(low, str) or not isinstance(high, str):
        return low, high
    one, other = moment(low), moment(high)
    zone = next((found.tzinfo for found in (one, other) if isinstance(found, datetime)), None)
    return _midnight(one, zone), _midnight(other, zone)


def _midnight(found: date | datetime, zone: tzinfo | None) -> datetime:
    return found if isinstance(found, datetime) else datetime(found.year, found.month, found.day, tzinfo=zone)


def quantiles(value: Any) -> dict[str, list[Any]]:
    """`{quantiles: [0.5], value_ranges: [[low, high]]}` of Great Expectations."""
    if not isinstance(value, dict) or set(value) != {"quantiles", "value_ranges"}:
        raise problem("must be `{quantiles: [0.5], value_ranges: [[low, high]]}`.")
    at = [share(one) for one in listed(value["quantiles"])]
    ranges = [limits(one) for one in listed(value["value_ranges"])]
    if len(at) != len(ranges):
        raise problem(f"has {len(at)} quantiles and {len(ranges)} ranges for them.")
    return {"quantiles": at, "value_ranges": ranges}


def limits(value: Any, kind: Callable[[Any], Bound] = bound) -> list[Bound | None]:
    """`[low, high]`, null for an open side."""
    if not isinstance(value, list) or len(value) != 2:
        raise problem(f"must be `[low, high]`, but is {shown(value)}.", "Leave a side open with `null`.")
    low, high = (None if one is None else kind(one) for one in value)
    if low is None and high is None:
        raise problem("is open on both sides, so it would check nothing.")
    if wrong := upside_down(low, high):
        raise problem(f"holds for nothing: {wrong}.")
    return [low, high]
