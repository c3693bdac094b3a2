"""The description is true: schemathesis asks by it, with what it allows and with what it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from served import DECIDE, INPUTS, Client, as_joblib, served

from mlgate.serving.settings import Input

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names", "ignore::DeprecationWarning")
SHAPE = [not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
         response_schema_conformance]  # fmt: skip
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Client]:
    inputs = (*INPUTS[:2], Input("site", "string", values=("north", "south", "über")), INPUTS[3])
    with served(as_joblib("pipeline"), inputs=inputs, decide=DECIDE) as client:
        yield client


def document(server: Client) -> dict[str, Any]:
    made: dict[str, Any] = server.read("/openapi.json").json()
    return made


def asked(
    server: Client,
    path: str,
    body: dict[str, Any] | None,
    modes: list[GenerationMode],
    checks: list[Any],
    *,
    rows: int | None = 10_000,
) -> int:
    """Ask one path by its description (of its body: this part), and hold the answers to it; how often it was asked."""
    described = document(server)
    if rows is None:
        described = json.loads(json.dumps(described).replace('"maxItems": 10000', '"title": "any number"'))
    method = "post" if "post" in described["paths"][path] else "get"
    if body is not None:
        described["paths"][path]["post"]["requestBody"]["content"] = {"application/json": {"schema": body}}
    schema = schemathesis.openapi.from_dict(described)
    count = 0
    for mode in modes:

        @QUICK
        @given(case=schema[path][method.upper()].as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            nonlocal count
            count += 1
            case.validate_response(case.call(base_url=server.base), checks=checks)

        ask()
    return count


def test_it_is_openapi_and_names_every_route(server: Client) -> None:
    OpenAPIV31SpecValidator(document(server)).validate()
    told = set(document(server)["paths"])
    routes = {route.path for route in server.app.api.routes} | set(server.app._hot)
    assert {path for path in routes if "/versions/" not in path} == told | {"/openapi.json"}


def test_the_row_is_described_as_signature_and_contract_say(server: Client) -> None:
    row = document(server)["components"]["schemas"]["Row"]
    assert row["required"] == ["age", "income", "site", "insured"]
    assert row["properties"]["age"] == {"type": "integer", "minimum": 0, "maximum": 120}
    assert row["properties"]["income"]["type"] == ["number", "null"]
    assert row["properties"]["site"]["enum"] == ["north", "south", "über", None]


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/v2/models/visits/infer"])
def test_whatever_is_sent_the_answer_is_one_of_those_described(server: Client, path: str) -> None:
    both = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    assert asked(server, path, None, both, SHAPE) > 50


@pytest.mark.parametrize("path", ["/health", "/version", "/v2", "/v2/models/visits", "/ping"])
def test_what_an_operator_asks_is_answered_as_described(server: Client, path: str) -> None:
    assert asked(server, path, None, [GenerationMode.POSITIVE], SHAPE) >= 1


@pytest.mark.parametrize(
    "body",
    [
        {"$ref": "#/components/schemas/Row"},
        {"type": "array", "items": {"$ref": "#/components/schemas/Row"}, "minItems": 1, "maxItems": 10_000},
        {
            "type": "object", "required": ["features"], "additionalProperties": False,
            "properties": {"features": {"$ref": "#/components/schemas/Values"}},
        },
    ],
    ids=["a row", "rows", "features"],
)  # fmt: skip
def test_what_is_allowed_is_answered(server: Client, body: dict[str, Any]) -> None:
    assert asked(server, "/predict", body, [GenerationMode.POSITIVE], [*SHAPE, positive_data_acceptance]) > 20


def test_what_is_not_allowed_is_refused(server: Client) -> None:
    # Too many rows are refused by 413, which schemathesis does not count as a refusal: tested elsewhere.
    body = {"$ref": "#/components/schemas/Request"}
    assert asked(server, "/predict", body, [GenerationMode.NEGATIVE], [*SHAPE, negative_data_rejection], rows=None) > 20


def test_a_tensor_is_described_by_its_shape() -> None:
    with served(as_joblib("regressor")) as client:
        schemas = document(client)["components"]["schemas"]
        assert schemas["Row"] == {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
        row = {
            **schemas["Row"],
            "items": {"type": "number", "minimum": -1e6, "maximum": 1e6},
        }  # so that no sum overflows
        rows = {"type": "array", "items": row, "minItems": 1, "maxItems": 10}
        body = {"type": "object", "properties": {"inputs": rows}, "required": ["inputs"], "additionalProperties": False}
        assert asked(client, "/predict", body, [GenerationMode.POSITIVE], [*SHAPE, positive_data_acceptance]) > 10
