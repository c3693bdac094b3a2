"""The MLmodel file: which flavours a folder has and what its signature says, read without importing MLflow."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from mlgate.errors import MlgateError, why
from mlgate.serving.settings import Input

Type = Literal["integer", "number", "string", "boolean", "datetime", "binary", "any"]
_LARGEST = 10_000_000  # octets
_OWN = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "predict_joint_log_proba",
    "score",
)  # what MLflow's wrapper has
_FORMS = ("skops", "pickle", "cloudpickle")
_COLUMNS: dict[str, tuple[Type, str]] = {
    "boolean": ("boolean", "bool"),
    "integer": ("integer", "int32"),
    "long": ("integer", "int64"),
    "float": ("number", "float32"),
    "double": ("number", "float64"),
    "string": ("string", "object"),
    "binary": ("binary", "bytes"),
    "datetime": ("datetime", "datetime64[ns]"),
}


@dataclass(frozen=True)
class MlModel:
    """`inputs` in the order of the signature, `dtypes` by name; both empty without a signature."""

    flavours: dict[str, dict[str, Any]]
    inputs: tuple[Input, ...] = ()
    dtypes: dict[str, str] = field(default_factory=dict)
    params: tuple[str, ...] = ()
    hinted: bool = False  # the signature comes from type hints: MLflow itself takes the values as they are

    @property
    def native(self) -> str:
        """The flavour by whose own library the model is loaded with the same answers; empty where it takes MLflow."""
        flavour = self.flavours.get("sklearn")
        loader = self.flavours.get("python_function", {}).get("loader_module", "mlflow.sklearn")
        if self.params or self.hinted:
            return ""
        if flavour is not None and loader == "mlflow.sklearn" and self.predict_fn in _OWN:
            return "sklearn" if flavour.get("serialization_format", "pickle") in _FORMS else ""
        onnx = self.flavours.get("onnx")
        return "onnx" if onnx is not None and not onnx.get("onnx_session_options") else ""

    @property
    def predict_fn(self) -> str:
        return str(self.flavours.get("python_function", {}).get("predict_fn") or "predict")


def read(folder: Path) -> MlModel:
    """Raises MlgateError for what is no MLmodel file."""
    file = folder / "MLmodel"
    try:
        if file.stat().st_size > _LARGEST:
            raise ValueError("it is too large")
        data = yaml.safe_load(file.read_bytes())
        flavours = data["flavors"]
        if not isinstance(flavours, dict):
            raise TypeError("`flavors` is no mapping")
        signature = data.get("signature") or {}
        specs = json.loads(signature.get("inputs") or "[]")
        params = json.loads(signature.get("params") or "null") or []
        pairs = [_input(spec, index) for index, spec in enumerate(specs)]
    except (OSError, yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise MlgateError(f"cannot be read: {why(error)}.", file=str(file)) from error
    return MlModel(
        flavours={name: options if isinstance(options, dict) else {} for name, options in flavours.items()},
        inputs=tuple(one for one, _ in pairs),
        dtypes={one.name: dtype for one, dtype in pairs if dtype},
        params=tuple(str(param.get("name")) for param in params),
        hinted=bool(data.get("is_signature_from_type_hint")),
    )


def _input(spec: dict[str, Any], index: int) -> tuple[Input, str]:
    """One entry of the signature, and NumPy's name of its type."""
    kind = spec["type"]
    if kind == "tensor":
        dtype = str(spec["tensor-spec"]["dtype"])
        shape = tuple(int(n) for n in spec["tensor-spec"]["shape"])
        return Input(name=str(spec.get("name") or ""), type=_of_numpy(dtype), nullable=False, shape=shape), dtype
    type_, dtype = _COLUMNS.get(kind, ("any", ""))
    required = bool(spec.get("required", not spec.get("optional", False)))
    # A number that is missing is NaN; an integer or a boolean has no such value.
    nullable = not required or type_ not in ("integer", "boolean")
    return Input(name=str(spec.get("name", index)), type=type_, required=required, nullable=nullable), dtype


def _of_numpy(dtype: str) -> Type:
    for prefix, type_ in (("float", "number"), ("int", "integer"), ("uint", "integer"), ("bool", "boolean")):
        if dtype.startswith(prefix):
            return type_  # type: ignore[return-value]
    return "string" if dtype.startswith(("str", "<U", "object")) else "any"
