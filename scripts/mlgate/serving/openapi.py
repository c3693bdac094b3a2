"""The description of the server for programs: OpenAPI 3.1, made of the model's inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlgate.serving.inputs import Reader, limits_of
from mlgate.serving.settings import Input, Settings

Schema = dict[str, Any]

_TYPES = {"integer": "integer", "number": "number", "string": "string", "boolean": "boolean", "binary": "string"}
_SAID: Mapping[int, str] = {
    400: "The body is not JSON, or has another shape.",
    405: "Ask by POST.",
    408: "The body did not arrive in time.",
    413: "The body is too large, or holds too many rows.",
    415: "The content type is not taken, or the body is compressed.",
    422: "A field breaks the model's signature or the contract of its data; the answer names row and field.",
    431: "The headers are too large.",
    500: "Something went wrong inside; the server's log has it under the request id.",
    503: "Too many requests are waiting, or the server is stopping.",
    504: "The model did not answer in time.",
}


def document(settings: Settings, reader: Reader) -> Schema:
    """What every path takes and answers."""
    identity = settings.identity
    schemas = _schemas(reader, settings.max_rows)
    name = f"/v2/models/{identity.model}"
    plain: dict[str, str] = {
        "/health": "Whether it answers requests.",
        "/health/live": "Whether the process is alive.",
        "/health/ready": "Whether it answers requests; not while it stops.",
        "/ping": "Whether it answers requests, as SageMaker asks.",
        "/version": "Which model this is: version, digest, commit, decision.",
        "/v2": "The Open Inference Protocol: the server.",
        "/v2/health/live": "The Open Inference Protocol: alive.",
        "/v2/health/ready": "The Open Inference Protocol: ready.",
        name: "The Open Inference Protocol: the model's inputs and outputs.",
        f"{name}/ready": "The Open Inference Protocol: the model is ready.",
    }
    paths: Schema = {path: {"get": _get(path, said)} for path, said in plain.items()}
    paths["/metrics"] = {"get": {
        "summary": "Counts and times for Prometheus.", "operationId": "metrics",
        "responses": {"200": {"description": "Prometheus' text format.", "content": {"text/plain": {}}}},
    }}  # fmt: skip
    paths["/predict"] = {"post": _post(
        "predict", "Predictions for one row or several.", {"application/json": _ref("Request")}, _ref("Prediction")
    )}  # fmt: skip
    paths["/invocations"] = {"post": _post(
        "invocations", "Predictions, as MLflow and SageMaker clients ask for them.",
        {"application/json": _ref("Invocation"), "text/csv": {"type": "string"}}, _ref("Predictions"),
    )}  # fmt: skip
    paths[f"{name}/infer"] = {"post": _post(
        "infer", "The Open Inference Protocol v2; tensors may follow the JSON in binary.",
        {"application/json": _ref("InferRequest")}, _ref("InferResponse"),
    )}  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {
            "title": identity.model,
            "version": identity.version or identity.digest or "0",
            "description": "Every answer has the request's id in the header X-Request-ID: that of the request, or a "
            "new one.",
        },
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _get(path: str, summary: str) -> Schema:
    answers: Schema = {"200": {"description": "Yes." if "ready" in path or "health" in path else "It is this."}}
    if any(word in path for word in ("ready", "ping")) or path == "/health":
        answers["503"] = {"description": "No."}
    return {
        "summary": summary, "operationId": path.strip("/").replace("/", "_").replace(".", "_"), "responses": answers
    }  # fmt: skip


def _post(name: str, summary: str, takes: Mapping[str, Schema], gives: Schema) -> Schema:
    refused = {
        str(status): {"description": said, "content": {"application/json": {"schema": _ref("Refusal")}}}
        for status, said in _SAID.items()
    }
    return {
        "summary": summary,
        "operationId": name,
        "parameters": [{
            "name": "X-Request-ID", "in": "header", "required": False, "schema": {"type": "string"},
            "description": "Up to 128 of letters, digits and . _ : / + = @ -; anything else is replaced by a new one.",
        }],
        "requestBody": {"required": True, "content": {kind: {"schema": schema} for kind, schema in takes.items()}},
        "responses": {
            "200": {"description": "The predictions.", "content": {"application/json": {"schema": gives}}}, **refused
        },
    }  # fmt: skip


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _only(**properties: Schema) -> Schema:
    """An object with these properties, all of them and no others."""
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False
    }  # fmt: skip


def _schemas(reader: Reader, most: int) -> Schema:
    some = {"minItems": 1, "maxItems": most}
    anything: Schema = {}
    shared: Schema = {
        "Prediction": {
            "type": "object",
            "properties": {
                "prediction": {"description": "One value, or a list of them where a list of rows was sent."},
                "probability": {"description": "Of the positive class; of each class where there are more than two."},
                "classes": {"type": "array", "description": "In the order of `probability`, for more than two."},
                "model_version": {"type": "string"},
                "request_id": {"type": "string"},
            },
            "required": ["prediction", "probability", "model_version", "request_id"],
        },
        "Predictions": _only(predictions=anything),
        "Refusal": {
            "type": "object",
            "properties": {
                "error": {"type": "string", "description": "One sentence."},
                "request_id": {"type": "string"},
                "errors": {"type": "array", "items": {
                    "type": "object",
                    "properties": {
                        "field": {"type": "string"}, "message": {"type": "string"},
                        "row": {"type": "integer", "description": "Counts from 0."},
                    },
                    "required": ["field", "message"],
                }},
            },
            "required": ["error"],
        },
        "InferRequest": {
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "inputs": {"type": "array", "minItems": 1, "items": _ref("Tensor")},
                "outputs": {"type": "array", "items": {
                    "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"],
                }},
            },
            "required": ["inputs"],
        },
        "InferResponse": {
            "type": "object",
            "properties": {
                "model_name": {"type": "string"}, "model_version": {"type": "string"}, "id": {"type": "string"},
                "outputs": {"type": "array", "items": _ref("Tensor")},
            },
            "required": ["model_name", "outputs"],
        },
        "Tensor": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "shape": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}},
                "datatype": {"enum": ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32",
                                      "INT64", "FP16", "FP32", "FP64", "BYTES"]},
                "data": {"type": "array"},
            },
            "required": ["name", "shape", "datatype"],
        },
    }  # fmt: skip
    made = _tensor_shapes(reader.tensor, some) if reader.tensor is not None else _table_shapes(reader, some)
    return {**shared, **made}


def _tensor_shapes(one: Input, some: Schema) -> Schema:
    row: Schema = {"type": _TYPES.get(one.type, "number")}
    for size in reversed((one.shape or ())[1:]):
        row = {"type": "array", "items": row, **({} if size < 0 else {"minItems": size, "maxItems": size})}
    rows = {"type": "array", "items": _ref("Row"), **some}
    return {
        "Row": row,
        "Request": {"anyOf": [_only(inputs=rows), _only(instances=rows), _only(features=_ref("Row"))]},
        "Invocation": {"anyOf": [_only(inputs=rows), _only(instances=rows)]},
    }


def _table_shapes(reader: Reader, some: Schema) -> Schema:
    inputs = reader.inputs
    if not inputs:  # the model does not say what it takes
        rows: Schema = {"type": "array", **some}
        return {
            "Row": {"type": "object"},
            "Request": {"anyOf": [{"type": "object"}, rows]},
            "Invocation": {"type": "object"},
        }
    closed = {"additionalProperties": False} if reader.closed else {}
    fields = {one.name: _field(one, reader) for one in inputs}
    required = {"required": [one.name for one in inputs if one.required]}
    rows = {"type": "array", "items": _ref("Row"), **some}
    lists = {"type": "array", "items": _ref("Values"), **some}
    columns = {name: {"type": "array", "items": field, **some} for name, field in fields.items()}
    named = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    features = _only(features={"anyOf": [_ref("Values"), _ref("Row"), rows, lists]})
    either = [_ref("Row"), rows, lists, _ref("Columns"), _ref("Split")]
    wrapped = [
        _only(records=rows), _only(instances={"anyOf": [rows, lists]}), _only(dataframe_records=rows),
        _only(dataframe_split=_ref("Split")), _only(inputs={"anyOf": [rows, lists, _ref("Columns")]}),
    ]  # fmt: skip
    return {
        "Row": {"type": "object", "properties": fields, **required, **closed},
        "Values": {
            "type": "array", "description": "The values of one row, in the order of the inputs.",
            "prefixItems": list(fields.values()), "minItems": len(fields), "maxItems": len(fields),
        },
        "Columns": {
            "type": "object", "description": "The values of each column; all are of one length.",
            "properties": columns, **required, **closed,
        },
        "Split": {
            "type": "object", "description": "As pandas splits a frame.",
            "properties": {
                "columns": named, "data": {"type": "array", "items": {"type": "array"}, **some}, "index": {},
            },
            "required": ["columns", "data"], "additionalProperties": False,
        },
        "Request": {"anyOf": [*either, *wrapped, features]},
        "Invocation": {"anyOf": wrapped},
    }  # fmt: skip


def _field(one: Input, reader: Reader) -> Schema:
    """One value of a column."""
    if one.type == "any":
        made: Schema = {} if one.nullable else {"type": ["number", "string", "boolean", "array", "object"]}
    else:
        type_ = _TYPES.get(one.type, "string")
        made = {"type": [type_, "null"] if one.nullable else type_}
    if one.type == "datetime":
        made["format"] = "date-time"
    if one.type == "binary":
        made["contentEncoding"] = "base64"
    low, high = limits_of(one, reader.dtypes.get(one.name))
    if low is not None:
        made["minimum"] = low
    if high is not None:
        made["maximum"] = high
    if one.values is not None:
        made["enum"] = [*one.values, *([None] if one.nullable else [])]
    return made
