"""Bounds of a difference between two models that were measured on the same rows, and of one model alone.

Which method answers for which metric is decided here, and nowhere else; each method is a module with `bounds` and
`level` of these signatures. Imported when it is needed: all of them work with numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

from mlgate.data.rows import Predicted, Rows
from mlgate.judge.measures import Bounds, Spec

SHARES = frozenset({"accuracy", "zero_one_loss", "hamming_loss"})  # of rows that are right, or wrong
CELLS = frozenset(
    {
        "balanced_accuracy",
        "precision",
        "recall",
        "specificity",
        "f1",
        "f_beta",
        "jaccard",
        "matthews_corrcoef",
        "cohen_kappa",
        "expected_cost",  # a mean, too, but of few values, and the dear ones are rare
    }
)


class Method(Protocol):
    def bounds(
        self, spec: Spec, rows: Rows, a: Predicted, b: Predicted, *, confidence: float, ratio: float = 1.0
    ) -> Bounds: ...

    def level(self, spec: Spec, rows: Rows, a: Predicted, *, confidence: float) -> Bounds: ...


def bounds(spec: Spec, rows: Rows, a: Predicted, b: Predicted, *, confidence: float, ratio: float = 1.0) -> Bounds:
    """The bounds of the metric of `a` minus `ratio` times that of `b`, each one-sided at `confidence` (0.5 < c < 1).

    Raises UndefinedError where the rows do not define the metric of either.
    """
    return _method(spec, rows).bounds(spec, rows, a, b, confidence=confidence, ratio=ratio)


def level(spec: Spec, rows: Rows, a: Predicted, *, confidence: float) -> Bounds:
    """The bounds of the metric of one model, each one-sided at `confidence`. Raises UndefinedError."""
    return _method(spec, rows).level(spec, rows, a, confidence=confidence)


def _method(spec: Spec, rows: Rows) -> Method:
    if rows.cluster is not None:
        return _module("clusters")
    if rows.weight is None and spec.name in SHARES:
        return _module("tango")
    if rows.weight is None and spec.name in CELLS:
        return _module("cells")
    if rows.weight is None and rows.task == "binary" and spec.name == "roc_auc":
        return _module("delong")
    return _module("means")


def _module(name: str) -> Method:
    module: Method = import_module(f"mlgate.judge.paired.{name}")
    return module
