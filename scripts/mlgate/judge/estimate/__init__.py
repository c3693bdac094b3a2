"""What a metric is for these rows and this model's predictions. scikit-learn's definitions, to the last digits.

Where scikit-learn warns and gives 0 or NaN (one class, nothing predicted to be positive, all labels the same) there is
no value: UndefinedError, with the reason. Rows with weight 0 are as if they were not there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from mlgate import estimators
from mlgate.config import Rule
from mlgate.data.rows import Predicted, Rows
from mlgate.judge.estimate import confusion, curves, queries, regression, rowwise
from mlgate.judge.measures import Spec, UndefinedError


def spec_of(key: str, rule: Rule) -> Spec | None:
    """The metric of the rule with this key; None where it names no estimator, so that nothing can be recomputed."""
    name = estimators.canonical(rule.is_ or re.sub(r"[ -]+", "_", key.rpartition(".")[2]))
    if name is None:
        return None
    takes = estimators.parameters(name)
    costs: Mapping[str, Mapping[str, float]] = {
        true: {decided: float(cost) for decided, cost in row.items()} for true, row in (rule.cost_matrix or {}).items()
    }
    default = Spec(name)
    return Spec(
        name,
        average=rule.average or "" if "average" in takes else "",
        beta=float(rule.beta) if "beta" in takes and rule.beta is not None else default.beta,
        k=rule.k if "k" in takes else None,
        quantile=float(rule.quantile) if "quantile" in takes and rule.quantile is not None else default.quantile,
        bins=rule.bins if "bins" in takes and rule.bins is not None else default.bins,
        costs=costs if "cost_matrix" in takes else {},
        column=rule.column or rule.entry_point or "" if "column" in takes else "",
    )


def needs(spec: Spec) -> frozenset[estimators.Need]:
    """What of `Predicted` the metric reads."""
    return frozenset({estimators.needs(spec.name)})


def tasks(spec: Spec) -> estimators.Tasks:
    """The tasks for which the metric is defined."""
    return estimators.tasks(spec.name)


def value(spec: Spec, rows: Rows, side: Predicted) -> float:
    """The metric of one model on these rows: always a finite number. Raises UndefinedError."""
    if rows.task not in tasks(spec):
        raise UndefinedError(f"{spec.name} is not defined for {rows.task} labels")
    if not rows.count:
        raise UndefinedError("there are no rows")
    found = _value(spec, rows, side)
    if not math.isfinite(found):
        raise UndefinedError("the values are too large to be added up")
    return found


def _value(spec: Spec, rows: Rows, side: Predicted) -> float:
    if spec.name in rowwise.NAMES:
        return rowwise.mean(rowwise.values(spec, rows, side), rows.weight)
    if spec.name in confusion.NAMES:
        return confusion.value(spec, confusion.counts(rows, side), rows.classes, binary=rows.task == "binary")
    if spec.name in curves.NAMES:
        return curves.value(spec, rows, side)
    if spec.name in regression.NAMES:
        return regression.value(spec, rows, side)
    if spec.name == "ndcg":
        found = queries.ndcg(spec, rows, side)
        return rowwise.mean(found.values, found.weight)
    raise UndefinedError(f"{spec.name} is not an estimator that mlgate knows")
