"""Regular expressions, formats of dates and conditions on rows: text that has a language of its own."""

from __future__ import annotations

import re
import warnings
from datetime import UTC, datetime
from typing import Any

from mlgate.config.values import problem
from mlgate.config.yamlfile import visible
from mlgate.data.contract.kinds import listed, mapping, text

# What takes a condition out of the data and into Python, where it does not stand in a quoted value.
_ESCAPES = re.compile(r"@|\.\s*__")
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""", re.DOTALL)


def regex(value: Any) -> str:
    found = text(value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(found)
    except (re.error, OverflowError, RecursionError, MemoryError) as error:
        raise problem(f"is `{visible(found)}`, which is not a regular expression: {error}.") from None
    return found


def regexes(value: Any) -> list[str]:
    return [regex(one) for one in listed(value)]


def strftime(value: Any) -> str:
    found = text(value)
    example = datetime(2026, 1, 31, 12, 30, 15, tzinfo=UTC)
    try:
        datetime.strptime(example.strftime(found), found)
    except (ValueError, re.error, UnicodeError) as error:
        said = visible(str(error), 120)
        raise problem(f"is `{visible(found)}`, which is not a format of dates: {said}.") from None
    return found


def condition(value: Any) -> str | dict[str, Any]:
    """Which rows an expectation is about, as Great Expectations writes it."""
    found = text(value) if isinstance(value, str) else mapping(value)
    written = found if isinstance(found, str) else str(found.get("pass_through_filter", ""))
    if _ESCAPES.search(_QUOTED.sub("", written)):
        fix = "Compare columns with values only."
        raise problem("holds `@` or `.__`, which would run Python rather than select rows.", fix)
    return found
