"""ONNX files, run by onnxruntime: no scikit-learn, no MLflow, and nothing in them that could run code of their own."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlgate.errors import MlgateError
from mlgate.serving.columns import Array, Columns
from mlgate.serving.models import Predicted
from mlgate.serving.models.deciding import Decider
from mlgate.serving.models.files import broken
from mlgate.serving.settings import Input, Settings

_NUMPY = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16", "tensor(bool)": "bool",
    "tensor(int8)": "int8", "tensor(int16)": "int16", "tensor(int32)": "int32", "tensor(int64)": "int64",
    "tensor(uint8)": "uint8", "tensor(uint16)": "uint16", "tensor(uint32)": "uint32", "tensor(uint64)": "uint64",
    "tensor(string)": "object",
}  # fmt: skip


class Onnx:
    """One input of all columns, or one input for each column, as converters of scikit-learn models write them."""

    kind = "onnx"
    rowwise = False  # a graph may do anything with its rows

    def __init__(
        self, path: Path, settings: Settings, *, inputs: tuple[Input, ...] = (), dtypes: Mapping[str, str] | None = None
    ) -> None:
        try:
            onnxruntime: Any = importlib.import_module("onnxruntime")
        except ImportError as error:
            raise MlgateError(
                "cannot be served: onnxruntime is not installed.", file=str(path),
                fix="Add onnxruntime to the model's requirements.",
            ) from error  # fmt: skip
        options = onnxruntime.SessionOptions()
        # Several workers share the processors; one call gains little from more threads than its share of them.
        options.intra_op_num_threads = max(1, (os.cpu_count() or 1) // max(1, settings.workers))
        options.inter_op_num_threads = 1
        # Threads that spin for the next call take the processor from who reads the requests.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise broken(path, error) from error
        self._takes = [(one.name, _NUMPY.get(one.type, ""), one.shape) for one in self._session.get_inputs()]
        self._gives = [one.name for one in self._session.get_outputs()]
        if strange := [name for name, dtype, _ in self._takes if not dtype]:
            raise MlgateError(f"takes {strange[0]!r}, which is no tensor.", file=str(path))
        self.inputs = inputs or tuple(_input(*one) for one in self._takes)
        self.dtypes: Mapping[str, str] = {
            **({} if inputs else {name: dtype for name, dtype, _ in self._takes}),
            **(dtypes or {}),
        }
        self._label, self._scores = _outputs(self._session)
        self._decide = settings.decide
        self._decider: Decider | None = None

    def predict(self, columns: Columns) -> Predicted:
        answers = dict(zip(self._gives, self._session.run(self._gives, self._feed(columns)), strict=True))
        if self._label is None:
            said = answers[self._gives[0]]
            if self._decider is None:
                self._decider = Decider(self._decide, None)
            flat = said.reshape(-1) if isinstance(said, np.ndarray) and said.shape[1:] == (1,) else said
            return self._decider.scored(flat) if len(self._gives) == 1 else Predicted(flat)
        label = answers[self._label]
        if self._scores is None:
            return Predicted(label)
        scores = answers[self._scores]
        if isinstance(scores, list):  # ZipMap: a mapping for each row
            names = list(scores[0])
            matrix = np.array([list(row.values()) for row in scores])
        else:
            matrix = np.asarray(scores)
            # A tensor does not say which class its columns are; those that labels of whole numbers have are known.
            names = list(range(matrix.shape[1])) if matrix.ndim == 2 and label.dtype.kind in "iu" else []
        if not names:
            return Predicted(label, matrix, None, matrix if matrix.ndim == 2 else None)
        if self._decider is None:
            self._decider = Decider(self._decide, names)
        return self._decider.classified(matrix, lambda: label)

    def invoke(self, columns: Columns, params: Mapping[str, Any] | None) -> Any:
        answers = self._session.run(self._gives, self._feed(columns))
        if len(columns.names) == 1 and columns.array(0).ndim > 1:
            return {name: _plain(one) for name, one in zip(self._gives, answers, strict=True)}
        listed = [_plain(np.asarray(one).reshape(-1)) for one in answers]
        return [dict(zip(self._gives, row, strict=True)) for row in zip(*listed, strict=True)]

    def _feed(self, columns: Columns) -> dict[str, Array]:
        if len(self._takes) == 1:
            name, dtype, shape = self._takes[0]
            values = columns.matrix()
            if len(shape) == 1 and values.ndim == 2:
                values = values[:, 0]
            return {name: _typed(values, dtype)}
        at = {name: index for index, name in enumerate(columns.names)}
        feed = {}
        for name, dtype, shape in self._takes:
            values = columns.array(at[name])
            feed[name] = _typed(values.reshape(-1, 1) if len(shape) == 2 and values.ndim == 1 else values, dtype)
        return feed


def _typed(values: Array, dtype: str) -> Array:
    return values if values.dtype == dtype else values.astype(dtype)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _input(name: str, dtype: str, shape: list[Any]) -> Input:
    kinds = {"f": "number", "i": "integer", "u": "integer", "b": "boolean", "O": "string"}
    type_: Any = kinds[np.dtype(dtype).kind]
    sizes = tuple(n if isinstance(n, int) and index else -1 for index, n in enumerate(shape))
    if len(sizes) <= 1 or sizes[1:] == (1,):
        return Input(name=name, type=type_, nullable=type_ in ("number", "string"))
    return Input(name=name, type=type_, nullable=False, shape=sizes)


def _outputs(session: Any) -> tuple[str | None, str | None]:
    """The outputs that hold the class and the probabilities, where the model is a classifier."""
    label = scores = None
    for one in session.get_outputs():
        if one.type in ("tensor(int64)", "tensor(string)") and label is None:
            label = one.name
        elif one.type.startswith(("seq(map", "tensor(float)", "tensor(double)")) and scores is None:
            scores = one.name
    return (label, scores) if label is not None and scores is not None else (None, None)
