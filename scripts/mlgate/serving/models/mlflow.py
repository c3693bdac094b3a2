"""MLflow model folders: by the library that made the model where that answers the same, else by MLflow's pyfunc."""

from __future__ import annotations

import sys
from pathlib import Path

from mlgate.errors import MlgateError
from mlgate.serving import mlmodel
from mlgate.serving.mlmodel import MlModel
from mlgate.serving.models import Model, files
from mlgate.serving.models.estimator import Estimator
from mlgate.serving.settings import Settings


def load(folder: Path, settings: Settings) -> Model:
    """Raises MlgateError for a folder that does not load in this environment."""
    read = mlmodel.read(folder)
    native = {"sklearn": _sklearn, "onnx": _onnx}.get(read.native)
    made = native(folder, read, settings) if native is not None else None
    if made is not None:
        return made
    if "python_function" not in read.flavours:
        raise MlgateError(
            f"has the flavours {', '.join(sorted(read.flavours)) or 'none'}, and no python_function.",
            file=str(folder / "MLmodel"), fix="Save it with a flavour that MLflow itself can serve.",
        )  # fmt: skip
    from mlgate.serving.models.pyfunc import Pyfunc  # noqa: PLC0415 -- imports mlflow: seconds and 100 MB

    return Pyfunc(folder, read, settings)


def _sklearn(folder: Path, read: MlModel, settings: Settings) -> Model | None:
    """scikit-learn's own file in the folder, as MLflow's wrapper would call it."""
    flavour = read.flavours["sklearn"]
    name = str(flavour.get("pickled_model") or "")
    path = folder / name
    if not name or not path.is_file():
        return None
    for code in (flavour.get("code"), read.flavours.get("python_function", {}).get("code")):
        if code and (folder / str(code)).is_dir() and str(folder / str(code)) not in sys.path:
            sys.path.insert(0, str(folder / str(code)))
    skops = flavour.get("serialization_format") == "skops"
    estimator = files.skops(path, settings.trusted) if skops else files.pickled(path)
    return Estimator(estimator, settings, inputs=read.inputs, dtypes=read.dtypes, own=read.predict_fn)


def _onnx(folder: Path, read: MlModel, settings: Settings) -> Model | None:
    """The ONNX file in the folder, unless it was saved with providers or options of its own."""
    flavour = read.flavours["onnx"]
    path = folder / str(flavour.get("data") or "")
    if not path.is_file():
        return None
    from mlgate.serving.models.onnx import Onnx  # noqa: PLC0415 -- imports onnxruntime

    return Onnx(path, settings, inputs=read.inputs, dtypes=read.dtypes)
