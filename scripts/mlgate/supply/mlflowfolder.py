"""MLflow's model folders: MLmodel names the code that loads the rest, so it is part of what is loaded."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

import yaml

from mlgate.supply.names import words
from mlgate.supply.report import Scan, listed, plain

# Flavours whose loader reads files that are looked into here, and nothing else.
_LOADERS = words(
    "mlflow.sklearn mlflow.onnx mlflow.xgboost mlflow.lightgbm mlflow.catboost mlflow.pyfunc.model mlflow.keras "
    "mlflow.tensorflow mlflow.pytorch mlflow.statsmodels"
)
_PICKLE_MODULES = frozenset({"pickle", "cloudpickle", "mlflow.pytorch.pickle_module", "torch.serialization"})
_KERAS_MODULES = frozenset({"keras", "tf_keras", "tensorflow.keras"})


def look(scan: Scan, file: str, text: str) -> None:
    """Looks through one MLmodel."""
    scan.kind("MLmodel")
    try:
        config = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        scan.doubt(file, "it cannot be read, so what would load the model cannot be told.")
        return
    flavors = config.get("flavors") if isinstance(config, dict) else None
    if not isinstance(flavors, dict) or not flavors:
        scan.doubt(file, "it names no flavours, so what would load the model cannot be told.")
        return
    for flavor, settings in flavors.items():
        if isinstance(settings, dict):
            _flavor(scan, file, str(flavor), settings)


def _flavor(scan: Scan, file: str, flavor: str, settings: dict[Any, Any]) -> None:
    if flavor == "python_function":
        loader = settings.get("loader_module")
        if not isinstance(loader, str) or (loader not in _LOADERS and not scan.trusts(loader)):
            named = [loader] if isinstance(loader, str) else []
            scan.doubt(file, f"it is loaded by the module `{plain(str(loader))}`, which is not one of MLflow's.", named)
        if script := settings.get("model_code_path"):
            _script(scan, file, str(script))
    for path in _paths(settings.get("code")):
        _script(scan, file, path)
    for key, value in settings.items():
        if isinstance(value, str) and key in ("data", "pickled_model", "model_path", "python_model", "path", "uri"):
            _inside(scan, file, key, value)
    module = settings.get("pickle_module_name")
    if module is not None and module not in _PICKLE_MODULES and not scan.trusts(str(module)):
        scan.doubt(file, f"it is unpickled by the module `{plain(str(module))}`.", [str(module)])


def _paths(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (str(one) for one in value)


def _script(scan: Scan, file: str, path: str) -> None:
    if not scan.trusts(path):
        scan.doubt(file, f"it runs Python code that travels with it (`{plain(path)}`).", [path])


def _inside(scan: Scan, file: str, key: str, value: str) -> None:
    path = posixpath.normpath(value)
    if value.startswith("/") or path.split("/")[0] == ".." or "://" in value:
        scan.harm(file, f"`{key}` leads out of the model's folder (`{plain(value)}`).")


def module_file(scan: Scan, file: str, text: str) -> None:
    """The small files in which MLflow writes the name of a module that it will import."""
    name = text.strip()
    known = _KERAS_MODULES if file.endswith("keras_module.txt") else _PICKLE_MODULES
    if name not in known and not scan.trusts(name):
        scan.doubt(file, f"it makes MLflow import {listed([name])}.", [name])
