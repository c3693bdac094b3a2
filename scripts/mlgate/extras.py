"""Packages that only some verbs need: DuckDB, Great Expectations, MLflow. Used where installed."""

from __future__ import annotations

from importlib.util import find_spec

from mlgate.errors import MlgateError

# What an extra is for, as its error says it; and a module that shows it is there.
_EXTRAS = {
    "data": ("duckdb", "numpy"),
    "gx": ("great_expectations", "pyarrow"),
    "track": ("mlflow",),
    "track-local": ("mlflow.store.tracking.sqlalchemy_store", "sqlalchemy"),
}


def use(extra: str) -> None:
    """Make an extra's packages importable here. Raises MlgateError when they cannot be had."""
    missing = [module for module in _EXTRAS[extra] if find_spec(module.split(".")[0]) is None]
    if missing:
        raise MlgateError(f"{missing[0]} is not installed.", fix=f"pip install 'mlgate[{extra}]'")
