"""How a server is asked for predictions, and how its answer is read: mlgate's `/predict`, or MLflow's `/invocations`.

A server of a person's own Dockerfile may speak either. Which one is found out by asking it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlgate.errors import MlgateError
from mlgate.image.service import Answer, Service, UnreachableError

Record = Mapping[str, Any]
_MOST = 10_000_000  # octets of an input example
_EXAMPLES = ("serving_input_example.json", "input_example.json")


class AnswerError(Exception):
    """An answer that is no predictions. The sentence says what is wrong with it."""


@dataclass(frozen=True)
class Example:
    """What a model is known to take: rows of named columns, or the whole body of a request for one that has none."""

    records: Sequence[Record] = ()
    payload: Mapping[str, Any] | None = None

    @property
    def rows(self) -> int | None:
        """How many rows it has, where that can be told."""
        if self.records:
            return len(self.records)
        values = next(iter((self.payload or {}).values()), None)
        return len(values) if isinstance(values, list) else None


@dataclass(frozen=True)
class Answers:
    """One for each row, in their order."""

    prediction: Sequence[Any]
    probability: Sequence[Any] | None = None
    classes: Sequence[Any] | None = None  # what several probabilities of a row are of, in their order
    version: str | None = None


@dataclass(frozen=True)
class Protocol:
    """`positional`: rows are lists of values, for a model whose columns have no names."""

    name: Literal["predict", "invocations"]
    path: str
    positional: bool = False

    def body(self, records: Sequence[Record]) -> bytes:
        """The rows as one request. NaN is written as null: it is no JSON."""
        if self.positional:
            return encoded({"records": [list(record.values()) for record in records]})
        if self.name == "predict":
            return encoded({"records": list(records)})
        columns = list(dict.fromkeys(name for record in records for name in record))
        data = [[record.get(name) for name in columns] for record in records]
        return encoded({"dataframe_split": {"columns": columns, "data": data}})

    def ask(self, service: Service, records: Sequence[Record], *, timeout: float = 60.0) -> Answers:
        """Raises AnswerError, UnreachableError."""
        return read(service.post(self.path, self.body(records), timeout=timeout), len(records))


PREDICT = Protocol("predict", "/predict")
POSITIONAL = Protocol("predict", "/predict", positional=True)
INVOCATIONS = Protocol("invocations", "/invocations")


def find(service: Service, example: Example) -> tuple[Protocol | None, str]:
    """Which protocol it speaks, and else what it said: the first whose path it knows. Raises UnreachableError.

    Rows are sent by their columns' names, and by their places only to a server that takes them so and not otherwise.
    """
    said = []
    for one in (PREDICT, INVOCATIONS):
        answer = service.post(one.path, payload(one, example))
        if answer.status in {400, 422} and one is PREDICT and example.records:
            places = service.post(POSITIONAL.path, payload(POSITIONAL, example))
            return (POSITIONAL if places.status == 200 else one), ""
        if answer.status not in {404, 405}:
            return one, ""
        said.append(f"{one.path} answered {answer.status}")
    return None, ", ".join(said)


def payload(protocol: Protocol, example: Example) -> bytes:
    return protocol.body(example.records) if example.payload is None else encoded(dict(example.payload))


def encoded(value: Any) -> bytes:
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value


def read(answer: Answer, rows: int | None) -> Answers:
    """The predictions of an answer, of which there has to be one for each row. Raises AnswerError."""
    if answer.status != 200:
        raise AnswerError(f"it answered {answer.status}: {excerpt(answer.body)}")
    try:
        data = answer.json()
    except ValueError:
        raise AnswerError(f"its answer is no JSON: {excerpt(answer.body)}") from None
    if isinstance(data, list):
        data = {"predictions": data}
    if not isinstance(data, dict) or not {"prediction", "predictions"} & data.keys():
        raise AnswerError(f"its answer has no `prediction`: {excerpt(answer.body)}")
    found = _plain(data.get("prediction", data.get("predictions")))
    prediction = _rowwise(found, rows, "predictions")
    probability = _plain(data.get("probability"))
    if rows == 1 and isinstance(probability, list) and len(probability) > 1:
        probability = [probability]  # one of each class, of a single row
    return Answers(
        prediction,
        None if probability is None else _rowwise(probability, rows, "probabilities"),
        data["classes"] if isinstance(data.get("classes"), list) else None,
        None if data.get("model_version") is None else str(data["model_version"]),
    )


def _plain(value: Any) -> Any:
    """A data frame's rows of one column, and columns of a mapping, as the values that they are."""
    if isinstance(value, list) and value and all(isinstance(one, dict) and len(one) == 1 for one in value):
        return [next(iter(one.values())) for one in value]
    return value


def _rowwise(value: Any, rows: int | None, what: str) -> list[Any]:
    several = value if isinstance(value, list) else [value]
    if rows is not None and len(several) != rows:
        raise AnswerError(f"it gave {len(several):,} {what} for {rows:,} rows")
    if not several:
        raise AnswerError(f"it gave no {what}")
    return several


def numberless(values: Sequence[Any]) -> list[int]:
    """The rows whose answer is nothing, or holds something that is no number where numbers are: null, NaN, infinity."""
    return [place for place, value in enumerate(values) if _empty(value)]


def _empty(value: Any) -> bool:
    if isinstance(value, list):
        return not value or any(_empty(one) for one in value)
    if isinstance(value, dict):
        return not value or any(_empty(one) for one in value.values())
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def excerpt(body: bytes, most: int = 200) -> str:
    """The beginning of a body, in one line."""
    text = " ".join(body[: 4 * most].decode(errors="replace").split())
    return f"{text[:most]}..." if len(text) > most else text or "(nothing)"


def example(model: Path) -> Example | None:
    """The input example in a model's MLflow folder, None where it has none. Raises MlgateError for one that is broken.

    MLflow writes it twice: as the body that its server takes, and as the data were given.
    """
    for name in _EXAMPLES if model.is_dir() else ():
        file = model / name
        if not file.is_file():
            continue
        try:
            if file.stat().st_size > _MOST:
                raise MlgateError(f"is larger than {_MOST // 1_000_000} MB.", file=name)
            found = _example(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError) as error:
            raise MlgateError(f"is no JSON ({error}).", file=name) from error
        if found is None:
            raise MlgateError("holds no rows.", file=name, fix="Log the model again with `input_example`.")
        return found
    return None


def _example(data: Any) -> Example | None:
    if isinstance(data, list):
        data = {"dataframe_records": data} if data and all(isinstance(one, dict) for one in data) else {"inputs": data}
    if not isinstance(data, dict) or not data:
        return None
    records = data.get("dataframe_records", data.get("records"))
    if isinstance(records, list):
        return Example(records) if records and all(isinstance(one, dict) for one in records) else None
    split = data.get("dataframe_split", data)
    if isinstance(split, dict) and isinstance(split.get("data"), list):
        names, rows = split.get("columns"), split["data"]
        if isinstance(names, list) and all(isinstance(one, str) for one in names):
            return Example([dict(zip(names, row, strict=True)) for row in rows]) if rows else None
        return Example(payload={"inputs": rows}) if rows else None
    for key in ("inputs", "instances"):
        if key in data:
            return Example(payload={key: data[key]}) if data[key] else None
    return Example([data])


__all__ = [
    "INVOCATIONS",
    "POSITIONAL",
    "PREDICT",
    "AnswerError",
    "Answers",
    "Example",
    "Protocol",
    "UnreachableError",
    "find",
]
