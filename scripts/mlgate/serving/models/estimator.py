"""Estimators with scikit-learn's interface: scikit-learn's own, and those of XGBoost, LightGBM and others."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from mlgate.errors import MlgateError
from mlgate.serving.columns import Columns
from mlgate.serving.models import Predicted
from mlgate.serving.models.deciding import Decider
from mlgate.serving.settings import Input, Settings

# Packages whose estimators answer a row by that row alone. What users write themselves may not.
_ROWWISE = ("sklearn", "xgboost", "lightgbm")
# Except these, which answer for the rows that they get together.
_WHOLE = frozenset({"LocalOutlierFactor", "DBSCAN", "AgglomerativeClustering"})


class Estimator:
    """`own`: the method that MLflow's server would call (`predict` unless the model was saved with another)."""

    kind = "sklearn"

    def __init__(
        self, estimator: Any, settings: Settings, *, inputs: tuple[Input, ...] = (),
        dtypes: Mapping[str, str] | None = None, own: str = "predict",
    ) -> None:  # fmt: skip
        if not callable(getattr(estimator, "predict", None)):
            raise MlgateError(f"the model is a {type(estimator).__name__}, which has no `predict`.")
        self._estimator = estimator
        self._own: Callable[..., Any] = getattr(estimator, own)
        self._proba: Callable[..., Any] | None = getattr(estimator, "predict_proba", None)
        self._decider = Decider(settings.decide, getattr(estimator, "classes_", None))
        self.inputs = inputs or _inputs(estimator)
        self.dtypes: Mapping[str, str] = dict(dtypes or {})
        parts = list(_parts(estimator))
        self.rowwise = all(map(_rowwise, parts))
        self._by_name = _by_name(parts) or not self.rowwise
        self._matrix = _common([self.dtypes.get(one.name) or _DEFAULT.get(one.type, "") for one in self.inputs])
        # The names are checked here, once for each request, and the columns put in their order.
        warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)

    def settle(self) -> None:
        """In the thread that calls: one processor for one request.

        Threads of OpenMP wait for each other by spinning; where other processes want the processors too, a call of a
        millisecond takes a third of a second. Several workers use several processors without that.
        """
        if "OMP_NUM_THREADS" not in os.environ and find_spec("threadpoolctl") is not None:
            importlib.import_module("threadpoolctl").threadpool_limits(limits=1, user_api="openmp")

    def _taken(self, columns: Columns) -> Any:
        """A frame where columns are chosen by name, else their values: the same numbers without the frame's cost."""
        if self._by_name and columns.names != [""]:
            return columns.frame()
        return columns.matrix(self._matrix)

    def predict(self, columns: Columns) -> Predicted:
        given = self._taken(columns)
        if self._proba is None or self._decider.classes is None:
            return self._decider.scored(self._estimator.predict(given))
        probabilities: Any = self._proba(given)
        if isinstance(probabilities, list):  # several outputs, each with classes of its own
            return Predicted(self._estimator.predict(given))
        return self._decider.classified(probabilities, lambda: self._estimator.predict(given))

    def invoke(self, columns: Columns, params: Mapping[str, Any] | None) -> Any:
        return self._own(self._taken(columns))


_DEFAULT = {"integer": "int64", "number": "float64", "boolean": "bool"}


def _common(dtypes: list[str]) -> str | None:
    """The type of all columns side by side; None where one is no number, or nobody knows."""
    if not dtypes or any(not d or d in ("object", "bytes") or d.startswith("datetime") for d in dtypes):
        return None
    made = np.result_type(*map(np.dtype, dtypes))
    # One row is made in one go, where None has a place: only floats have it.
    return str(made) if made.kind == "f" else None


def _rowwise(part: Any) -> bool:
    if type(part).__name__ == "FunctionTransformer":
        return part.func is None  # "passthrough"
    return _home(part) in _ROWWISE and type(part).__name__ not in _WHOLE


def _home(part: Any) -> str:
    return type(part).__module__.partition(".")[0]


def _parts(estimator: Any, depth: int = 0) -> Any:
    """The estimator and all that it is put together from."""
    yield estimator
    if depth > 8:
        return
    inner: list[Any] = []
    for name in ("steps", "transformers_", "transformer_list", "estimators_", "estimators"):
        value = getattr(estimator, name, None)
        if isinstance(value, np.ndarray):
            value = value.ravel()[:1].tolist()  # thousands of trees of one kind
        for one in list(value or ())[:100] if isinstance(value, list | tuple) else ():
            inner += one[1:2] if isinstance(one, tuple) else [one]
    inner += [
        getattr(estimator, name, None) for name in ("estimator_", "best_estimator_", "regressor_", "transformer_")
    ]
    for one in inner:
        if hasattr(one, "get_params"):
            yield from _parts(one, depth + 1)


def _by_name(parts: list[Any]) -> bool:
    """Whether some part picks columns by their names, or treats them by their type."""
    return any(
        type(part).__name__ == "ColumnTransformer"
        or getattr(part, "categorical_features", None) is not None
        or (_home(part) == "lightgbm" and hasattr(part, "booster_"))
        for part in parts
    )


def _inputs(estimator: Any) -> tuple[Input, ...]:
    """The names that it was fitted with; their types are not known."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        return tuple(Input(name=str(name)) for name in names)
    count = getattr(estimator, "n_features_in_", None)
    return (Input(name="", type="number", shape=(-1, int(count))),) if isinstance(count, int | np.integer) else ()
