"""What the judge's arithmetic is asked and what it answers. Plain data; numpy stays out of here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


class UndefinedError(ValueError):
    """A metric that these rows do not define; the message ends the sentence "auc cannot be measured: ..."."""


@dataclass(frozen=True)
class Spec:
    """One metric: the canonical name of its estimator, and its parameters."""

    name: str  # a key of estimators.KNOWN
    average: str = ""  # macro | micro | weighted
    beta: float = 1.0
    k: int | None = None
    quantile: float = 0.5
    bins: int = 10
    costs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # true class -> decided class -> cost
    column: str = ""  # row_mean: key of Predicted.values


@dataclass(frozen=True)
class Bounds:
    """What the rows say of `difference` = a - ratio * b (of one side alone: `b` is 0.0 and so is the ratio).

    `lower` and `upper` are one-sided bounds, each at the confidence that was asked for. `needed` says how many rows
    like these would keep `lower` (or -`upper`) above -margin with a power of 90 % were the true difference 0.
    """

    a: float
    b: float
    difference: float
    lower: float
    upper: float
    se: float  # standard error of the difference; 0 where nothing varies
    rows: int
    method: str  # "Tango", "DeLong", "joint cells", "paired means", "clusters"
    below: Callable[[float], float] = field(compare=False, default=lambda _: 1.0)  # x -> p of "the truth is x or more"
    above: Callable[[float], float] = field(compare=False, default=lambda _: 1.0)  # x -> p of "the truth is x or less"
    too_little: str = ""  # why the bounds may not decide: "12 rows in a class, 30 needed"
    clusters: int | None = None
