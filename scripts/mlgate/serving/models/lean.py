"""Importing scikit-learn and skops without what they load for their own tests and for frames that may never come.

pandas and its pyarrow are half of a small server's memory and a second of its start.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import Any


def sklearn() -> None:
    """Import scikit-learn as where pandas is not installed; it is imported when a model or a request asks for it.

    scikit-learn imports pandas only to find out that it is there.
    """
    if "sklearn" in sys.modules or "pandas" in sys.modules or find_spec("sklearn") is None:
        return
    modules: dict[str, Any] = sys.modules
    modules["pandas"] = None  # how Python is told that a module cannot be imported
    try:
        with suppress(ImportError):
            importlib.import_module("sklearn.utils.fixes")
    finally:
        del modules["pandas"]


def skops_io() -> Any:
    """`skops.io`, which asks for the name of every estimator of scikit-learn and so imports all of it.

    Without an answer it trusts none of them by itself: the names of a file are then all held to our own list.
    Raises ImportError.
    """
    if "skops.io" in sys.modules or find_spec("sklearn") is None:
        return importlib.import_module("skops.io")
    utils: Any = importlib.import_module("sklearn.utils")
    own = getattr(utils, "all_estimators", None)
    if own is None:
        return importlib.import_module("skops.io")
    utils.all_estimators = list
    try:
        return importlib.import_module("skops.io")
    finally:
        utils.all_estimators = own
