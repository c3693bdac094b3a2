"""Models as the server sees them: loaded once, called with columns. One module per way to load one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlgate.errors import MlgateError
from mlgate.serving.columns import Array, Columns
from mlgate.serving.settings import Input, Settings

PICKLES = (".joblib", ".pkl", ".pickle")
_SUFFIXES = (*PICKLES, ".skops", ".onnx")


@dataclass(frozen=True)
class Predicted:
    """What a model said of each row.

    `prediction`: one value per row, an array or a list. `probability`: (rows,) of the positive class or a score,
    (rows, classes) where there are more than two; None where the model has none. `classes`: in the order of the
    second axis. `probabilities`: all of them, (rows, classes), where the model gave them.
    """

    prediction: Any
    probability: Array | None = None
    classes: Sequence[Any] | None = None
    probabilities: Array | None = None

    def part(self, start: int, stop: int) -> Predicted:
        """Rows `start` to `stop`."""
        return Predicted(
            self.prediction[start:stop],
            None if self.probability is None else self.probability[start:stop],
            self.classes,
            None if self.probabilities is None else self.probabilities[start:stop],
        )


class Model(Protocol):
    """`inputs` and `dtypes`: what the model itself says it takes; both empty where it does not say.

    `rowwise`: each row's answer is known to depend on that row alone, so that requests may be answered together.
    """

    kind: str
    inputs: tuple[Input, ...]
    dtypes: Mapping[str, str]
    rowwise: bool

    def predict(self, columns: Columns) -> Predicted: ...

    def invoke(self, columns: Columns, params: Mapping[str, Any] | None) -> Any:
        """What MLflow's server would answer: values that JSON can say, or arrays of them."""
        ...


def load(path: Path, settings: Settings) -> Model:
    """Raises MlgateError for what is no model here, and for one that does not load in this environment."""
    if not path.exists():
        raise MlgateError("is not here; there is no model to serve.", file=str(path))
    if path.is_dir() and (path / "MLmodel").is_file():
        from mlgate.serving.models import mlflow  # noqa: PLC0415 -- each model brings its own packages

        return mlflow.load(path, settings)
    return load_file(_only(path), settings)


def load_file(path: Path, settings: Settings) -> Model:
    """A model that is one file. Raises MlgateError as `load` does."""
    from mlgate.serving.models import files  # noqa: PLC0415 -- each model brings its own packages

    suffix = path.suffix.lower()
    if suffix == ".onnx":
        from mlgate.serving.models.onnx import Onnx  # noqa: PLC0415 -- as above

        return Onnx(path, settings)
    if suffix == ".skops":
        estimator = files.skops(path, settings.trusted)
    elif suffix in PICKLES:
        estimator = files.pickled(path)
    else:
        raise MlgateError(
            f"is no model that can be served: it ends with {suffix or 'nothing'}.", file=str(path),
            fix=f"Save an MLflow model folder, or a file that ends with {', '.join(_SUFFIXES)}.",
        )  # fmt: skip
    from mlgate.serving.models.estimator import Estimator  # noqa: PLC0415 -- as above

    return Estimator(estimator, settings)


def _only(path: Path) -> Path:
    """The one model file of a folder."""
    if path.is_file():
        return path
    found = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in _SUFFIXES)
    if len(found) != 1:
        said = "holds no model" if not found else f"holds {len(found)} models: {', '.join(p.name for p in found[:5])}"
        raise MlgateError(
            f"has no MLmodel file and {said}.", file=str(path),
            fix="Save an MLflow model folder, or one file that ends with " + ", ".join(_SUFFIXES) + ".",
        )  # fmt: skip
    return found[0]
