"""Any model that MLflow can load, through its pyfunc."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlgate.errors import MlgateError
from mlgate.serving.columns import Columns
from mlgate.serving.mlmodel import MlModel
from mlgate.serving.models import Predicted
from mlgate.serving.models.deciding import Decider
from mlgate.serving.models.files import broken
from mlgate.serving.settings import Settings


class Pyfunc:
    """What it answers may be anything: an array, a frame, a list, one text."""

    kind = "pyfunc"
    rowwise = False

    def __init__(self, folder: Path, read: MlModel, settings: Settings) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ["_MLFLOW_IS_IN_SERVING_ENVIRONMENT"] = "true"
        try:
            from mlflow import pyfunc  # noqa: PLC0415 -- seconds and 100 MB, for models that need it
        except ImportError as error:
            raise MlgateError(
                f"needs MLflow to be loaded, and that does not work here: {error}.", file=str(folder),
                fix="Add mlflow-skinny, numpy and pandas to the model's requirements.",
            ) from error  # fmt: skip
        try:
            self._model = pyfunc.load_model(str(folder))
        except Exception as error:
            raise broken(folder, error) from error
        self._tensors = any(one.shape is not None for one in read.inputs)
        self._decider = Decider(settings.decide, None)
        self.inputs = read.inputs
        self.dtypes: Mapping[str, str] = read.dtypes
        # What no table can hold (a chat, a text, nested objects) is left to MLflow's own reading of the request.
        self.loose = read.hinted or not read.inputs

    def predict(self, columns: Columns) -> Predicted:
        said = self._model.predict(self._taken(columns))
        if hasattr(said, "to_dict") and hasattr(said, "columns"):
            if said.shape[1] == 1:
                said = said.iloc[:, 0].to_numpy()
            else:
                return Predicted(said.to_dict(orient="records"))
        elif hasattr(said, "to_numpy"):
            said = said.to_numpy()
        return self._decider.scored(said)

    def invoke(self, columns: Columns, params: Mapping[str, Any] | None) -> Any:
        words: Any = importlib.import_module("mlflow.utils.proto_json_utils")
        taken = self._taken(columns)
        said = self._model.predict(taken, params=dict(params)) if params else self._model.predict(taken)
        return _plain(words._get_jsonable_obj(said, pandas_orient="records"))

    def raw(self, body: bytes, content_type: str) -> tuple[int, bytes, str]:
        """MLflow's own answer to a request of which only MLflow knows the form: status, body, type."""
        scoring_server: Any = importlib.import_module("mlflow.pyfunc.scoring_server")
        answer = scoring_server.invocations(
            body if content_type.startswith("application/vnd") else body.decode(), content_type, self._model,
            self._model.metadata.get_input_schema(),
        )  # fmt: skip
        return answer.status, answer.response.encode(), answer.mimetype

    def _taken(self, columns: Columns) -> Any:
        if self._tensors:
            if len(columns.names) == 1 and not columns.names[0]:
                return columns.array(0)
            return {name: columns.array(i) for i, name in enumerate(columns.names)}
        frame = columns.frame()
        optional = [one.name for one in self.inputs if not one.required]
        return frame.drop(columns=[name for name in optional if frame[name].isna().all()]) if optional else frame


def _plain(value: Any) -> Any:
    """Numbers of NumPy inside lists and records as JSON knows them."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
