"""What a server says of itself by OpenAPI, and from it a row that it has to answer, when nothing better is at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mlgate.image.protocol import Example
from mlgate.image.service import Service, UnreachableError
from mlgate.serving.settings import Input

PATH = "/openapi.json"
_TYPES: Mapping[str, Literal["integer", "number", "string", "boolean"]] = {
    "integer": "integer", "number": "number", "string": "string", "boolean": "boolean",
}  # fmt: skip
_DATES = {"date-time": "2026-01-01T00:00:00Z", "date": "2026-01-01", "time": "00:00:00Z"}


def document(service: Service) -> dict[str, Any] | None:
    """Its description; None where it has none. Raises UnreachableError."""
    answer = service.get(PATH)
    if answer.status != 200:
        return None
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("paths"), dict) else None


def example(service: Service) -> tuple[Example | None, Sequence[Input]]:
    """A row made of `components.schemas.Row`, as mlgate's server describes it, and the columns. None without one."""
    try:
        found = document(service)
    except UnreachableError:
        return None, ()
    schemas = _mapping(_mapping(found or {}, "components"), "schemas")
    row = _mapping(schemas, "Row")
    properties = _mapping(row, "properties")
    if not properties:
        if row.get("type") in {"array", *_TYPES}:  # a tensor
            return Example(payload={"inputs": [_value(row)]}), ()
        return None, ()
    required = row.get("required") if isinstance(row.get("required"), list) else []
    inputs = [_input(name, schema, required=name in (required or ())) for name, schema in properties.items()]
    return Example([{name: _value(schema) for name, schema in properties.items()}]), inputs


def _input(name: str, schema: Any, *, required: bool) -> Input:
    schema = schema if isinstance(schema, Mapping) else {}
    types = _types(schema)
    named = [one for one in types if one in _TYPES]
    values = schema.get("enum")
    return Input(
        name,
        _TYPES[named[0]] if len(named) == 1 and "format" not in schema and "contentEncoding" not in schema else "any",
        required=required,
        nullable="null" in types or not types,
        minimum=schema.get("minimum"),
        maximum=schema.get("maximum"),
        values=tuple(one for one in values if one is not None) if isinstance(values, list) else None,
    )


def _value(schema: Any) -> Any:
    """A value that fits: the first of an enumeration, the smallest allowed number at or above 0."""
    schema = schema if isinstance(schema, Mapping) else {}
    for word in ("example", "default", "const"):
        if word in schema:
            return schema[word]
    values = [one for one in schema.get("enum") or () if one is not None]
    if values:
        return values[0]
    types = _types(schema)
    if "integer" in types or "number" in types:
        low, high = schema.get("minimum"), schema.get("maximum")
        number = max(0, low) if isinstance(low, int | float) else 0
        return min(number, high) if isinstance(high, int | float) else number
    if "boolean" in types:
        return False
    if "array" in types:
        return [_value(schema.get("items")) for _ in range(max(1, int(schema.get("minItems") or 1)))]
    if "string" in types:
        return _DATES.get(str(schema.get("format")), "") or ("AA==" if schema.get("contentEncoding") else "a")
    return None if "null" in types else 0


def _types(schema: Mapping[str, Any]) -> list[str]:
    found = schema.get("type")
    if isinstance(found, str):
        return [found]
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, Mapping) else {}
