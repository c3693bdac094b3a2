"""A model of the project, as a function from rows to one number each. For `explainer.py`, in the project's Python."""

from __future__ import annotations

import importlib
import os
from typing import Any

_CALL = 200_000  # rows of one call of the model


class Wrong(Exception):  # noqa: N818 -- what is said to the user, and no error of a program
    """Why the model cannot be explained."""


class Model:
    """Gives one number per row: the probability of the positive class, of the class decided for the row, or the value.

    `task` is binary, multiclass or regression.
    """

    def __init__(self, request: dict[str, Any], data: Any, labels: Any) -> None:
        self.numpy: Any = importlib.import_module("numpy")
        self.request = request
        self.libraries: list[str] = []
        self.columns: list[str] = []
        self.classes: list[Any] | None = None
        self._predict = self._loaded(request["model"])
        left = {request["id"], request["label"], *request["apart"]}
        every = [str(name) for name in data.columns if name not in left]
        if missing := [name for name in self.columns if name not in data.columns]:
            raise Wrong(f"the evaluation data lack {len(missing)} of the model's columns: {missing[0]}")
        self.features = self.columns or every
        if not self.features:
            raise Wrong("no column is left that the model could go by")
        self.task, self.what = "", ""
        self.row: Any = 0  # while one row is explained: the class that was decided for it
        self._column = 1
        self._first: Any = None
        first = self._raw(data)
        self._settle(first, labels)
        self.decided: Any = first.argmax(axis=1) if self.task == "multiclass" and first.ndim == 2 else None

    def _loaded(self, path: str) -> Any:
        if self.request["predict"]:
            module, _, name = self.request["predict"].partition(":")
            return getattr(importlib.import_module(module), name)(path)
        if os.path.isdir(path):
            return self._mlflow(path)
        ending = os.path.splitext(path)[1].lower()
        if ending == ".onnx":
            return self._onnx(path)
        if ending == ".skops":
            skops: Any = importlib.import_module("skops.io")
            self.libraries += ["scikit-learn", "skops"]
            return self._object(skops.load(path, trusted=self.request["trusted"]))
        if ending in (".joblib", ".pkl", ".pickle", ".sav"):
            try:
                joblib: Any = importlib.import_module("joblib")
            except ImportError:
                joblib = None
            self.libraries += ["scikit-learn", "joblib", "xgboost", "lightgbm"]
            if joblib is not None:
                return self._object(joblib.load(path))
            pickle: Any = importlib.import_module("pickle")
            with open(path, "rb") as file:
                return self._object(pickle.load(file))
        raise Wrong(
            f"a model like {os.path.basename(path)} is not known here: name a function of yours under "
            "`governance.explain.predict`, or make a report of your own (`governance.explain.report`)"
        )

    def _mlflow(self, path: str) -> Any:
        if not os.path.exists(os.path.join(path, "MLmodel")):
            raise Wrong("the folder holds no MLmodel: name a function of yours under `governance.explain.predict`")
        models: Any = importlib.import_module("mlflow.models")
        info = models.Model.load(path)
        self.libraries += ["mlflow", "mlflow-skinny", "scikit-learn", "skops", "xgboost", "lightgbm", "onnxruntime"]
        flavor = next((name for name in ("sklearn", "xgboost", "lightgbm") if name in info.flavors), None)
        if flavor is not None:
            native: Any = importlib.import_module("mlflow." + flavor)
            found = native.load_model(path)
            if hasattr(found, "predict_proba") or hasattr(found, "feature_names_in_"):
                return self._object(found)
        schema = info.get_input_schema()
        self.columns = [str(name) for name in schema.input_names()] if schema and schema.has_input_names() else []
        pyfunc: Any = importlib.import_module("mlflow.pyfunc")
        return pyfunc.load_model(path).predict

    def _object(self, model: Any) -> Any:
        self.columns = [str(name) for name in getattr(model, "feature_names_in_", ())]
        self.classes = list(model.classes_) if hasattr(model, "classes_") else None
        if hasattr(model, "predict_proba"):
            return model.predict_proba
        self.classes = None
        if not hasattr(model, "predict"):
            raise Wrong("the model has neither predict_proba nor predict")
        return model.predict

    def _onnx(self, path: str) -> Any:
        runtime: Any = importlib.import_module("onnxruntime")
        self.libraries.append("onnxruntime")
        session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
        inputs = session.get_inputs()
        kinds = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64"}
        if len(inputs) > 1:
            self.columns = [one.name for one in inputs]

        def predict(rows: Any) -> Any:
            if len(inputs) == 1:
                given = {inputs[0].name: rows.to_numpy(dtype=kinds.get(inputs[0].type, "float32"))}
            else:
                given = {one.name: rows[[one.name]].to_numpy(dtype=kinds.get(one.type, "object")) for one in inputs}
            outputs = session.run(None, given)
            last = outputs[-1]
            if isinstance(last, list) and last and isinstance(last[0], dict):  # probabilities as skl2onnx gives them
                self.classes = list(last[0])
                return [[row[name] for name in self.classes] for row in last]
            return last

        return predict

    def _raw(self, rows: Any) -> Any:
        """What the model says, as an array of one or two dimensions."""
        parts = []
        for start in range(0, len(rows), _CALL):
            said = self._predict(rows.iloc[start : start + _CALL][self.features].reset_index(drop=True))
            if hasattr(said, "columns") and len(said.columns) > 1 and self.classes is None:
                self.classes = list(said.columns)
            found = self.numpy.asarray(said)
            if found.ndim == 2 and found.shape[1] == 1:
                found = found[:, 0]
            if found.ndim > 2 or found.shape[0] != min(_CALL, len(rows) - start):
                raise Wrong(f"the model gave {found.shape} for {len(rows)} rows")
            parts.append(found)
        return parts[0] if len(parts) == 1 else self.numpy.concatenate(parts)

    def _settle(self, first: Any, labels: Any) -> None:
        """What is explained, by what the model gives and what mlgate.yaml says."""
        positive, task = self.request["positive"], self.request["task"]
        if first.ndim == 2:
            self.task = "binary" if first.shape[1] == 2 and task != "multiclass" else "multiclass"
            if self.task == "binary":
                self._column = self._positive(positive)
                self.what = "probability of {}".format(positive if positive is not None else "the second class")
            else:
                self.what = "probability of the class that is decided"
            return
        if task in ("regression", "ranking") or (task is None and positive is None and first.dtype.kind == "f"):
            self.task, self.what = "regression", "predicted value"
            return
        numbers = first.dtype.kind in "fiub" and not set(self.numpy.unique(first[:1000]).tolist()) <= {0, 1}
        if (positive is not None or task == "binary") and (numbers or first.dtype.kind == "f"):
            self.task, self.what = "binary", "score of {}".format(positive if positive is not None else "the model")
            return
        self.task = "binary" if positive is not None else "multiclass"
        self.what = f"whether the answer is {positive}" if positive is not None else "whether the class stays"
        self._first = first

    def _positive(self, positive: Any) -> int:
        names = [str(one) for one in self.classes or ()]
        for said in (str(positive), str(positive).lower(), f"{positive}.0"):
            if positive is not None and said in [name.lower() for name in names] + names:
                lowered = [name.lower() for name in names]
                return names.index(said) if said in names else lowered.index(said)
        return 1

    def scores(self, rows: Any, repeats: int = 1) -> Any:
        """One number per row. `rows` are those that were read, `repeats` times; 0: copies of the one in `row`."""
        raw = self._raw(rows)
        if raw.ndim == 2:
            found = raw[:, self._column] if self.task == "binary" else None
            if found is None:
                at = self.numpy.tile(self.decided, repeats) if repeats else self.row
                found = raw[self.numpy.arange(len(raw)), at]
        elif self._first is not None:
            if self.request["positive"] is not None:
                found = raw.astype(str) == str(self.request["positive"])
            else:
                found = raw == (self.numpy.tile(self._first, repeats) if repeats else self.row)
        else:
            found = raw
        found = self.numpy.asarray(found, dtype=float)
        if not self.numpy.isfinite(found).all():
            raise Wrong(f"the model gave NaN or infinity for {int((~self.numpy.isfinite(found)).sum()):,} rows")
        return found

    def classes_of(self, rows: Any) -> Any:
        """The decided classes, as text."""
        raw = self._raw(rows)
        if raw.ndim == 1:
            return raw.astype(str)
        names = [str(one) for one in self.classes] if self.classes else [str(n) for n in range(raw.shape[1])]
        return self.numpy.asarray(names, dtype=object)[raw.argmax(axis=1)]
