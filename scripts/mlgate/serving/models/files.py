"""Reading an estimator from a file. What it may load was looked at when the image was built; skops looks again."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlgate.errors import MlgateError, why
from mlgate.serving.models import lean

# Libraries whose own types hold numbers and parameters; what else a skops file names has to be trusted by name.
_KNOWN = ("numpy.", "scipy.", "sklearn.", "pandas.", "xgboost.", "lightgbm.", "catboost.", "builtins.", "collections.")
_CALLS = frozenset({
    "builtins.eval", "builtins.exec", "builtins.compile", "builtins.open", "builtins.__import__", "builtins.getattr",
    "builtins.setattr", "builtins.delattr", "builtins.input", "builtins.breakpoint", "builtins.globals",
})  # fmt: skip


def pickled(path: Path) -> Any:
    """joblib reads its own files and plain pickles. Raises MlgateError when it does not load."""
    lean.sklearn()
    try:
        return _module("joblib", path).load(path) if path.suffix == ".joblib" else _unpickled(path)
    except MlgateError:
        raise
    except Exception as error:
        raise broken(path, error) from error


def _unpickled(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return pickle.load(file)  # noqa: S301 -- the model of this image, scanned before it was built
    except (pickle.UnpicklingError, EOFError, UnicodeDecodeError, KeyError, ValueError):
        return _module("joblib", path).load(path)  # written by joblib under a name of pickle's


def skops(path: Path, trusted: Sequence[str]) -> Any:
    """Raises MlgateError for a type that is neither known nor trusted by name, or when it does not load."""
    lean.sklearn()
    try:
        io = lean.skops_io()
    except ImportError as error:
        raise _absent("skops", path) from error
    try:
        asked = io.get_untrusted_types(file=path)
        strange = [name for name in asked if name not in trusted and not _known(name)]
        if not strange:
            return io.load(path, trusted=asked)
    except Exception as error:
        raise broken(path, error) from error
    raise MlgateError(
        f"would load {', '.join(strange[:5])}{', ...' if len(strange) > 5 else ''}, which mlgate does not know.",
        file=str(path), fix="Name what you trust under `image.scan.trusted`.",
    )  # fmt: skip


def _known(name: str) -> bool:
    return name.startswith(_KNOWN) and name not in _CALLS


def _module(name: str, path: Path) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise _absent(name, path) from error


def _absent(name: str, path: Path) -> MlgateError:
    return MlgateError(
        f"cannot be read: {name} is not installed.", file=str(path), fix=f"Add {name} to the model's requirements."
    )


def broken(path: Path, error: Exception) -> MlgateError:
    """What is said of a model that does not load: a package that is missing, code that is not there, a cut-off file."""
    if isinstance(error, ImportError | AttributeError):
        return MlgateError(
            f"does not load here: {why(error)}.", file=str(path),
            fix="Are its packages in `image.requirements`, and its own code in `image.include`?",
        )  # fmt: skip
    return MlgateError(
        f"does not load: {type(error).__name__}: {why(error)}.", file=str(path),
        fix="Is the file whole, and of the versions that are installed here?",
    )  # fmt: skip
