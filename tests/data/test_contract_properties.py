"""What holds for every contract, and for bytes that are none."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_contract_suites import NATIVES, SAMPLES

from mlgate.data.contract import load
from mlgate.data.contract.known import KNOWN
from mlgate.data.contract.short import Column, Drift, Relation, Short, Table
from mlgate.data.nouns import Contract
from mlgate.errors import MlgateError


def read(data: bytes) -> Contract | None:
    """The contract, or None where it was refused: never another exception, never one that checks nothing."""
    try:
        found = load(data, "contract.yaml")
    except MlgateError as error:
        said = str(error)
        assert said.startswith("contract.yaml")
        assert len(said.splitlines()) <= 11
        return None
    assert found.expectations
    ids = [each.id for each in found.expectations]
    assert len(set(ids)) == len(ids)
    for each in found.expectations:
        assert each.title
        assert each.expected
        assert each.key
        assert each.line
        assert each.type in KNOWN
        assert each.severity in {"error", "warn"}
        json.dumps(dict(each.kwargs), allow_nan=False)
    return found


WORDS = sorted(
    {
        field.alias or name
        for model in (Short, Table, Column, Drift, Relation)
        for name, field in model.model_fields.items()
    }
    | {kwarg for known in KNOWN.values() for kwarg in known.kwargs}
    | {"name", "kwargs", "type", "expectation_type", "meta", "mlgate", "$PARAMETER", "a", "quantiles", "value_ranges"}
)
VALUES = [
    *("integer", "text", "error", "warn", "exact", "critical", "2 days", "5%", "a < b", "a + b == 3", "[", "^a$", "%Y"),
    *("2020-01-31", "2020-01-31T00:00:00Z", "iqr", "any", "NaN", "yes", ""),
    *KNOWN,
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 200)
    | st.integers()
    | st.floats()
    | st.sampled_from(VALUES)
    | st.text(max_size=8)
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=25,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(WORDS), ANYTHING, max_size=6))
def test_any_json_is_a_contract_or_refused(value: Any) -> None:
    read(json.dumps(value).encode())


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(WORDS), ANYTHING, max_size=6))
def test_any_yaml_is_a_contract_or_refused(value: Any) -> None:
    read(yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass"))


COLUMNS = st.dictionaries(
    st.text(min_size=1, max_size=4),
    st.dictionaries(
        st.sampled_from([field.alias or name for name, field in Column.model_fields.items()]), ANYTHING, max_size=3
    ),
    min_size=1,
    max_size=3,
)


@settings(deadline=None)
@given(
    COLUMNS,
    st.dictionaries(st.sampled_from(list(Table.model_fields)), ANYTHING, max_size=2),
    st.lists(ANYTHING, max_size=2),
)
def test_any_keys_of_columns_are_a_contract_or_refused(columns: Any, table: Any, relations: Any) -> None:
    read(json.dumps({"schema": 1, "columns": columns, "table": table, "relations": relations}).encode())


@settings(deadline=None)
@given(st.sampled_from(sorted(KNOWN)), st.data())
def test_any_kwargs_are_a_contract_or_refused(type_: str, data: st.DataObject) -> None:
    kwargs = dict((SAMPLES | NATIVES)[type_])
    kwargs |= data.draw(st.dictionaries(st.sampled_from(sorted(KNOWN[type_].kwargs)), ANYTHING, max_size=2))
    read(json.dumps({"name": "s", "expectations": [{"type": type_, "kwargs": kwargs}]}).encode())


@settings(deadline=None)
@given(st.binary(max_size=300))
@example(b"{")
@example(b"\x00")
@example(b"{" * 5000)
@example(b"[" * 5000)
@example(b"- " * 5000)
@example(b'{"a": "\\ud800"}')
@example(b'{"name": "\\ud83d\\ude00\\udc00", "expectations": []}')
@example(b"1e999999999")
@example(b"schema: 1\ncolumns: {a: {min: 1e999999999}}")
@example(b"schema: 1\ncolumns: {a: {quantiles: {1e999999999: [1, 2]}}}")
@example(b"schema: 1\ncolumns: {a: {newest: 99999999999999999999999999999999999999 days}}")
@example(b"schema: 1\ncolumns: {a: {nulls: 99999999999999999999999999999999999999}}")
@example(b"schema: 1\ncolumns: {a: {min: 0001-01-01T00:00:00+23:59, max: 9999-12-31T23:59:59-23:59}}")
def test_any_bytes_are_refused(content: bytes) -> None:
    read(content)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="{}[]:,-?*&!|>%@`'\"#\n\t ~<abc10.", max_size=80))
def test_any_text_is_refused_in_words(text: str) -> None:
    assert read(text.encode()) is None


BASE = json.dumps({"name": "s", "expectations": [{"type": t, "kwargs": k} for t, k in SAMPLES.items()]}, indent=1)


@settings(deadline=None, max_examples=200)
@given(start=st.integers(0, len(BASE)), length=st.integers(0, 6), junk=st.text(max_size=6))
def test_a_damaged_suite_is_read_or_refused(start: int, length: int, junk: str) -> None:
    read((BASE[:start] + junk + BASE[start + length :]).encode("utf-8", "surrogatepass"))


@settings(deadline=None)
@given(st.lists(st.sampled_from(sorted(SAMPLES)), min_size=1, max_size=8), st.booleans(), st.booleans())
def test_json_and_yaml_say_the_same(types: list[str], flow: bool, ascii_: bool) -> None:
    suite = {"name": "s", "expectations": [{"type": t, "kwargs": SAMPLES[t]} for t in types]}
    one = load(json.dumps(suite, ensure_ascii=ascii_).encode(), "s")
    other = load(yaml.safe_dump(suite, default_flow_style=flow).encode(), "s")
    assert [(e.id, e.type, e.kwargs, e.severity) for e in one.expectations] == [
        (e.id, e.type, e.kwargs, e.severity) for e in other.expectations
    ]
