"""What is sent back: predictions in the words of each protocol, and refusals that name the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from mlgate.serving.models import Predicted
from mlgate.serving.refused import RefusedError

JSON = b"application/json"
_NUMPY = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


class UnfitError(Exception):
    """The model answered what nobody can use: NaN, infinity, or a thing that JSON cannot say."""


@dataclass(slots=True)
class Reply:
    """`rows`: how many predictions it holds, for the metrics."""

    status: int
    body: bytes
    type: bytes = JSON
    headers: Sequence[tuple[bytes, bytes]] = field(default=())
    rows: int = 0
    close: bool = False


def dumps(value: Any) -> bytes:
    """Raises UnfitError for what has no JSON."""
    try:
        return orjson.dumps(value, option=_NUMPY)
    except (TypeError, ValueError) as error:
        raise UnfitError(f"it cannot be said in JSON: {error}") from error


def sound(said: Predicted) -> Predicted:
    """Raises UnfitError where a prediction or a probability is NaN or infinite: that is no answer."""
    for values in (said.prediction, said.probability, said.probabilities):
        if not _finite(values):
            raise UnfitError("a prediction is not a finite number")
    return said


def _finite(value: Any) -> bool:
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.dtype.kind != "f" or bool(np.isfinite(value).all())
    if isinstance(value, float | np.floating):
        return bool(np.isfinite(value))
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    return not isinstance(value, list | tuple | np.ndarray) or all(map(_finite, value))


def listed(values: Any) -> Any:
    """Values as JSON takes them: arrays of objects as lists, times as text."""
    if isinstance(values, np.ndarray):
        if values.dtype.kind in "OUSMm":
            return values.astype(str).tolist() if values.dtype.kind in "Mm" else values.tolist()
        return np.ascontiguousarray(values)
    return values


def predict(said: Predicted, version: str, request_id: str, *, single: bool) -> bytes:
    """The answer of /predict. The probability is the positive class's where there are two, else one for each class."""
    prediction, probability = listed(said.prediction), said.probability
    matrix = probability is not None and probability.ndim > 1
    if single:
        alone = isinstance(prediction, list | np.ndarray) and len(prediction) == 1
        prediction = prediction[0] if alone else prediction
        probability = None if probability is None else probability[0]
    answer: dict[str, Any] = {
        "prediction": prediction.item() if isinstance(prediction, np.generic) else prediction,
        "probability": probability.item() if isinstance(probability, np.generic) else _contiguous(probability),
        "model_version": version,
        "request_id": request_id,
    }
    if matrix and said.classes is not None:
        answer["classes"] = list(said.classes)
    return dumps(answer)


def _contiguous(values: Any) -> Any:
    return np.ascontiguousarray(values) if isinstance(values, np.ndarray) else values


def invocations(said: Any) -> bytes:
    """The answer of /invocations, as MLflow's own server words it."""
    if not _finite(said):
        raise UnfitError("a prediction is not a finite number")
    return dumps({"predictions": listed(said)})


def refusal(error: RefusedError, request_id: str, route: str) -> Reply:
    """A sentence, and the fields it is about. MLflow's clients read `error_code` and `message`."""
    answer: dict[str, Any] = {"error": error.message, "request_id": request_id}
    if error.problems:
        answer["errors"] = [
            {
                key: value
                for key, value in (("row", p.row), ("field", p.field), ("message", p.message))
                if value is not None
            }
            for p in error.problems
        ]
    if route == "/invocations":
        answer |= {"error_code": _CODES.get(error.status, "BAD_REQUEST"), "message": error.message}
    headers = ((b"retry-after", b"1"),) if error.status == 503 else ()
    return Reply(error.status, dumps(answer), headers=headers, close=error.close)


_CODES: Mapping[int, str] = {
    422: "INVALID_PARAMETER_VALUE",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "TEMPORARILY_UNAVAILABLE",
}
