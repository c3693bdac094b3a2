"""The Open Inference Protocol v2 over HTTP with binary tensors: what clients of KServe, Seldon and Triton speak."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from mlgate.serving import answers, bodies
from mlgate.serving.bodies import Table
from mlgate.serving.columns import Array, Columns
from mlgate.serving.inputs import Reader
from mlgate.serving.models import Predicted
from mlgate.serving.refused import RefusedError
from mlgate.serving.settings import Identity

LENGTH = b"inference-header-content-length"
_NUMPY = {
    "BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "INT8": "int8",
    "INT16": "int16", "INT32": "int32", "INT64": "int64", "FP16": "float16", "FP32": "float32", "FP64": "float64",
}  # fmt: skip
_TYPES = {dtype: name for name, dtype in _NUMPY.items()}
_OF_INPUT = {"integer": "INT64", "number": "FP64", "boolean": "BOOL", "any": "FP64"}


@dataclass(frozen=True)
class Request:
    """One inference request: the rows, and how its answer is wanted. `outputs`: name -> in binary; empty: all."""

    columns: Columns
    id: str
    outputs: Mapping[str, bool]
    binary: bool


def read(body: bytes, length: bytes | None, reader: Reader) -> Request:
    """Raises RefusedError: 400 for what is not of the protocol, else as `Reader.read` does."""
    head, rest = body, b""
    if length is not None:
        if not length.isdigit() or int(length) > len(body):
            raise RefusedError(400, "Inference-Header-Content-Length is no length within the body.")
        head, rest = body[: int(length)], body[int(length) :]
    data = bodies.decode(head)
    given = data.get("inputs") if isinstance(data, dict) else None
    if not isinstance(given, list) or not given or not all(isinstance(one, dict) for one in given):
        raise RefusedError(400, "`inputs` has to be a list of tensors, and at least one.")
    tensors: dict[str, Array] = {}
    for one in given:
        name, tensor, rest = _tensor(one, rest)
        if name in tensors:
            raise RefusedError(400, f"The input {name} is there twice.")
        tensors[name] = tensor
    if rest:
        raise RefusedError(400, "The body is longer than its tensors.")
    outputs, binary = _wanted(data)
    named = data.get("id")
    return Request(_columns(tensors, reader), named if isinstance(named, str) else "", outputs, binary)


def _wanted(data: dict[str, Any]) -> tuple[dict[str, bool], bool]:
    parameters = data.get("parameters")
    binary = isinstance(parameters, dict) and parameters.get("binary_data_output") is True
    wanted: dict[str, bool] = {}
    outputs = data.get("outputs")
    if outputs is not None and not isinstance(outputs, list):
        raise RefusedError(400, "`outputs` has to be a list.")
    for one in outputs or ():
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            raise RefusedError(400, "Each of `outputs` has to have a `name`.")
        own = one.get("parameters")
        wanted[one["name"]] = bool(own["binary_data"]) if isinstance(own, dict) and "binary_data" in own else binary
        if isinstance(own, dict) and own.get("classification"):
            raise RefusedError(400, "The classification extension is not spoken here; ask for predict_proba.")
    return wanted, binary


def _tensor(one: dict[str, Any], rest: bytes) -> tuple[str, Array, bytes]:
    """Name and values of one input, and what is left of the binary part."""
    name, shape, datatype = one.get("name"), one.get("shape"), one.get("datatype")
    if not isinstance(name, str):
        raise RefusedError(400, "Each input has to have a `name`.")
    if not isinstance(shape, list) or not shape or not all(type(n) is int and n >= 0 for n in shape):
        raise RefusedError(400, f"The `shape` of the input {name} has to be a list of sizes.")
    if datatype not in _NUMPY and datatype != "BYTES":
        raise RefusedError(400, f"The `datatype` of the input {name} has to be BYTES or one of {', '.join(_NUMPY)}.")
    count = math.prod(shape)
    parameters = one.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        values = _listed(one.get("data"), name, datatype)
    elif type(size) is not int or not 0 <= size <= len(rest):
        raise RefusedError(400, f"`binary_data_size` of the input {name} is no size within the body.")
    else:
        values, rest = _binary(name, rest[:size], datatype, count), rest[size:]
    if values.size != count:
        raise RefusedError(400, f"The input {name} has {values.size} values; its shape {shape} asks for {count}.")
    return name, values.reshape(shape), rest


def _listed(data: Any, name: str, datatype: str) -> Array:
    """Values in JSON, none of which may be cut or wrapped round by their type."""
    flat = _flat(data, name)
    if datatype == "BYTES":
        return np.fromiter(flat, object, len(flat))
    kinds, wanted = set(map(type, flat)), np.dtype(_NUMPY[datatype])
    fit: dict[str, set[type]] = {"b": {bool}, "i": {int}, "u": {int}, "f": {int, float}}
    try:
        if not kinds <= fit[wanted.kind]:
            raise TypeError
        with np.errstate(over="ignore"):
            values: Array = np.array(flat, wanted)  # raises OverflowError for an integer that does not fit
        if wanted.kind == "f" and not np.isfinite(values).all():
            raise OverflowError
    except (TypeError, ValueError, OverflowError):
        raise RefusedError(400, f"The `data` of the input {name} are not all of the type {datatype}.") from None
    return values


def _flat(given: Any, name: str) -> list[Any]:
    """Nested lists are allowed; their order is that of rows."""
    if not isinstance(given, list):
        raise RefusedError(400, f"The input {name} has no `data`.")
    data: list[Any] = given
    while data and set(map(type, data)) == {list}:
        data = [value for part in data for value in part]
    if any(isinstance(value, list | dict) or value is None for value in data):
        raise RefusedError(400, f"The `data` of the input {name} are not plain values.")
    return data


def _binary(name: str, octets: bytes, datatype: str, count: int) -> Array:
    if datatype != "BYTES":
        dtype = np.dtype(_NUMPY[datatype]).newbyteorder("<")
        if len(octets) != count * dtype.itemsize:
            raise RefusedError(400, f"The input {name} has {len(octets)} octets; its shape asks for others.")
        return np.frombuffer(octets, dtype).astype(dtype.newbyteorder("="))
    values, at = [], 0
    while at + 4 <= len(octets):
        (length,) = struct.unpack_from("<I", octets, at)
        values.append(octets[at + 4 : at + 4 + length])
        at += 4 + length
    if at != len(octets):
        raise RefusedError(400, f"The input {name} has strings that are cut off.")
    return np.fromiter(values, object, len(values))


def _columns(tensors: dict[str, Array], reader: Reader) -> Columns:
    """One tensor for each column, or one of all columns for a model that takes several."""
    if reader.tensor is not None:
        if len(tensors) != 1:
            raise RefusedError(400, "This model takes one input.")
        values = next(iter(tensors.values()))
        if values.dtype == object:
            return reader.check(Table(None, [_texts(row) for row in values], len(values)))
        dtype = reader.dtypes.get(reader.tensor.name) or "float64"
        return reader.hold(values if values.dtype == dtype else values.astype(dtype))
    if len(tensors) == 1:
        ((name, values),) = tensors.items()
        if values.ndim == 2 and (values.shape[1] > 1 or name not in reader.names) and name not in reader.names[1:]:
            tensors = _split(name, values, reader.names)
    rows = {len(values) for values in tensors.values()}
    if len(rows) != 1:
        raise RefusedError(400, "The inputs differ in their number of rows.")
    count = rows.pop()
    if not count:
        raise RefusedError(400, "The request holds no rows.")
    if count > reader.max_rows:
        raise RefusedError(413, f"The request holds {count} rows; at most {reader.max_rows} are answered at once.")
    table = {name: _column(name, values) for name, values in tensors.items()}
    return reader.check(bodies.named(table, reader.names, reader.required, count))


def _split(name: str, values: Array, names: Sequence[str]) -> dict[str, Array]:
    if names and values.shape[1] != len(names):
        raise RefusedError(400, f"The input {name} has {values.shape[1]} columns; the model's inputs are {len(names)}.")
    wanted = names or [str(index) for index in range(values.shape[1])]
    return {column: values[:, index] for index, column in enumerate(wanted)}


def _column(name: str, values: Array) -> Any:
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise RefusedError(400, f"The input {name} has the shape {list(values.shape)}; it is one value for each row.")
    return _texts(values) if values.dtype == object else np.ascontiguousarray(values)


def _texts(values: Array) -> list[Any]:
    try:
        return [value.decode() if isinstance(value, bytes) else value for value in values.tolist()]
    except UnicodeDecodeError:
        raise RefusedError(400, "An input of type BYTES is not text (UTF-8).") from None


# -- answers -----------------------------------------------------------------------------------------------------------


def reply(said: Predicted, request: Request, model: str, version: str, request_id: str) -> tuple[bytes, int | None]:
    """The body, and the length of its JSON where binary tensors follow. Raises RefusedError for no such output."""
    tensors = _tensors(said)
    for name in request.outputs:
        if name not in tensors:
            raise RefusedError(400, f"There is no output {name}; there is {', '.join(tensors)}.")
    outputs: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for name, values in tensors.items():
        if request.outputs and name not in request.outputs:
            continue
        datatype = _TYPES.get(str(values.dtype), "BYTES")
        one: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(values.shape)}
        if request.outputs.get(name, request.binary):
            parts.append(_octets(values))
            one["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            one["data"] = (
                [str(v) for v in values.ravel()] if datatype == "BYTES" else np.ascontiguousarray(values.ravel())
            )
        outputs.append(one)
    head = answers.dumps(
        {"model_name": model, "model_version": version, "id": request.id or request_id, "outputs": outputs}
    )
    return (head + b"".join(parts), len(head)) if parts else (head, None)


def _tensors(said: Predicted) -> dict[str, Array]:
    """`predict`, and `predict_proba` for each class where there are classes; a column each of what is a frame."""
    rows = said.prediction
    if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
        return {str(name): _array([row.get(name) for row in rows]) for name in rows[0]}
    made = {"predict": _array(rows)}
    matrix = said.probabilities if said.probabilities is not None else said.probability
    if matrix is not None:
        made["predict_proba"] = matrix
    return made


def _array(values: Any) -> Array:
    made: Array = values if isinstance(values, np.ndarray) else np.array(values, ndmin=1)
    if made.dtype.kind in "iufb":
        return made
    texts = [
        value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
        for value in made.ravel().tolist()
    ]
    return np.fromiter(texts, object, len(texts)).reshape(made.shape)


def _octets(values: Array) -> bytes:
    if values.dtype != object:
        return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    texts = [str(value).encode() for value in values.ravel()]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def metadata(identity: Identity, reader: Reader, kind: str, said: Predicted | None) -> dict[str, Any]:
    """What `/v2/models/<name>` says. `said`: an answer of the model, which shows what its outputs are."""
    outputs = _tensors(said) if said is not None else {}
    return {
        "name": identity.model,
        "versions": [identity.version] if identity.version else [],
        "platform": {"onnx": "onnxruntime_onnx"}.get(kind, kind),
        "inputs": [
            {
                "name": one.name or "input",
                "datatype": _TYPES.get(reader.dtypes.get(one.name, ""), _OF_INPUT.get(one.type, "BYTES")),
                "shape": list(one.shape or (-1,)),
            }
            for one in reader.inputs
        ],
        "outputs": [
            {"name": name, "datatype": _TYPES.get(str(values.dtype), "BYTES"), "shape": [-1, *values.shape[1:]]}
            for name, values in outputs.items()
        ]
        or [{"name": "predict", "datatype": "FP64", "shape": [-1]}],
    }
