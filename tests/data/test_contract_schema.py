"""The published JSON Schema of contracts takes what the loader takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from test_contract_errors import COLUMN, KWARGS, REST
from test_contract_properties import ANYTHING, COLUMNS
from test_contract_short import KEYS, RELATIONS, SEVERITIES, TABLE

from mlgate import schemas
from mlgate.config.yamlfile import Bare
from mlgate.data.contract import load, reading
from mlgate.errors import MlgateError

SCHEMA = Draft7Validator(schemas.contract_schema())
PUBLISHED = Path(__file__).parents[2] / "docs" / "schema" / "contract.schema.json"


def values(text: str) -> Any:
    """As an editor reads it."""
    raw = reading.tree(text.encode(), "c.yaml")[0].raw()

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        if isinstance(value, bool | int | None):
            return value
        return str(value) if isinstance(value, str | Bare) else float(value)

    return plain(raw)


def wrong(text: str) -> list[str]:
    return [error.message for error in SCHEMA.iter_errors(values(text))]


def test_the_published_schema_is_current_and_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA.schema)
    assert PUBLISHED.read_text(encoding="utf-8") == schemas.text(schemas.contract_schema())


def test_every_key_is_described_and_every_section_closed() -> None:
    def check(schema: dict[str, Any], path: str) -> int:
        if "properties" in schema and "description" in next(iter(schema["properties"].values())):
            assert schema.get("additionalProperties") is False or "expectations" in path, path
        count = 0
        for key, inner in schema.get("properties", {}).items():
            if "anyOf" not in path:
                assert inner.get("description"), f"{path}.{key}"
            count += 1 + check(inner, f"{path}.{key}")
        if isinstance(schema.get("additionalProperties"), dict):
            count += check(schema["additionalProperties"], f"{path}.*")
        return count

    assert check(SCHEMA.schema, "") > 35


GOOD = [
    *(f"columns:\n  age: {{{row[0]}}}" for row in KEYS),
    *(f"table: {{{row[0]}}}\ncolumns: {{a: , b: }}" for row in TABLE),
    *(f"relations:\n  - {row[0]}" for row in RELATIONS),
    SEVERITIES.removeprefix("schema: 1\n"),
    "columns:\n  a:\nrelations:\nexpectations:\ntable:\n",
    "columns: {a: {type: , min: , in: , nulls: , drift: , private: true, mostly: }}",
    "table: {rows: 5}",
    "table: {unique: [[a]]}",
]


@pytest.mark.parametrize("said", GOOD)
def test_the_schema_accepts_what_the_loader_reads(said: str) -> None:
    text = f"schema: 1\n{said}\n"
    assert load(text.encode(), "c.yaml").expectations
    assert not wrong(text)


# What a schema cannot see: a value against another value, how YAML was written, what a pattern means.
BEYOND = re.compile(
    r"holds for nothing|makes this hold|cannot be asked|but the type is|applies to nothing|is `warn`, but"
    r"|needs `columns|which some readers|finite number|not a regular expression|allows every|no relation between"
    r"|a sum can only"
    r"|with a number|with itself|^is `a = b`|is no share|twice|nothing is that new|at most `100%`|so it would hold"
    r"|a number, a date or a time, but is `(2020-13-01|NaN)`|^kwargs|relations\[0\]"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((f"schema: 1\ncolumns:\n  age: {{{said}}}\n", message) for said, message in COLUMN),
        *((f"schema: 1\n{said}", message) for said, message in REST),
        *((f"schema: 1\nexpectations: [{{type: {t}, kwargs: {json.dumps(k)}}}]", m) for t, k, m in KWARGS),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(text: str, message: str) -> None:
    assert wrong(text) or BEYOND.search(message)


@pytest.mark.parametrize("said", ["{}", "schema: 1", "schema: 1\ncolumns: {}", "schema: 1\ntable: {columns: exact}"])
def test_the_schema_refuses_what_checks_nothing(said: str) -> None:
    with pytest.raises(MlgateError):
        load(said.encode(), "c.yaml")
    assert wrong(said)


@settings(deadline=None)
@given(COLUMNS, st.lists(ANYTHING, max_size=2))
def test_what_the_loader_takes_the_schema_takes(columns: Any, relations: Any) -> None:
    document = {"schema": 1, "columns": columns, "relations": relations}
    try:
        load(json.dumps(document).encode(), "c.yaml")
    except MlgateError:
        return
    assert not list(SCHEMA.iter_errors(yaml.safe_load(json.dumps(document))))
