"""The kinds of value as the shorter spelling writes them: `10%`, `2 days`, `[low, high]`, `start <= end`."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from mlgate.config.values import finite, problem, seconds, shown
from mlgate.config.yamlfile import visible
from mlgate.data.contract import kinds, patterns

_NAME = r'(?:"[^"]+"|`[^`]+`|[^\s"`+=!<>]+)'
RELATION = re.compile(rf"\s*({_NAME}(?:\s*\+\s*{_NAME})*)\s*(<=|>=|==|!=|=|<|>)\s*({_NAME})\s*\Z")
NAME = re.compile(_NAME)


def _nulls(value: Any) -> int | Decimal:
    """A count, or a share of the rows as a Decimal."""
    percent = kinds.percentage(value)
    if value is False:
        raise problem("must be a count or a percentage, but is `false`.", "Write `nulls: 0` where no row may lack.")
    if percent is None and isinstance(value, str | bool):
        fix = "Write how many rows may lack a value, or which share of them: `0`, `5` or `10%`."
        raise problem(f"must be a count or a percentage, but is {shown(value)}.", fix)
    if percent is None and isinstance(value, int) and not isinstance(value, bool):
        return kinds.count(value)
    part = finite(value) if percent is None else percent
    if not 0 <= part < 1:
        if part == 1:
            raise problem(f"is {shown(value)}, so it would hold for any data.", "Leave it out where any row may lack.")
        raise problem(f"must be a count, or a share from 0% to 100%, but is {shown(value)}.")
    return part


def _mostly(value: Any) -> float:
    percent = kinds.percentage(value)
    if percent is not None and percent > 1:
        raise problem(f"is {shown(value)}; at most `100%` of the rows can hold.")
    return float(kinds.mostly(value if percent is None else percent))


def _duration(value: Any) -> float | int:
    """In seconds."""
    found = seconds(value)
    return int(found) if found == int(found) else float(found)


def _true(what: str) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        if value is True:
            return True
        raise problem(f"can only be `true`, but is {shown(value)}.", what)

    return check


def _limits(kind: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: kinds.limits(value, kind)


def _counts(value: Any) -> list[int | None]:
    """`[low, high]`, or one number for exactly that many."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return [kinds.count(value)] * 2
    found = kinds.limits(value, kinds.count)
    if found == [0, None]:
        raise problem("allows every count there can be, so it would check nothing.")
    return [None if one is None else int(one) for one in found]


def _deviations(value: Any) -> list[Any]:
    found = kinds.limits(value, kinds.amount)
    if found == [0, None]:
        raise problem("allows everything there can be, so it would check nothing.")
    return found


def _quantiles(value: Any) -> dict[float, list[Any]]:
    """Share of the rows -> `[low, high]`."""
    if not isinstance(value, dict) or not value:
        raise problem(f"must be a mapping, but is {shown(value)}.", "Write it like `{0.5: [10, 20]}`.")
    found: dict[float, list[Any]] = {}
    for key, item in value.items():
        percent = kinds.percentage(key)
        try:
            at = float(percent if percent is not None else Decimal(key))
        except ArithmeticError:
            at = -1
        if not 0 <= at <= 1:
            raise problem(f"has `{visible(key)}`, which is no share of the rows.", "Write `0.5` for the median.")
        if at in found:
            raise problem(f"has the quantile `{visible(key)}` twice.")
        found[at] = kinds.limits(item)
    return dict(sorted(found.items()))


def _keys(value: Any) -> list[list[str]]:
    """Columns that are unique together, several times."""
    if isinstance(value, list) and value and not any(isinstance(one, list) for one in value):
        fix = "Write a list for each key: `[[person, year]]`."
        raise problem("must be a list of lists of columns.", fix)
    found = [kinds.names(one) for one in (value if isinstance(value, list) else [value])]
    if not found:
        raise problem("is empty; at least one is needed.", "Write a list for each key: `[[person, year]]`.")
    return found


def relation(value: Any) -> Any:
    return {"is": _said(value)} if isinstance(value, str) else value


def _said(value: Any) -> str:
    found = kinds.text(value)
    parts = RELATION.match(found)
    if parts is None:
        fix = 'Write `start <= end`, `net + tax == 100`, or `"start date" <= end` for a name with spaces.'
        raise problem(f"is `{visible(found)}`, which is no relation between columns.", fix)
    if parts[2] == "=":
        raise problem(f"is `{visible(found)}`.", "Write `==` for equal.")
    number = _is_number(parts[3])
    if "+" in parts[1] and not (parts[2] == "==" and number):
        fix = "Compare a sum by `==` with a number, or add the sum to the data as a column."
        raise problem(f"is `{visible(found)}`; a sum can only be compared by `==` with a number.", fix)
    if "+" not in parts[1] and (number or _is_number(parts[1])):
        fix = "Write it below the column: `age: {min: 18}`."
        raise problem(f"is `{visible(found)}`, which compares a column with a number.", fix)
    names = [unquoted(name) for name in NAME.findall(parts[1])] + ([] if number else [unquoted(parts[3])])
    if len(set(names)) != len(names):
        raise problem(f"is `{visible(found)}`, which compares a column with itself.")
    return found


def _is_number(word: str) -> bool:
    return bool(re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", word))


def unquoted(name: str) -> str:
    """A column's name as a relation spells it."""
    return name[1:-1] if name[:1] in {'"', "`"} else name


# --- their schemas

_NUMBER = {"type": "number"}
_MOMENT = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}([T ].+)?$"}
_BOUND = {"anyOf": [_NUMBER, _MOMENT]}
_SCALARS = {"type": "array", "minItems": 1, "items": {"type": ["string", "number", "boolean"]}}
_SHARE_TEXT = {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)? ?%\s*$"}
_ONE_OPEN = {"not": {"items": {"type": "null"}}}


def _pair(item: dict[str, Any]) -> dict[str, Any]:
    items = {"anyOf": [*item.get("anyOf", [item]), {"type": "null"}]}
    return {"type": "array", "minItems": 2, "maxItems": 2, "items": items, **_ONE_OPEN}


_COUNT = {"type": "integer", "minimum": 0}
_AMOUNT = {"type": "number", "minimum": 0}
_UNIT = r"([sS][eE][cC][oO][nN][dD][sS]?|[mM][iI][nN][uU][tT][eE][sS]?|[hH][oO][uU][rR][sS]?|[dD][aA][yY][sS]?|[wW][eE][eE][kK][sS]?|[sSmMhHdDwW])"  # noqa: E501
_TRUE = {"type": "boolean", "const": True}

Bound = Annotated[Any, BeforeValidator(kinds.bound), WithJsonSchema(_BOUND)]
Values = Annotated[list[Any], BeforeValidator(kinds.values), WithJsonSchema(_SCALARS)]
Pattern = Annotated[str, BeforeValidator(patterns.regex), WithJsonSchema({"type": "string", "minLength": 1})]
Limits = Annotated[list[Any], BeforeValidator(_limits(kinds.bound)), WithJsonSchema(_pair(_BOUND))]
Numbers = Annotated[list[Any], BeforeValidator(_limits(kinds.number)), WithJsonSchema(_pair(_NUMBER))]
Deviations = Annotated[list[Any], BeforeValidator(_deviations), WithJsonSchema(_pair(_AMOUNT))]
Counts = Annotated[list[Any], BeforeValidator(_counts), WithJsonSchema({"anyOf": [_COUNT, _pair(_COUNT)]})]
Nulls = Annotated[
    Any,
    BeforeValidator(_nulls),
    WithJsonSchema({"anyOf": [_COUNT, {"type": "number", "minimum": 0, "exclusiveMaximum": 1}, _SHARE_TEXT]}),
]
Mostly = Annotated[
    float,
    BeforeValidator(_mostly),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1}, _SHARE_TEXT]}),
]
Duration = Annotated[
    Any,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": rf"^\s*[0-9]+(\.[0-9]+)? ?{_UNIT}\s*$"}),
]
_QUANTILES = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"pattern": r"^[0-9.]+ ?%?$"},
    "additionalProperties": _pair(_BOUND),
}
Quantiles = Annotated[dict[Any, Any], BeforeValidator(_quantiles), WithJsonSchema(_QUANTILES)]
_LISTS = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string", "minLength": 1}},
}
Keys = Annotated[list[list[str]], BeforeValidator(_keys), WithJsonSchema(_LISTS)]
Positive = Annotated[float, BeforeValidator(kinds.positive), WithJsonSchema({"type": "number", "exclusiveMinimum": 0})]
Fraction = Annotated[
    float,
    BeforeValidator(kinds.fraction),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
]
Said = Annotated[str, BeforeValidator(_said), WithJsonSchema({"type": "string", "pattern": "[<>=!]"})]
Required = Annotated[
    bool,
    BeforeValidator(_true("A column that may be missing cannot be checked: leave it out of the contract.")),
    WithJsonSchema(_TRUE),
]
Flag = Annotated[bool, BeforeValidator(_true("Remove the key.")), WithJsonSchema(_TRUE)]
