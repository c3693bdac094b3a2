"""The interface of two models: whatever a caller of the champion may send or read, the challenger has to keep."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlgate.model import Verdict
from mlgate.rollout.checks import api
from mlgate.rollout.checks.accepting import Pair
from mlgate.serving import openapi
from mlgate.serving.inputs import Reader
from mlgate.serving.settings import Identity, Input, Settings

INPUTS = (
    Input("age", "integer", nullable=False, minimum=0, maximum=120),
    Input("health", "string", values=("good", "poor")),
    Input("income", "number", required=False),
)


def document(*inputs: Input, rows: int = 10_000, version: str = "v1.0.0") -> dict[str, Any]:
    """What mlgate's own server says of a model with these columns."""
    settings = Settings(Identity("visits", version), tuple(inputs or INPUTS), max_rows=rows)
    return openapi.document(settings, Reader(settings.inputs, {}, rows))


def changed(number: int, **more: Any) -> dict[str, Any]:
    inputs = list(INPUTS)
    inputs[number] = replace(inputs[number], **more)
    return document(*inputs)


def test_the_same_model_again_keeps_everything() -> None:
    check = api.judge(document(), document(version="v2.0.0"))
    assert (check.verdict, check.reason) == (Verdict.PASS, "")
    assert (check.rows or 0) > 10, "every operation was compared"


@pytest.mark.parametrize(
    "new",
    [
        pytest.param(lambda: document(*INPUTS, Input("town", "string", required=False)), id="an optional column more"),
        pytest.param(lambda: changed(0, nullable=True), id="null is taken, too"),
        pytest.param(lambda: changed(0, type="number"), id="any number is taken"),
        pytest.param(lambda: changed(0, minimum=-10, maximum=200), id="wider bounds"),
        pytest.param(lambda: changed(1, values=("good", "poor", "fair")), id="a value more"),
        pytest.param(lambda: changed(1, values=None), id="any text"),
        pytest.param(lambda: document(rows=20_000), id="more rows"),
    ],
)
def test_what_takes_more_keeps_everything(new: Callable[[], dict[str, Any]]) -> None:
    check = api.judge(document(), new())
    assert check.verdict in {Verdict.PASS, Verdict.WARN}, check.reason


def test_who_sends_lists_of_values_is_told_of_a_column_more() -> None:
    check = api.judge(document(), document(*INPUTS, Input("town", "string", required=False)))
    assert check.verdict is Verdict.WARN
    assert "as a list has to have at least 4 items" in check.reason


@pytest.mark.parametrize(
    ("new", "said"),
    [
        pytest.param(lambda: document(*INPUTS, Input("town", "string")), "town is now required", id="required"),
        pytest.param(lambda: document(*INPUTS[:2], Input("income", "number")), "income is now required", id="optional"),
        pytest.param(lambda: changed(0, maximum=100), "age has to be at most 100 now", id="bound"),
        pytest.param(lambda: changed(1, values=("good",)), "health may no longer be 'poor'", id="value"),
        pytest.param(lambda: changed(1, nullable=False), "health may no longer be", id="null"),
        pytest.param(lambda: changed(2, type="string"), "income may no longer be number", id="type"),
        pytest.param(lambda: document(rows=5), "at most 5 items", id="rows"),
        pytest.param(lambda: document(INPUTS[1], INPUTS[0], INPUTS[2]), "age has moved", id="order"),
    ],
)
def test_what_takes_less_is_found_and_named(new: Callable[[], dict[str, Any]], said: str) -> None:
    check = api.judge(document(), new())
    assert check.verdict is Verdict.FAIL
    assert said in " ".join(one.said for one in api.differences(document(), new()))
    assert check.unexpected


def without(*path: str) -> dict[str, Any]:
    found = copy.deepcopy(document())
    *way, last = path
    at: Any = found
    for part in way:
        at = at[part]
    if isinstance(at, list):
        at.remove(last)
    else:
        del at[last]
    return found


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (("paths", "/predict"), "/predict is gone"),
        (("paths", "/version"), "/version is gone"),
        (("paths", "/predict", "post", "responses", "200"), "POST /predict no longer answers 200"),
        (("paths", "/invocations", "post", "requestBody", "content", "text/csv"), "no longer takes text/csv"),
        (("components", "schemas", "Prediction", "required", "probability"), "probability may be missing now"),
        (("components", "schemas", "Prediction", "properties", "classes"), "classes is no longer answered"),
    ],
)
def test_what_is_gone_is_named(path: tuple[str, ...], said: str) -> None:
    assert said in api.judge(document(), without(*path)).reason
    additions = api.judge(without(*path), document())
    if "requestBody" not in path:
        assert additions.verdict is Verdict.PASS, f"an addition: {additions.reason}"


def operation(**more: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": {"/predict": {"post": {"responses": {"200": {}}, **more}}}}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({}, {"parameters": [{"in": "query", "name": "key", "required": True}]}, "needs the query parameter key"),
        ({}, {"security": [{"token": []}]}, "asks for a login"),
        ({}, {"requestBody": {"required": True, "content": {}}}, "needs a body"),
    ],
)
def test_new_demands_are_found(old: dict[str, Any], new: dict[str, Any], said: str) -> None:
    assert said in api.judge(operation(**old), operation(**new)).reason
    assert api.judge(operation(**new), operation(**old)).verdict is Verdict.PASS


def test_a_method_that_is_gone_and_a_renamed_parameter_of_a_path() -> None:
    old = {"paths": {"/v2/models/{name}": {"get": {"responses": {"200": {}}}}}}
    assert (
        api.judge(old, {"paths": {"/v2/models/{model}": {"get": {"responses": {"200": {}}}}}}).verdict is Verdict.PASS
    )
    assert "GET /v2/models/{name} is gone" in api.judge(old, {"paths": {"/v2/models/{name}": {"post": {}}}}).reason


def test_a_description_of_nothing_is_no_pass() -> None:
    assert api.judge({"paths": {}}, document()).verdict is Verdict.WARN
    assert api.judge(document(), {"paths": {}}).verdict is Verdict.FAIL


def test_references_that_lead_in_circles_end() -> None:
    tree = {"components": {"schemas": {"Tree": {"properties": {"of": {"$ref": "#/components/schemas/Tree"}}}}}}
    other = copy.deepcopy(tree)
    other["components"]["schemas"]["Tree"]["required"] = ["of"]
    reference = {"$ref": "#/components/schemas/Tree"}
    assert list(Pair(tree, tree).narrowed(reference, reference, "")) == []
    assert [one.said for one in Pair(tree, other).narrowed(reference, reference, "")] == ["of is now required"]


# -- against another reader of schemas ---------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, "", "a", "bb"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=6,
)
TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"]


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    words: dict[str, st.SearchStrategy[Any]] = {
        "type": st.sampled_from(TYPES) | st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True),
        "minimum": st.integers(-2, 2), "maximum": st.integers(-2, 2), "exclusiveMinimum": st.integers(-2, 2),
        "minItems": st.integers(0, 2), "maxItems": st.integers(0, 3), "minLength": st.integers(0, 2),
        "maxLength": st.integers(0, 2), "maxProperties": st.integers(0, 2),
        "enum": st.lists(values, min_size=1, max_size=3), "const": values,
        "items": inner, "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "properties": st.dictionaries(st.sampled_from("xyz"), inner, max_size=2),
        "required": st.lists(st.sampled_from("xyz"), max_size=2, unique=True),
        "additionalProperties": inner, "anyOf": st.lists(inner, min_size=1, max_size=2),
    }  # fmt: skip
    return st.fixed_dictionaries({}, optional=words)


schemas = st.recursive(st.booleans() | _schemas(st.just(True)), _schemas, max_leaves=5)


def takes(schema: Any, value: Any) -> bool:
    return jsonschema.Draft202012Validator(schema).is_valid(value)


@example(old={"minimum": 0}, new={"minimum": 0, "anyOf": [False]}, tried=[None])
@given(schemas, schemas, st.lists(values, max_size=6))
def test_where_nothing_is_found_everything_is_still_taken(old: Any, new: Any, tried: list[Any]) -> None:
    if list(Pair({}, {}).narrowed(old, new, "")):
        return
    for value in tried:
        assert not takes(old, value) or takes(new, value), value


@given(schemas)
def test_a_schema_takes_what_it_takes(schema: Any) -> None:
    assert list(Pair({}, {}).narrowed(schema, schema, "")) == []
