"""What a schema of JSON says of single values: their types, which of them there are, and their bounds. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
LOWER = ("minimum", "exclusiveMinimum", "minItems", "minLength", "minProperties")
UPPER = ("maximum", "exclusiveMaximum", "maxItems", "maxLength", "maxProperties")


def types(schema: Schema) -> frozenset[str]:
    """Which types of JSON it takes: all of them where it does not say."""
    said = schema.get("type")
    found = (
        {said}
        if isinstance(said, str)
        else {one for one in said if isinstance(one, str)}
        if isinstance(said, list)
        else {*TYPES}
    )
    if schema.get("nullable") is True:
        found |= {"null"}
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list):
        found = {one for one in map(_type, values) if one in found or (one == "integer" and "number" in found)}
    return frozenset(found)


Said = tuple[str, str, str]  # code, what was, what is


def values(old: Schema, new: Schema) -> Iterator[Said]:
    allowed = [new["const"]] if "const" in new else new.get("enum")
    if not isinstance(allowed, list):
        return
    before = [old["const"]] if "const" in old else old.get("enum")
    if not isinstance(before, list):
        yield "values", "", str(len(allowed))
        return
    if lost := [one for one in before if not any(_equal(one, other) for other in allowed)]:
        yield "value", repr(lost[0]) + (f" and {len(lost) - 1} more" if len(lost) > 1 else ""), ""


def bounds(old: Schema, new: Schema) -> Iterator[Said]:
    before = [old["const"]] if "const" in old else old.get("enum")
    for word in (*LOWER, *UPPER):
        limit = _number(new.get(word))
        if limit is None or _silent(word, limit, old):
            continue
        listed = isinstance(before, list) and all(_within(word, limit, one) for one in before)
        if not listed and not _bounded(word, limit, old):
            placed = word.endswith("Items") and "prefixItems" in old
            yield "places" if placed else "bound", "", _bound(word, limit)
    if isinstance(new.get("format"), str) and "string" in types(old) and new["format"] != old.get("format"):
        yield "format", "", new["format"]


def _bounded(word: str, limit: float, old: Schema) -> bool:
    """Whether the old schema has this bound, or a stricter one."""
    sign = 1 if word in LOWER else -1
    same = _number(old.get(word))
    if same is not None and sign * same >= sign * limit:
        return True
    other = word.replace("exclusiveM", "m") if word.startswith("exclusive") else f"exclusiveM{word[1:]}"
    beside = _number(old.get(other))
    if beside is None:
        return False
    return sign * beside > sign * limit if word.startswith("exclusive") else sign * beside >= sign * limit


def _within(word: str, limit: float, value: Any) -> bool:
    """Whether one of the values that there are keeps a bound."""
    sizes = {"Items": list, "Length": str, "Properties": dict}
    kind = next((kind for end, kind in sizes.items() if word.endswith(end)), None)
    if kind is not None:
        number: float | None = len(value) if isinstance(value, kind) else None
    else:
        number = _number(value)
    if number is None:
        return True  # the bound says nothing of it
    if word.startswith("exclusive"):
        return number > limit if word in LOWER else number < limit
    return number >= limit if word in LOWER else number <= limit


def _silent(word: str, limit: float, old: Schema) -> bool:
    """A bound that says nothing of what the old schema takes: of a list, where there are none, or of none at all."""
    of = {"Items": "array", "Length": "string", "Properties": "object"}
    kind = next((kind for end, kind in of.items() if word.endswith(end)), None)
    if kind is None:
        return not types(old) & {"integer", "number"}
    return kind not in types(old) or (word.startswith("min") and limit <= 0)


def _bound(word: str, limit: float) -> str:
    units = {"Items": " items", "Length": " characters", "Properties": " fields"}
    unit = next((unit for end, unit in units.items() if word.endswith(end)), "")
    if word.startswith("exclusive"):
        return f"{'above' if word in LOWER else 'below'} {limit:g}"
    return f"at {'least' if word in LOWER else 'most'} {limit:g}{unit}"


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    kinds = {float: "number", str: "string", list: "array", dict: "object"}
    return next((name for kind, name in kinds.items() if isinstance(value, kind)), "object")


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)
