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
    }
)

DELONG_ROWS = 200  # of each class; with fewer, or so near to 1, the normal distribution is no guide
DELONG_VALUE = 0.98


class Method(Protocol):
    def bounds(
        self, spec: Spec, rows: Rows, a: Predicted, b: Predicted, *, confidence: float, ratio: float = 1.0
    ) -> Bounds: ...

    def level(self, spec: Spec, rows: Rows, a: Predicted, *, confidence: float) -> Bounds: ...


def bounds(spec: Spec, rows: Rows, a: Predicted, b: Predicted, *, confidence: float, ratio: float = 1.0) -> Bounds:
    """The bounds of the metric of `a` minus `ratio` times that of `b`, each one-sided at `confidence` (0.5 < c < 1).

    Raises UndefinedError where the rows do not define the metric of either.
    """
    if not _is_delong(spec, rows):
        return _method(spec, rows).bounds(spec, rows, a, b, confidence=confidence, ratio=ratio)
    if _large(rows):
        found = _module("delong").bounds(spec, rows, a, b, confidence=confidence, ratio=ratio)
        if max(found.a, found.b) < DELONG_VALUE:
            return found
    return _module("mover").bounds(spec, rows, a, b, confidence=confidence, ratio=ratio)


def level(spec: Spec, rows: Rows, a: Predicted, *, confidence: float) -> Bounds:
    """The bounds of the metric of one model, each one-sided at `confidence`. Raises UndefinedError."""
    if not _is_delong(spec, rows):
        return _method(spec, rows).level(spec, rows, a, confidence=confidence)
    if _large(rows):
        found = _module("delong").level(spec, rows, a, confidence=confidence)
        if found.a < DELONG_VALUE:
            return found
    return _module("mover").level(spec, rows, a, confidence=confidence)


def _is_delong(spec: Spec, rows: Rows) -> bool:
    return spec.name == "roc_auc" and rows.task == "binary" and rows.cluster is None and rows.weight is None


def _large(rows: Rows) -> bool:
    positive = int((rows.label == 1).sum())
    return min(positive, rows.count - positive) >= DELONG_ROWS


def _method(spec: Spec, rows: Rows) -> Method:
    if rows.cluster is not None:
        return _module("clusters")
    if rows.weight is None and spec.name in SHARES:
        return _module("tango")
    if rows.weight is None and spec.name in CELLS:
        return _module("cells")
    return _module("means")


def _module(name: str) -> Method:
    module: Method = import_module(f"mlgate.judge.paired.{name}")
    return module
